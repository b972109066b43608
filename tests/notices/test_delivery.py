"""Sending for real: HTTP and mail servers on loopback that answer, refuse, break and come back."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import os
import signal
import threading
import time
import uuid

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from pytest_django import Settings

from opssight.core.clock import now
from opssight.core.errors import Failure, PermanentFailure, TransientFailure
from opssight.core.outbound import AddressRefused, Policy
from opssight.notices import http, outbox
from opssight.notices.manage import add_rule, save_channel
from opssight.notices.models import Channel, Outbox, Severity
from tests.notices.servers import HttpServer, MailServer, Received

pytestmark = pytest.mark.django_db(transaction=True)


def make_channel(team: uuid.UUID, scheme: str, url: str = "", name: str = "", **options: object) -> Channel:
    secret = url if scheme == "slack" else ""
    if scheme == "webhook":
        options["url"] = url
    channel = save_channel(
        None, team_id=team, name=name or scheme, scheme=scheme, secret=secret, options=options
    )
    add_rule(channel)
    return channel


def tell(team: uuid.UUID, subject: str = "job:1") -> None:
    told = outbox.report(
        team_id=team,
        topic="run.copy",
        subject=subject,
        state="failed",
        severity=Severity.ERROR,
        title="docs to <site>",
        sentence="Copied nothing to 1 target; acme/site: branch protected.",
        url="/runs/1/",
        fields=[("Repository", "acme/docs & more"), ("Files", "0")],
    )
    assert told >= 1


def due_now() -> None:
    """Let the time until the next attempt pass."""
    Outbox.objects.filter(delivered_at=None).update(due_at=Now())


def test_slack_gets_an_attachment(team: uuid.UUID, receiver: HttpServer) -> None:
    channel = make_channel(team, "slack", f"{receiver.url}/services/T0/B0/XXXXXXXX")
    tell(team)

    assert outbox.deliver_due() == 1

    request = receiver.received[0]
    assert request.path == "/services/T0/B0/XXXXXXXX"
    (attachment,) = request.json["attachments"]
    assert attachment["title"] == "docs to &lt;site&gt;"
    assert attachment["title_link"].endswith("/runs/1/")
    assert attachment["text"] == attachment["fallback"]
    assert "branch protected" in attachment["text"]
    assert attachment["fields"][0] == {"title": "Repository", "value": "acme/docs &amp; more", "short": True}
    assert attachment["color"] == "#c62828"
    assert attachment["footer"] == "OpsSight"
    assert abs(attachment["ts"] - time.time()) < 60
    channel.refresh_from_db()
    assert channel.last_ok_at is not None
    assert channel.sentence == ""
    assert outbox.deliver_due() == 0
    assert len(receiver.received) == 1


def test_a_webhook_is_signed_so_that_the_receiver_can_check_it(team: uuid.UUID, receiver: HttpServer) -> None:
    channel = make_channel(team, "webhook", f"{receiver.url}/in")
    tell(team)
    assert outbox.deliver_due() == 1

    request = receiver.received[0]
    id, at = request.headers["webhook-id"], request.headers["webhook-timestamp"]
    key = base64.b64decode(channel.secret.removeprefix("whsec_"))
    mac = hmac.new(key, f"{id}.{at}.".encode() + request.body, hashlib.sha256).digest()
    assert request.headers["webhook-signature"] == f"v1,{base64.b64encode(mac).decode()}"
    assert abs(int(at) - time.time()) < 60
    assert request.json["type"] == "run.copy"
    assert request.json["data"]["state"] == "failed"
    assert request.json["data"]["fields"][1] == {"label": "Files", "value": "0"}


def test_mail_goes_through_a_real_server(team: uuid.UUID, mail: MailServer, settings: Settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", mail.port
    make_channel(team, "smtp", to=["a@example.org", "b@example.org"])
    tell(team)

    assert outbox.deliver_due() == 1

    ((recipients, text),) = mail.mails
    assert recipients == ["a@example.org", "b@example.org"]
    assert "Subject: [OpsSight] docs to <site>" in text
    assert f"Message-ID: <{Outbox.objects.get().message_id}@opssight>" in text
    assert "branch protected" in text
    assert "Repository: acme/docs & more" in text


@pytest.mark.parametrize(
    ("refuse", "given_up"),
    [
        ({"RCPT": "550 no such user"}, True),
        ({"RCPT": "450 try later"}, False),
        ({"MAIL": "554 not you"}, True),
        ({"DATA": "451 disk full"}, False),
    ],
)
def test_what_a_mail_server_refuses_is_tried_again_only_where_that_can_help(
    team: uuid.UUID, mail: MailServer, settings: Settings, refuse: dict[str, str], given_up: bool
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", mail.port
    mail.refuse = refuse
    make_channel(team, "smtp", to=["a@example.org"])
    tell(team)

    assert outbox.deliver_due() == 0

    entry = Outbox.objects.get()
    assert (entry.gave_up_at is not None) is given_up
    assert "mail server" in entry.error
    mail.refuse = {}
    due_now()
    assert outbox.deliver_due() == (0 if given_up else 1)


def test_no_mail_server_is_a_passing_failure(team: uuid.UUID, settings: Settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    channel = make_channel(team, "smtp", to=["a@example.org"])
    with pytest.raises(TransientFailure, match="could not be reached"):
        outbox.send_test(channel)


def test_an_error_of_the_other_side_is_tried_again_until_it_recovers(
    team: uuid.UUID, receiver: HttpServer
) -> None:
    receiver.answers = [(500, {}), (503, {}), (204, {"Content-Length": "0"})]
    make_channel(team, "webhook", receiver.url)
    tell(team)

    assert outbox.deliver_due() == 0
    entry = Outbox.objects.get()
    assert entry.attempts == 1
    assert "error 500" in entry.error
    assert dt.timedelta(seconds=5) < entry.due_at - now() < dt.timedelta(seconds=20)
    assert outbox.deliver_due() == 0  # not due yet
    due_now()
    assert outbox.deliver_due() == 0
    assert dt.timedelta(seconds=20) < Outbox.objects.get().due_at - now() < dt.timedelta(seconds=60)
    due_now()
    assert outbox.deliver_due() == 1

    entry.refresh_from_db()
    assert entry.delivered_at is not None
    assert entry.error == ""
    assert len({request.headers["webhook-id"] for request in receiver.received}) == 1
    assert len(receiver.received) == 3


def test_it_gives_up_after_ten_attempts_and_the_channel_says_why(
    team: uuid.UUID, receiver: HttpServer
) -> None:
    receiver.answers = [(500, {})]
    channel = make_channel(team, "webhook", receiver.url)
    tell(team)
    for _ in range(12):
        outbox.deliver_due()
        due_now()

    assert len(receiver.received) == outbox.MAX_ATTEMPTS
    entry = Outbox.objects.get()
    assert entry.gave_up_at is not None
    channel.refresh_from_db()
    assert "tried 10 times" in channel.sentence
    receiver.answers = [(200, {})]
    assert outbox.send_test(channel) == "A test message was sent to webhook."
    channel.refresh_from_db()
    assert channel.sentence == ""


@pytest.mark.parametrize(
    ("status", "words"), [(404, "does not exist"), (403, "refused"), (400, "did not accept")]
)
def test_what_will_not_change_by_itself_is_given_up_at_once(
    team: uuid.UUID, receiver: HttpServer, status: int, words: str
) -> None:
    receiver.answers = [(status, {})]
    channel = make_channel(team, "slack", receiver.url)
    tell(team)
    assert outbox.deliver_due() == 0
    assert Outbox.objects.get().gave_up_at is not None
    channel.refresh_from_db()
    assert words in channel.sentence


def test_a_redirect_is_not_followed(team: uuid.UUID, receiver: HttpServer) -> None:
    receiver.answers = [(302, {"Location": "http://169.254.169.254/"})]
    channel = make_channel(team, "webhook", receiver.url)
    with pytest.raises(PermanentFailure, match="points to another address"):
        outbox.send_test(channel)
    assert len(receiver.received) == 1


@pytest.mark.parametrize("header", ["120", "date"])
def test_a_request_to_wait_is_followed_and_not_counted(
    team: uuid.UUID, receiver: HttpServer, header: str
) -> None:
    if header == "date":
        header = (now() + dt.timedelta(seconds=120)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    receiver.answers = [(429, {"Retry-After": header}), (200, {})]
    make_channel(team, "webhook", receiver.url)
    tell(team)
    assert outbox.deliver_due() == 0
    entry = Outbox.objects.get()
    assert entry.attempts == 0
    assert dt.timedelta(seconds=100) < entry.due_at - now() < dt.timedelta(seconds=125)
    due_now()
    assert outbox.deliver_due() == 1


def test_an_address_that_the_policy_refuses_is_not_asked(team: uuid.UUID, receiver: HttpServer) -> None:
    http.use_policy(Policy)
    channel = make_channel(team, "webhook", receiver.url)
    tell(team)
    assert outbox.deliver_due() == 0
    with pytest.raises(AddressRefused):
        outbox.send_test(channel)

    assert receiver.received == []
    channel.refresh_from_db()
    assert "administrator" in channel.sentence
    assert Outbox.objects.get().gave_up_at is not None


def test_one_dead_channel_holds_up_nobody_else(team: uuid.UUID, receiver: HttpServer) -> None:
    make_channel(team, "webhook", "http://127.0.0.1:1/", name="dead")
    make_channel(team, "webhook", receiver.url, name="alive")
    for n in range(3):
        tell(team, f"job:{n}")

    assert outbox.deliver_due() == 3

    dead = Outbox.objects.filter(channel__name="dead").order_by("id")
    assert [entry.attempts for entry in dead] == [1, 0, 0]


def test_a_deliverer_killed_between_sending_and_noting_it_sends_the_same_id_again(
    team: uuid.UUID, receiver: HttpServer
) -> None:
    make_channel(team, "webhook", receiver.url)
    tell(team)
    asked = threading.Event()

    def hold(request: Received) -> None:
        asked.set()
        time.sleep(0.5)

    receiver.on_request = hold
    connection.close()
    child = os.fork()
    if child == 0:
        outbox.deliver_due()
        os._exit(0)
    assert asked.wait(20)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    receiver.on_request = lambda request: None

    entry = Outbox.objects.get()
    assert (entry.delivered_at, entry.attempts) == (None, 1)
    assert entry.due_at > now() + dt.timedelta(seconds=60)  # its lease: nobody sends meanwhile
    assert outbox.deliver_due() == 0
    due_now()
    assert outbox.deliver_due() == 1
    first, second = (request.headers["webhook-id"] for request in receiver.received)
    assert first == second == entry.message_id


def test_two_deliverers_at_once_send_each_message_once(team: uuid.UUID, receiver: HttpServer) -> None:
    make_channel(team, "webhook", receiver.url)
    for n in range(20):
        tell(team, f"job:{n}")
    arrived: list[int] = []

    def work() -> None:
        arrived.append(outbox.deliver_due())
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(arrived) == 20
    assert len({request.headers["webhook-id"] for request in receiver.received}) == 20
    assert len(receiver.received) == 20


def test_nothing_is_sent_inside_a_transaction(team: uuid.UUID, receiver: HttpServer) -> None:
    channel = make_channel(team, "webhook", receiver.url)
    tell(team)
    with transaction.atomic():
        with pytest.raises(RuntimeError, match="transaction"):
            outbox.deliver_due()
        with pytest.raises(RuntimeError, match="transaction"):
            outbox.send_test(channel)
    assert receiver.received == []


def test_old_news_and_channels_that_are_off_are_not_sent(team: uuid.UUID, receiver: HttpServer) -> None:
    channel = make_channel(team, "webhook", receiver.url)
    tell(team)
    Channel.objects.filter(pk=channel.pk).update(enabled=False)
    assert outbox.deliver_due() == 0
    assert outbox.waiting().count() == 0
    Channel.objects.filter(pk=channel.pk).update(enabled=True)
    Outbox.objects.update(created_at=now() - dt.timedelta(days=2))
    assert outbox.deliver_due() == 0
    assert receiver.received == []
    assert "too old" in Outbox.objects.get().error


def test_a_secret_that_cannot_be_read_is_told(team: uuid.UUID, receiver: HttpServer) -> None:
    first, second = (
        make_channel(team, "webhook", receiver.url, name="a"),
        make_channel(team, "slack", receiver.url),
    )
    moved = Channel.objects.values_list("secret", flat=True).get(pk=second.pk)
    with connection.cursor() as cursor:
        pk = first.pk if connection.vendor == "postgresql" else first.pk.hex
        cursor.execute("UPDATE notices_channel SET secret = %s WHERE id = %s", [str(moved), pk])
    with pytest.raises(Failure, match="cannot be decrypted"):
        outbox.send_test(Channel.objects.get(pk=first.pk))


def test_finished_messages_are_pruned(team: uuid.UUID, receiver: HttpServer) -> None:
    make_channel(team, "webhook", receiver.url)
    tell(team, "old")
    tell(team, "waiting")
    Outbox.objects.filter(dedupe_key__endswith="old").update(delivered_at=Now())
    Outbox.objects.update(created_at=now() - dt.timedelta(days=31))
    assert outbox.prune(30) == 1
    assert Outbox.objects.get().dedupe_key.endswith("waiting")

from __future__ import annotations

import datetime as dt
import io
import json
import threading
import uuid
import zlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
import time_machine
from django.db import IntegrityError, connections
from django.test import Client, RequestFactory
from pytest_django import Settings

from opssight.accounts.models import Role, Team
from opssight.accounts.scope import NotAllowed, Principal
from opssight.audit.models import AuditEvent
from opssight.core.env_kinds import Rate
from opssight.core.errors import Conflict, NotFound
from repos import events, receiving, webhooks
from repos.events import Event, Pushed, RepositoryEvent
from repos.hook_view import deliver
from repos.models import Delivery, DeliveryBody, Repository, Webhook
from syncs.models import Run, RunCause, Trigger
from tests.factories import make_connection, make_job, make_repository, make_team, make_user
from tests.repos.deliveries import (
    PUSH,
    SECRET,
    github_headers,
    hex_hmac,
    plain_body,
    plain_headers,
    post,
    post_push,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def hook(principal: Principal, team: Team) -> Webhook:
    return webhooks.create_hook(principal, team, "github", secret=SECRET)[0]


@pytest.fixture
def plain_hook(principal: Principal, team: Team) -> Webhook:
    return webhooks.create_hook(principal, team, "plain", secret=SECRET)[0]


@pytest.fixture
def repository(team: Team) -> Repository:
    return make_repository(make_connection(team, "plain"), "acme-widgets/docs-site")


@pytest.fixture
def heard() -> Iterator[list[Event]]:
    """What was published; nothing else listens."""
    before = list(events._subscribers)
    found: list[Event] = []
    events._subscribers[:] = [found.append]
    yield found
    events._subscribers[:] = before


@pytest.fixture
def failing() -> Iterator[None]:
    def fail(event: Event) -> None:
        Webhook.objects.update(name="half done")
        raise ValueError("a subscriber that cannot")

    before = list(events._subscribers)
    events._subscribers[:] = [fail]
    yield
    events._subscribers[:] = before


def about(event: Event) -> uuid.UUID:
    assert isinstance(event, RepositoryEvent)
    return event.repository_id


# --- one delivery --------------------------------------------------------------------------------


def test_a_push_is_stored_and_told(hook: Webhook, repository: Repository, heard: list[Event]) -> None:
    answer = post_push(hook, id="72d3162e")
    delivery = Delivery.objects.get()
    assert (answer.status_code, answer.json()) == (202, {"id": str(delivery.pk), "verdict": "accepted"})
    assert (delivery.event, delivery.events, delivery.verdict) == ("push", ["Pushed"], "accepted")
    assert (delivery.repository, delivery.team_id) == (repository, hook.team_id)
    assert delivery.sentence == f"main was pushed by ada and is at {json.loads(PUSH)['after'][:7]} now."
    assert heard == [
        Pushed(
            repository_id=repository.pk,
            heard="webhook",
            by="ada",
            delivery_id=delivery.pk,
            ref="refs/heads/main",
            before="6113728f27ae82c7b1a177c8d03f9e96e0adf246",
            after="59b20b8d5c6ff8d09518216e87e3d4a2b3f6c1de",
        )
    ]


def test_body_and_headers_are_kept_without_signatures(hook: Webhook) -> None:
    post_push(hook, id="72d3162e")
    delivery = Delivery.objects.get()
    assert receiving.body_of(delivery) == PUSH
    assert delivery.body_bytes == len(PUSH)
    assert zlib.decompress(bytes(DeliveryBody.objects.get().body)) == PUSH
    assert delivery.headers == {
        "content-type": "application/json",
        "user-agent": "GitHub-Hookshot/044aadd",
        "x-github-event": "push",
        "x-github-delivery": "72d3162e",
        "x-github-hook-id": "292430182",
    }


def test_a_push_starts_the_jobs_that_wait_for_it(hook: Webhook, repository: Repository) -> None:
    job = make_job(repository.team)
    Trigger.objects.create(job=job, repository=repository, event="Pushed", ref="main")
    answer = post_push(hook)
    [cause] = RunCause.objects.select_related("run", "delivery")
    assert str(cause.delivery.pk) == answer.json()["id"]
    assert (cause.run.job, cause.run.trigger) == (job, "webhook")
    assert cause.run.because == "a push to acme-widgets/docs-site main by ada"


def test_plain_push(plain_hook: Webhook, team: Team, heard: list[Event]) -> None:
    make_repository(make_connection(team), "team/site")
    body = plain_body(by="ada")
    assert post(plain_hook, body, plain_headers(body)).status_code == 202
    assert [event.name for event in heard] == ["Pushed"]


def test_understood_and_not_wanted(hook: Webhook, heard: list[Event]) -> None:
    answer = post(hook, PUSH, github_headers(PUSH, event="star"))
    assert (answer.status_code, answer.content) == (204, b"")
    delivery = Delivery.objects.get()
    assert (delivery.verdict, delivery.events, delivery.event) == ("ignored", [], "star")
    assert delivery.sentence == "A star is understood, and nothing is done for it."
    assert heard == []


def test_a_repository_that_is_not_here(hook: Webhook, heard: list[Event]) -> None:
    assert post_push(hook).status_code == 202
    delivery = Delivery.objects.get()
    assert (delivery.verdict, delivery.events, delivery.repository) == ("accepted", ["Pushed"], None)
    assert "No repository here is called acme-widgets/docs-site" in delivery.sentence
    assert heard == []


def test_the_sender_writes_the_name_otherwise(hook: Webhook, team: Team, heard: list[Event]) -> None:
    repository = make_repository(make_connection(team), "Acme-Widgets/Docs-Site")
    post_push(hook)
    assert [about(event) for event in heard] == [repository.pk]


def test_repositories_of_one_name_are_all_told(hook: Webhook, team: Team, heard: list[Event]) -> None:
    for _ in range(2):
        make_repository(make_connection(team), "acme-widgets/docs-site")
    make_repository(make_connection(team), "acme-widgets/docs-site", state="ignored")
    make_repository(make_connection(make_team()), "acme-widgets/docs-site")
    post_push(hook)
    assert len({about(event) for event in heard}) == 2


def test_a_renamed_repository_is_known_by_its_id(hook: Webhook, team: Team, heard: list[Event]) -> None:
    repository = make_repository(make_connection(team, "github"), "acme/old-name", external_id="186853002")
    make_repository(make_connection(team, "plain"), "acme/other", external_id="186853002")
    post_push(hook)
    assert [about(event) for event in heard] == [repository.pk]


def test_a_hook_of_one_connection_looks_only_there(
    principal: Principal, team: Team, heard: list[Event]
) -> None:
    mine, other = make_connection(team), make_connection(team)
    repository = make_repository(mine, "acme-widgets/docs-site")
    make_repository(other, "acme-widgets/docs-site")
    hook, _ = webhooks.create_hook(principal, team, "github", secret=SECRET, connection=mine)
    post_push(hook)
    assert [about(event) for event in heard] == [repository.pk]


def test_a_hook_of_one_repository_needs_no_name(principal: Principal, team: Team, heard: list[Event]) -> None:
    repository = make_repository(make_connection(team), "here/another-name")
    hook, _ = webhooks.create_hook(principal, team, "plain", secret=SECRET, repository=repository)
    body = b'{"ref": "refs/heads/main"}'
    assert post(hook, body, plain_headers(body)).status_code == 202
    assert [about(event) for event in heard] == [repository.pk]
    assert Delivery.objects.get().sentence == "main was pushed."


def test_a_nameless_push_to_a_team_hook(plain_hook: Webhook, heard: list[Event]) -> None:
    body = b'{"ref": "refs/heads/main"}'
    assert post(plain_hook, body, plain_headers(body)).status_code == 202
    assert "No repository here is called that" in Delivery.objects.get().sentence


def test_a_paused_hook_stores_and_does_nothing(
    hook: Webhook, principal: Principal, repository: Repository, heard: list[Event]
) -> None:
    webhooks.update_hook(principal, hook, paused=True)
    assert post_push(hook).status_code == 204
    assert Delivery.objects.get().verdict == "ignored"
    webhooks.update_hook(principal, hook, paused=False)
    receiving.replay(principal, Delivery.objects.get())
    assert len(heard) == 1


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        github_headers(PUSH, secret="wrong"),
        {"x-github-event": "push"},
        {**github_headers(PUSH), "x-hub-signature-256": ""},
        plain_headers(PUSH),
    ],
)
def test_not_authentic(hook: Webhook, headers: dict[str, str], heard: list[Event]) -> None:
    answer = post(hook, PUSH, headers)
    assert answer.status_code == 401
    assert answer["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 401
    delivery = Delivery.objects.get()
    assert (delivery.verdict, delivery.event, delivery.events) == ("unauthentic", "", [])
    assert not DeliveryBody.objects.exists()
    assert heard == []


def test_a_forged_delivery_does_not_take_the_place_of_the_real_one(
    hook: Webhook, repository: Repository, heard: list[Event]
) -> None:
    post(hook, PUSH, github_headers(PUSH, secret="wrong", id="7"))
    assert post_push(hook, id="7").status_code == 202
    assert len(heard) == 1


def test_not_authentic_ones_are_capped(
    hook: Webhook, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "_KEEP_OF_STRANGERS", 3)
    settings.HOOK_REFUSED_RATE = Rate(5, 60)
    answers = [post(hook, b"%d" % n, {}) for n in range(7)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 401, 401, 401, 401]
    assert Delivery.objects.count() == 3
    monkeypatch.setattr(receiving, "_KEEP_OF_STRANGERS", 200)
    for n in range(7):
        answer = post(hook, b"%d" % n, {})
    assert (answer.status_code, answer["retry-after"]) == (429, "60")
    assert Delivery.objects.count() == 5
    assert post_push(hook).status_code == 202  # strangers do not keep the sender out


def test_above_the_rate_of_strangers_no_form_is_taken_apart(
    principal: Principal, team: Team, settings: Settings
) -> None:
    """At Gitea, before a signature can be checked. JSON costs nothing, so its senders are let in."""
    hook = webhooks.create_hook(principal, team, "gitea", secret=SECRET)[0]
    settings.HOOK_REFUSED_RATE = Rate(2, 60)
    signed = {"x-gitea-event": "push", "x-gitea-signature": hex_hmac(PUSH, SECRET)}
    form = urlencode({"payload": PUSH.decode()}).encode()
    as_form = {**signed, "content-type": "application/x-www-form-urlencoded"}
    assert post(hook, form, as_form).status_code in (202, 204)
    for _ in range(2):
        assert post(hook, b"payload=x", as_form).status_code == 401
    refused = post(hook, form, as_form)
    assert (refused.status_code, refused["retry-after"]) == (429, "60")
    assert post(hook, PUSH, {**signed, "content-type": "application/json"}).status_code in (202, 204)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"ref": "main"}'])
def test_authentic_and_unreadable(hook: Webhook, body: bytes) -> None:
    answer = post(hook, body, github_headers(body, id="7"))
    assert answer.status_code == 400
    delivery = Delivery.objects.get()
    assert (delivery.verdict, delivery.sentence) == ("unreadable", answer.json()["detail"])
    assert receiving.body_of(delivery) == body
    assert post_push(hook, id="7").status_code == 202


def test_too_large(hook: Webhook, settings: Settings) -> None:
    settings.HOOK_BYTES = len(PUSH)
    assert post_push(hook).status_code == 202
    settings.HOOK_BYTES = len(PUSH) - 1
    answer = post_push(hook)
    assert answer.status_code == 413
    assert "OPSSIGHT_HOOK_BYTES" in answer.json()["detail"]
    assert Delivery.objects.count() == 1


def request_with(hook: Webhook, stream: Any, length: str) -> Any:
    request = RequestFactory().post(hook.path, b"", content_type="application/json", CONTENT_LENGTH=length)
    request._stream = stream
    return request


def test_more_than_was_announced_is_not_read(hook: Webhook, settings: Settings) -> None:
    settings.HOOK_BYTES = 10
    stream = io.BytesIO(b"x" * 100)
    assert deliver(request_with(hook, stream, ""), hook.pk).status_code == 413
    assert stream.tell() == 11


def test_a_sender_that_hangs_up(hook: Webhook) -> None:
    class Broken(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise OSError("connection reset")

    assert deliver(request_with(hook, Broken(), "100"), hook.pk).status_code == 400
    assert not Delivery.objects.exists()


def test_half_a_body(hook: Webhook) -> None:
    request = request_with(hook, io.BytesIO(PUSH[:100]), str(len(PUSH)))
    for name, value in github_headers(PUSH).items():
        request.META[f"HTTP_{name.upper().replace('-', '_')}"] = value
    assert deliver(request, hook.pk).status_code == 401


def test_above_the_ceiling(hook: Webhook, settings: Settings) -> None:
    settings.HOOK_RATE = Rate(2, 60)
    assert [post_push(hook, id=str(n)).status_code for n in range(3)] == [202, 202, 429]
    Delivery.objects.update(received_at=dt.datetime.now(dt.UTC) - dt.timedelta(minutes=2))
    assert post_push(hook, id="4").status_code == 202


def test_more_than_a_hundred_a_minute_are_all_stored_and_share_a_run(
    hook: Webhook, repository: Repository
) -> None:
    Trigger.objects.create(job=make_job(repository.team), repository=repository, event="Pushed", ref="main")
    assert {post_push(hook, id=str(number)).status_code for number in range(150)} == {202}
    assert Delivery.objects.filter(verdict="accepted").count() == 150
    assert Run.objects.count() == 1
    assert RunCause.objects.values("delivery").distinct().count() == 150


def test_no_such_hook(hook: Webhook) -> None:
    assert Client().post(f"/hooks/{uuid.uuid4()}/", b"{}", content_type="application/json").status_code == 404
    assert Client().post("/hooks/1/", b"{}", content_type="application/json").status_code == 404
    assert not Delivery.objects.exists()


def test_only_post(hook: Webhook) -> None:
    for method in ("get", "put", "delete", "head", "options"):
        assert getattr(Client(), method)(hook.path).status_code == 405


def test_a_large_body_is_read_although_forms_have_a_smaller_limit(hook: Webhook, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    assert post_push(hook).status_code == 202


# --- the same again ------------------------------------------------------------------------------


def test_duplicate(hook: Webhook, repository: Repository, heard: list[Event]) -> None:
    first = post_push(hook, id="7").json()["id"]
    answer = post_push(hook, id="7")
    assert (answer.status_code, answer.json()["verdict"]) == (200, "duplicate")
    assert Delivery.objects.get(pk=first).duplicates == 1
    again = Delivery.objects.get(verdict="duplicate")
    assert (again.repository, again.events) == (repository, ["Pushed"])
    assert first in again.sentence
    assert len(heard) == 1


def test_same_id_with_another_body_is_another_delivery(hook: Webhook) -> None:
    post_push(hook, id="7")
    other = json.dumps({**json.loads(PUSH), "after": "c" * 40}).encode()
    assert post(hook, other, github_headers(other, id="7")).status_code == 202


def test_same_id_at_another_hook_is_another_delivery(hook: Webhook, principal: Principal, team: Team) -> None:
    other, _ = webhooks.create_hook(principal, team, "github", secret=SECRET)
    assert [post_push(one, id="7").status_code for one in (hook, other)] == [202, 202]


def test_without_an_id_the_same_body_counts_once_for_ten_minutes(hook: Webhook) -> None:
    start = dt.datetime(2026, 11, 21, 10, 0, 5, tzinfo=dt.UTC)
    answers = []
    for minutes in (0, 9, 10):
        with time_machine.travel(start + dt.timedelta(minutes=minutes), tick=False):
            answers.append(post_push(hook).status_code)
    assert answers == [202, 200, 202]


@pytest.mark.django_db(transaction=True)
def test_duplicates_at_the_same_moment(hook: Webhook, repository: Repository, heard: list[Event]) -> None:
    answers: list[int] = []
    together = threading.Barrier(6)

    def send() -> None:
        together.wait()
        answers.append(post_push(hook, id="7").status_code)
        connections.close_all()

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] * 5 + [202]
    assert len(heard) == 1


def test_a_failing_subscriber_is_not_the_senders_trouble(
    hook: Webhook, repository: Repository, failing: None
) -> None:
    answer = post_push(hook)
    assert (answer.status_code, answer.json()["verdict"]) == (202, "error")
    delivery = Delivery.objects.get()
    assert delivery.verdict == "error"
    assert "ValueError" in delivery.sentence
    assert receiving.body_of(delivery) == PUSH
    assert Webhook.objects.get().name != "half done"


def test_an_integrity_error_of_something_else_is_not_a_duplicate(
    hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise IntegrityError("something else")

    monkeypatch.setattr(receiving, "_touch", refuse)
    headers = github_headers(PUSH)
    with pytest.raises(Delivery.DoesNotExist):
        receiving.receive(hook, headers, PUSH)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("authentic", [True, False])
def test_a_webhook_that_is_deleted_meanwhile_answers_404(hook: Webhook, *, authentic: bool) -> None:
    headers = github_headers(PUSH if authentic else b"another body")
    Webhook.objects.filter(pk=hook.pk).delete()
    received = receiving.receive(hook, headers, PUSH)
    assert (received.status, received.sentence) == (404, "The webhook at this address was deleted.")
    assert not Delivery.objects.exists()


# --- replay --------------------------------------------------------------------------------------


def test_replay(hook: Webhook, principal: Principal, repository: Repository, heard: list[Event]) -> None:
    post_push(hook, id="7")
    first = Delivery.objects.get()
    again = receiving.replay(principal, first)
    assert again.pk != first.pk
    assert (again.replay_of, again.verdict, again.repository) == (first, "accepted", repository)
    assert receiving.body_of(again) == PUSH
    assert [event.heard for event in heard] == ["webhook", "replay"]
    assert heard[1].delivery_id == again.pk
    assert AuditEvent.objects.get(action="delivery.replay").object_id == str(first.pk)
    receiving.replay(principal, first)
    assert len(heard) == 3


def test_replay_starts_a_run_that_says_so(
    hook: Webhook, principal: Principal, repository: Repository
) -> None:
    post_push(hook)
    Trigger.objects.create(job=make_job(repository.team), repository=repository, event="Pushed", ref="main")
    receiving.replay(principal, Delivery.objects.get())
    assert Run.objects.get().trigger == "replay"


def test_what_cannot_be_replayed(hook: Webhook, principal: Principal) -> None:
    post(hook, PUSH, {})
    post(hook, b"{", github_headers(b"{"))
    post_push(hook, id="7")
    post_push(hook, id="7")
    for verdict in ("unauthentic", "unreadable", "duplicate"):
        with pytest.raises(Conflict, match=verdict):
            receiving.replay(principal, Delivery.objects.get(verdict=verdict))


def test_replay_after_the_body_was_pruned(hook: Webhook, principal: Principal) -> None:
    post_push(hook)
    DeliveryBody.objects.all().delete()
    with pytest.raises(NotFound, match="not kept"):
        receiving.replay(principal, Delivery.objects.get())


def test_replay_needs_an_operator(hook: Webhook) -> None:
    post_push(hook)
    with pytest.raises(NotAllowed):
        receiving.replay(Principal(make_user(), {hook.team_id: Role.VIEWER}), Delivery.objects.get())

"""From a change of state to a message that arrives: stored with the change, sent until taken.

Nothing is sent inside a transaction. Any number of deliverers may run at once; a message arrives
at least once, and every time under the same id.
"""

from __future__ import annotations

import datetime as dt
import logging
import random
import secrets
import uuid
from collections.abc import Sequence

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import DateTimeField, ExpressionWrapper, F, QuerySet
from django.db.models.expressions import Combinable
from django.db.models.functions import Now

from opssight.core.clock import now
from opssight.core.env import Env
from opssight.core.errors import ErrorClass, Failure, TransientFailure
from opssight.core.redact import redact
from opssight.notices.channels import CHANNELS
from opssight.notices.message import Message
from opssight.notices.models import Channel, NoticeRule, NoticeState, Outbox, Severity

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 10
MAX_AGE = dt.timedelta(days=1)  # older news is not sent any more
FIRST_WAIT, LONGEST_WAIT = 10.0, 3_600.0  # seconds
BATCH = 200  # rows per transaction: SQLite has one writer


def report(
    *,
    team_id: uuid.UUID,
    topic: str,
    subject: str,
    state: str,
    severity: Severity,
    sentence: str,
    url: str = "",
    fields: Sequence[tuple[str, str]] = (),
    title: str = "",
) -> int:
    """Tell the channels of the team that `subject` (at most 200 characters) is now in `state`.

    Call it on every occasion, inside the transaction of the change: each rule tells a state once,
    when it begins and is bad enough, and once more when it is over. `url` may be a path of ours.
    Returns how many messages will be sent.
    """
    message = _message(topic, subject, state, Severity(severity), title, sentence, url, fields)
    told: dict[uuid.UUID, str] = {}
    with transaction.atomic():
        for rule in NoticeRule.objects.filter(team_id=team_id, enabled=True, channel__enabled=True):
            if rule.wants(topic) and (change := _change(rule, message)):
                told.setdefault(rule.channel_id, f"{rule.pk}:{change}:{message.subject}")
        for channel_id, key in told.items():
            _store(channel_id, key, message)
    return len(told)


def announce(
    *,
    team_id: uuid.UUID,
    topic: str,
    key: str,
    title: str,
    sentence: str,
    url: str = "",
    fields: Sequence[tuple[str, str]] = (),
) -> int:
    """Tell that something happened, once for each `key`, to the channels of which a rule names the topic.

    Other than `report`, it is no state that begins and ends: every time counts, whatever the severity
    of the rule. A rule for everything does not ask for it. Returns how many messages will be sent.
    """
    message = _message(topic, key, "happened", Severity.INFO, title, sentence, url, fields)
    rules = NoticeRule.objects.filter(team_id=team_id, enabled=True, channel__enabled=True)
    channels = {rule.channel_id: None for rule in rules if rule.topics and rule.wants(topic)}
    told = 0
    for channel_id in channels:
        try:
            with transaction.atomic():
                _store(channel_id, f"{topic}:{key}", message)
        except IntegrityError:  # it was told before
            continue
        told += 1
    return told


def _message(
    topic: str,
    subject: str,
    state: str,
    severity: Severity,
    title: str,
    sentence: str,
    url: str,
    fields: Sequence[tuple[str, str]],
) -> Message:
    return Message(
        topic=topic,
        subject=subject[:200],
        state=state[:40],
        severity=severity,
        title=redact(title or sentence)[:300],
        sentence=redact(sentence),
        url=f"{settings.PUBLIC_URL}{url}" if url.startswith("/") else url,
        fields=tuple((label, redact(str(value))) for label, value in fields),
        at=now(),
    )


def _store(channel_id: uuid.UUID, key: str, message: Message) -> Outbox:
    return Outbox.objects.create(
        channel_id=channel_id,
        dedupe_key=f"{channel_id}:{key}",
        message_id=f"msg_{secrets.token_hex(16)}",
        message=message.to_json(),
    )


def _change(rule: NoticeRule, message: Message) -> int:
    """The number of the change to tell, or 0. Of two who report the same change one gets it."""
    worth = message.severity >= rule.min_severity
    for _ in range(5):
        row = NoticeState.objects.filter(rule=rule, subject=message.subject).first()
        if row is None:
            try:
                with transaction.atomic():
                    NoticeState.objects.create(
                        rule=rule, subject=message.subject, last_state=message.state, open=worth, changes=1
                    )
            except IntegrityError:
                continue
            return 1 if worth else 0
        if row.last_state == message.state and (row.open or not worth):
            return 0
        unchanged = NoticeState.objects.filter(pk=row.pk, changes=row.changes)
        if unchanged.update(last_state=message.state, open=worth, changes=F("changes") + 1):
            return row.changes + 1 if worth or row.open else 0
    return 0


# --- sending ------------------------------------------------------------------------------------------


def deliver_due(limit: int = 50) -> int:
    """Send up to `limit` messages that are due; how many arrived. Raises RuntimeError in a transaction.

    A channel that fails is not asked again in the same call, so that it holds nobody up.
    """
    _refuse_in_transaction()
    arrived, failing = 0, set[uuid.UUID]()
    for pk, channel_id in list(_due().order_by("due_at", "id").values_list("pk", "channel_id")[:limit]):
        entry = None if channel_id in failing else _claim(pk)
        if entry is None:
            continue
        if _deliver(entry):
            arrived += 1
        else:
            failing.add(channel_id)
    return arrived


def send_test(channel: Channel) -> str:
    """Send a test message now, past the outbox; the sentence for who asked. Raises a `Failure`.

    What comes out is kept on the channel.
    """
    _refuse_in_transaction()
    message = Message(
        topic="test",
        subject="test",
        state="ok",
        severity=Severity.INFO,
        title="Test message",
        sentence="If you can read this, OpsSight can reach you here.",
        url=settings.PUBLIC_URL,
        fields=(("Channel", channel.name),),
        at=now(),
    )
    try:
        CHANNELS[channel.scheme].send(channel, f"msg_{secrets.token_hex(16)}", message)
    except Failure as failure:
        Channel.objects.filter(pk=channel.pk).update(sentence=redact(failure.sentence))
        raise
    _note_ok(channel.pk)
    return f"A test message was sent to {channel.name}."


def prune(days: int) -> int:
    """Delete messages that were finished more than `days` ago; how many."""
    deleted = 0
    old = Outbox.objects.filter(created_at__lt=now() - dt.timedelta(days=days))
    finished = old.exclude(delivered_at=None, gave_up_at=None)
    while batch := list(finished.values_list("pk", flat=True)[:BATCH]):
        deleted += Outbox.objects.filter(pk__in=batch).delete()[0]
    return deleted


def waiting() -> QuerySet[Outbox]:
    """Messages that are neither delivered nor given up, of channels that are switched on."""
    return Outbox.objects.filter(delivered_at=None, gave_up_at=None, channel__enabled=True)


def _due() -> QuerySet[Outbox]:
    return waiting().filter(due_at__lte=Now())


def _claim(pk: int) -> Outbox | None:
    """Take a message by moving its due time past the longest attempt; None when another was first."""
    env: Env = settings.ENV
    lease = 2 * env.http_seconds + 60
    due = Outbox.objects.filter(pk=pk, delivered_at=None, gave_up_at=None, due_at__lte=Now())
    if not due.update(due_at=_in(lease), attempts=F("attempts") + 1):
        return None
    return Outbox.objects.select_related("channel").get(pk=pk)


def _deliver(entry: Outbox) -> bool:
    if now() - entry.created_at > MAX_AGE:
        _give_up(entry, "The message was not sent within a day and is too old now.")
        return False
    channel = entry.channel
    try:
        CHANNELS[channel.scheme].send(channel, entry.message_id, Message.from_json(entry.message))
    except Failure as failure:
        _note_failure(entry, failure)
        return False
    except Exception as error:
        logger.exception("message %s could not be sent", entry.message_id)
        _note_failure(entry, TransientFailure(f"Sending failed unexpectedly ({type(error).__name__})."))
        return False
    _mine(entry).update(delivered_at=Now(), error="")
    _note_ok(channel.pk)
    return True


def _mine(entry: Outbox) -> QuerySet[Outbox]:
    """The message as long as nobody else has claimed it since."""
    return Outbox.objects.filter(pk=entry.pk, attempts=entry.attempts, delivered_at=None)


def _note_ok(channel_id: uuid.UUID) -> None:
    Channel.objects.filter(pk=channel_id).update(last_ok_at=Now(), sentence="")


def _note_failure(entry: Outbox, failure: Failure) -> None:
    """Try later when that can help, else give up."""
    sentence = redact(failure.sentence)
    if failure.error_class == ErrorClass.RATE_LIMITED and failure.retry_at is not None:
        wait = max((failure.retry_at - now()).total_seconds(), 1.0)  # not counted as an attempt
        _mine(entry).update(due_at=_in(wait), attempts=F("attempts") - 1, error=sentence)
    elif failure.retryable and entry.attempts < MAX_ATTEMPTS:
        _mine(entry).update(due_at=_in(_wait(entry.attempts)), error=sentence)
    elif failure.retryable:
        _give_up(entry, f"{sentence} It was tried {entry.attempts} times.")
    else:
        _give_up(entry, sentence)
    logger.warning("message %s was not taken: %s", entry.message_id, sentence)


def _give_up(entry: Outbox, sentence: str) -> None:
    if _mine(entry).update(gave_up_at=Now(), error=sentence):
        Channel.objects.filter(pk=entry.channel_id).update(
            sentence=f"A message was not delivered. {sentence}"
        )


def _wait(attempts: int) -> float:
    """Seconds until the next attempt: three times as long each time, give or take a quarter."""
    spread = random.uniform(0.75, 1.25)  # noqa: S311 - only to spread load
    return float(min(FIRST_WAIT * 3 ** (attempts - 1), LONGEST_WAIT) * spread)


def _in(seconds: float) -> Combinable:
    """The database's time in so many seconds."""
    return ExpressionWrapper(Now() + dt.timedelta(seconds=seconds), output_field=DateTimeField())


def _refuse_in_transaction() -> None:
    if connection.in_atomic_block:
        raise RuntimeError("Messages must not be sent inside a database transaction.")

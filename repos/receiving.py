"""Deliveries: judging them, storing them, and telling what they say.

A delivery is stored in one transaction with what it changes and the runs that answer it, and answered
at once. The webhook's row says which verifier is used, the request's headers never do.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from opssight.accounts.models import Role
from opssight.accounts.scope import Principal
from opssight.audit.actor import Actor, acting_as, current_actor
from opssight.audit.record import record
from opssight.core.clock import now
from opssight.core.env_kinds import Rate
from opssight.core.errors import Conflict, NotFound
from opssight.core.words import join_words
from repos import sources
from repos.delivery_routing import Heard, events_of, heard_of, names_of, told_of
from repos.events import publish
from repos.models import Delivery, DeliveryBody, Webhook
from repos.providers.errors import Unreadable
from repos.providers.registry import scheme_named
from repos.providers.types import Parsed

Verdict = Delivery.Verdict
Headers = Mapping[str, str]  # with lower-case names

_KEEP_OF_STRANGERS = 200  # rows of a sort for each hook: anybody who knows the address can make them
_TOUCH_SECONDS = 5  # how precise "last delivery" is
_WITHOUT_ID_SECONDS = 600  # the same body without an id is the same delivery for so long
_NOT_SIGNED = "The signature is missing or does not fit. Enter this webhook's secret at the sender."

_NOBODY = "nobody"  # how the keys of deliveries begin that are no team's
_UNAUTHENTIC = Q(verdict=Verdict.UNAUTHENTIC)
_OF_NOBODY = Q(delivery_key__startswith=f"{_NOBODY}:")


@dataclass(frozen=True)
class Received:
    """The answer to a delivery: HTTP status, verdict (empty: not judged) and the sentence for it."""

    status: int
    verdict: str
    sentence: str = ""
    delivery: Delivery | None = None
    retry_after: int = 0  # seconds


def receive(hook: Webhook, headers: Headers, body: bytes, source: str | None = None) -> Received:
    """Judge, store and act on one delivery. Never raises for what is in it.

    `source` is the address of the client, "" where nobody knows it; None for one that was made here.
    """
    try:
        return _receive(hook, headers, body, source)
    except (IntegrityError, Delivery.DoesNotExist):
        if Webhook.objects.filter(pk=hook.pk).exists():
            raise
        return Received(404, "", "The webhook at this address was deleted.")


def _receive(hook: Webhook, headers: Headers, body: bytes, source: str | None) -> Received:
    scheme = scheme_named(hook.scheme)
    if source is not None and not sources.is_allowed(hook.allowed_sources, source):
        return _unauthentic(hook, headers, body, sources.refusal(source))
    if scheme.opens(headers) and _is_above(settings.HOOK_REFUSED_RATE, hook, _UNAUTHENTIC):
        return _too_many(settings.HOOK_REFUSED_RATE)  # before a stranger's body costs anything
    if not scheme.verify(headers, body, [hook.secret, hook.previous_secret]):
        return _unauthentic(hook, headers, body, _NOT_SIGNED)
    if _is_above(settings.HOOK_RATE, hook, ~(_UNAUTHENTIC | _OF_NOBODY)):
        return _too_many(settings.HOOK_RATE)
    try:
        parsed = scheme.parse(headers, body)
    except Unreadable as error:
        delivery = _delivery(hook, headers, body, Verdict.UNREADABLE, error.sentence)
        _store(delivery, None if hook.instance_id else body)  # of an app: nobody knows whose it is
        return Received(400, Verdict.UNREADABLE, error.sentence, delivery)
    delivery = _judged(hook, headers, body, parsed)
    heard = heard_of(hook, parsed)
    if hook.instance_id and heard.team_id is None:
        return _of_nobody(hook, delivery, heard.sentence)
    try:
        _store_and_act(hook, delivery, body, parsed, heard, how="webhook")
    except IntegrityError:
        return _duplicate(hook, delivery)
    return Received(_ANSWERS[Verdict(delivery.verdict)], delivery.verdict, delivery.sentence, delivery)


# a failing subscriber is our trouble, not the sender's
_ANSWERS = {Verdict.ACCEPTED: 202, Verdict.ERROR: 202, Verdict.IGNORED: 204}


def replay(principal: Principal, delivery: Delivery) -> Delivery:
    """Act on a stored delivery once more, as a new delivery that names the old one.

    Conflict for one that was not authentic or not readable, NotFound when its body was pruned.
    """
    principal.require(Role.OPERATOR, delivery.team_id)
    if delivery.verdict in (Verdict.UNAUTHENTIC, Verdict.UNREADABLE, Verdict.DUPLICATE):
        raise Conflict(f"This delivery was {delivery.get_verdict_display()}, so there is nothing to replay.")
    body = body_of(delivery)
    hook = delivery.webhook
    parsed = scheme_named(hook.scheme).parse(delivery.headers, body)
    heard = heard_of(hook, parsed)
    if hook.instance_id and heard.team_id != delivery.team_id:
        raise Conflict("What this came from is not connected in this team any more: there is nothing to do.")
    again = _judged(hook, delivery.headers, body, parsed)
    again.delivery_key, again.replay_of = _key_of_its_own("replay"), delivery
    with transaction.atomic():
        _store_and_act(hook, again, body, parsed, heard, how="replay")
        record(
            "delivery.replay",
            team_id=delivery.team_id,
            target=("delivery", delivery.pk, delivery.event),
            diff={"new": str(again.pk)},
        )
    return again


def body_of(delivery: Delivery) -> bytes:
    """The raw body as it came. NotFound when it was never stored or is pruned."""
    stored = DeliveryBody.objects.filter(pk=delivery.pk).first()
    if stored is None:
        if _is_of_nobody(delivery):
            raise NotFound("Bodies of deliveries that concern no team are not kept.")
        raise NotFound("The body of this delivery is not kept (any more). Ask the sender to deliver again.")
    return zlib.decompress(bytes(stored.body))


def _is_of_nobody(delivery: Delivery) -> bool:
    """Whether it came to a GitHub App, and from no installation that a team connected."""
    unread = delivery.verdict == Verdict.UNREADABLE
    return bool(delivery.webhook.instance_id) and (unread or delivery.delivery_key.startswith(f"{_NOBODY}:"))


def _judged(hook: Webhook, headers: Headers, body: bytes, parsed: Parsed) -> Delivery:
    """The delivery as it will be stored, not yet saved."""
    verdict, sentence = Verdict.ACCEPTED, ""
    if not parsed.pushes and not parsed.news:
        verdict, sentence = Verdict.IGNORED, f"A {parsed.event} is understood, and nothing is done for it."
    elif hook.state == Webhook.State.PAUSED:
        verdict, sentence = Verdict.IGNORED, "The webhook is paused. Resume it and replay this delivery."
    delivery = _delivery(hook, headers, body, verdict, sentence)
    delivery.event = parsed.event
    delivery.events = names_of(parsed)
    delivery.delivery_key = _key(parsed.delivery_id, delivery.body_sha256)
    return delivery


def _delivery(hook: Webhook, headers: Headers, body: bytes, verdict: str, sentence: str) -> Delivery:
    kept = {name: headers[name][:500] for name in scheme_named(hook.scheme).headers if name in headers}
    return Delivery(
        webhook=hook,
        team_id=hook.team_id,
        delivery_key=_key_of_its_own(verdict),
        verdict=verdict,
        sentence=sentence,
        headers=kept,
        body_sha256=hashlib.sha256(body).hexdigest(),
        body_bytes=len(body),
    )


def _store(delivery: Delivery, body: bytes | None) -> None:
    packed = None if body is None else zlib.compress(body)
    with transaction.atomic():
        delivery.save(force_insert=True)
        if packed is not None:
            DeliveryBody.objects.create(delivery=delivery, body=packed)


def _store_and_act(
    hook: Webhook, delivery: Delivery, body: bytes, parsed: Parsed, heard: Heard, *, how: str
) -> None:
    """Store the delivery together with what it causes. IntegrityError when it was here before."""
    delivery.repository_id = heard.repository_id
    delivery.team_id = heard.team_id or hook.team_id
    if delivery.verdict == Verdict.ACCEPTED:
        delivery.sentence = heard.sentence or told_of(parsed)
        delivery.verdict = Verdict.ACCEPTED if heard.wanted else Verdict.IGNORED
    packed = zlib.compress(body)
    with transaction.atomic():
        delivery.save(force_insert=True)
        DeliveryBody.objects.create(delivery=delivery, body=packed)
        if delivery.verdict == Verdict.ACCEPTED:
            _tell(hook, delivery, heard, parsed, how)
        _touch(hook)


def _tell(hook: Webhook, delivery: Delivery, heard: Heard, parsed: Parsed, how: str) -> None:
    failures = []
    # who asks for a replay is the one who acts
    actor = Actor.of_webhook(hook.pk, str(hook)) if how == "webhook" else current_actor()
    with acting_as(actor):
        for event in events_of(hook, delivery, heard, parsed, how):
            failures += publish(event)
    if failures:
        delivery.verdict = Verdict.ERROR
        delivery.sentence = (
            f"Stored, but acting on it failed in {join_words(failures)}. Replay it once that is mended."
        )
        delivery.save(update_fields=["verdict", "sentence"])


def _duplicate(hook: Webhook, delivery: Delivery) -> Received:
    """The answer to what was delivered before: noted, and nothing done."""
    first = Delivery.objects.get(webhook=hook, delivery_key=delivery.delivery_key)
    sentence = f"The same was delivered before ({first.pk})."
    again = Delivery(
        webhook=hook,
        team_id=first.team_id,
        delivery_key=_key_of_its_own(Verdict.DUPLICATE),
        verdict=Verdict.DUPLICATE,
        sentence=sentence,
        event=delivery.event,
        events=delivery.events,
        headers=delivery.headers,
        body_sha256=delivery.body_sha256,
        body_bytes=delivery.body_bytes,
        repository_id=first.repository_id,
    )
    with transaction.atomic():
        Delivery.objects.filter(pk=first.pk).update(duplicates=F("duplicates") + 1)
        again.save(force_insert=True)
    return Received(200, Verdict.DUPLICATE, sentence, again)


def _unauthentic(hook: Webhook, headers: Headers, body: bytes, sentence: str) -> Received:
    rate: Rate = settings.HOOK_REFUSED_RATE
    if _is_above(rate, hook, _UNAUTHENTIC):
        return _too_many(rate)
    delivery = _delivery(hook, headers, body, Verdict.UNAUTHENTIC, sentence)
    _store_few(delivery, _UNAUTHENTIC)
    return Received(401, Verdict.UNAUTHENTIC, sentence, delivery)


def _of_nobody(hook: Webhook, delivery: Delivery, sentence: str) -> Received:
    """What a GitHub App sends of an installation that no team connected: none of them may read it.

    It takes nothing of what the others may send. A later one with the same id counts: by then a team may
    have connected it.
    """
    delivery.verdict, delivery.delivery_key = Verdict.IGNORED, _key_of_its_own(_NOBODY)
    delivery.sentence = sentence if delivery.events else delivery.sentence
    if _is_above(settings.HOOK_REFUSED_RATE, hook, _OF_NOBODY):
        return Received(204, Verdict.IGNORED, delivery.sentence)
    _store_few(delivery, _OF_NOBODY)
    _touch(hook)
    return Received(204, Verdict.IGNORED, delivery.sentence, delivery)


def _store_few(delivery: Delivery, which: Q) -> None:
    """Stored without its body, and only the newest of them: a stranger must not fill the disk."""
    _store(delivery, None)
    rows = Delivery.objects.filter(which, webhook_id=delivery.webhook_id).order_by("-id")
    old = list(rows.values_list("pk", flat=True)[_KEEP_OF_STRANGERS : _KEEP_OF_STRANGERS + 200])
    if old:
        Delivery.objects.filter(pk__in=old).delete()


def _is_above(rate: Rate, hook: Webhook, which: Q) -> bool:
    since = Now() - dt.timedelta(seconds=rate.seconds)
    rows = Delivery.objects.filter(which, webhook=hook, received_at__gte=since)
    return rows[: rate.count].count() >= rate.count


def _too_many(rate: Rate) -> Received:
    sentence = f"More than {rate.count} deliveries in {rate.seconds} s. Send this one again later."
    return Received(429, "", sentence, retry_after=rate.seconds)


def _touch(hook: Webhook) -> None:
    if hook.last_delivery_at is None or (now() - hook.last_delivery_at).total_seconds() > _TOUCH_SECONDS:
        Webhook.objects.filter(pk=hook.pk).update(last_delivery_at=Now())


def _key(delivery_id: str, body_sha256: str) -> str:
    """What makes a delivery unique: the sender's id with the body, or the body for ten minutes."""
    if not delivery_id:
        return f"body:{body_sha256}:{int(now().timestamp()) // _WITHOUT_ID_SECONDS}"
    digest = hashlib.sha256(f"{delivery_id}\n{body_sha256}".encode()).hexdigest()
    return f"id:{digest}"


def _key_of_its_own(word: str) -> str:
    return f"{word}:{uuid.uuid4()}"

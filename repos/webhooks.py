"""Webhooks in: verifying, storing and understanding deliveries; the hooks themselves.

A delivery is stored in one transaction with the runs that answer it, and answered at once. Its row
says which verifier is used, the request's headers never do.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets as random
import uuid
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from opssight.accounts.models import Role, Team
from opssight.accounts.scope import Principal
from opssight.audit.record import record
from opssight.core.clock import now
from opssight.core.env_kinds import Rate
from opssight.core.errors import Conflict, InvalidInput, NotFound
from opssight.core.words import join_words
from repos.events import Pushed, publish
from repos.models import Connection, Delivery, DeliveryBody, Repository, Webhook
from repos.providers.errors import Unreadable
from repos.providers.registry import scheme_named
from repos.providers.types import Parsed, Push

Verdict = Delivery.Verdict
Headers = Mapping[str, str]  # with lower-case names

_KEEP_UNAUTHENTIC = 200  # rows for each hook: anybody who knows the address can make them
_TOUCH_SECONDS = 5  # how precise "last delivery" is
_WITHOUT_ID_SECONDS = 600  # the same body without an id is the same delivery for so long
_MOST_REPOSITORIES = 50  # of one name, in several connections of the team


@dataclass(frozen=True)
class Received:
    """The answer to a delivery: HTTP status, verdict (empty: not judged) and the sentence for it."""

    status: int
    verdict: str
    sentence: str = ""
    delivery: Delivery | None = None
    retry_after: int = 0  # seconds


def receive(hook: Webhook, headers: Headers, body: bytes) -> Received:
    """Judge, store and act on one delivery. Never raises for what is in it."""
    try:
        return _receive(hook, headers, body)
    except (IntegrityError, Delivery.DoesNotExist):
        if Webhook.objects.filter(pk=hook.pk).exists():
            raise
        return Received(404, "", "The webhook at this address was deleted.")


def _receive(hook: Webhook, headers: Headers, body: bytes) -> Received:
    scheme = scheme_named(hook.scheme)
    if not scheme.verify(headers, body, [hook.secret, hook.previous_secret]):
        return _unauthentic(hook, headers, body)
    if _is_above(settings.HOOK_RATE, hook, ~Q(verdict=Verdict.UNAUTHENTIC)):
        return _too_many(settings.HOOK_RATE)
    try:
        parsed = scheme.parse(headers, body)
    except Unreadable as error:
        delivery = _delivery(hook, headers, body, Verdict.UNREADABLE, error.sentence)
        _store(delivery, body)
        return Received(400, Verdict.UNREADABLE, error.sentence, delivery)
    delivery = _judged(hook, headers, body, parsed)
    try:
        _store_and_act(hook, delivery, body, parsed, heard="webhook")
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
    again = _judged(hook, delivery.headers, body, parsed)
    again.delivery_key, again.replay_of = _key_of_its_own("replay"), delivery
    with transaction.atomic():
        _store_and_act(hook, again, body, parsed, heard="replay")
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
        raise NotFound("The body of this delivery is not kept (any more). Ask the sender to deliver again.")
    return zlib.decompress(bytes(stored.body))


def create_hook(
    principal: Principal,
    team: Team,
    scheme: str,
    *,
    name: str = "",
    secret: str = "",
    connection: Connection | None = None,
    repository: Repository | None = None,
) -> tuple[Webhook, str]:
    """A new webhook and its secret, which is made when none is given and never shown again.

    Bound to a repository, its deliveries are about that one whatever name the sender uses; bound to
    a connection, they are looked up there; else among all repositories of the team.
    """
    principal.require(Role.ADMIN, team.pk)
    label = scheme_named(scheme).label
    for bound in (connection, repository):
        if bound is not None and bound.team_id != team.pk:
            raise InvalidInput("This belongs to another team. Choose one of this team.")
    secret = _secret(secret)
    hook = Webhook(team=team, scheme=scheme, secret=secret, connection=connection, repository=repository)
    hook.name = _name(name or (f"{label}: {repository.full_name}" if repository else label))
    with transaction.atomic():
        hook.save(force_insert=True)
        record("webhook.create", team_id=team.pk, target=_target(hook), diff={"scheme": scheme})
    return hook, secret


@transaction.atomic
def update_hook(
    principal: Principal, hook: Webhook, *, name: str | None = None, paused: bool | None = None
) -> Webhook:
    """Rename, pause (deliveries are stored and not acted on) or resume a webhook."""
    principal.require(Role.ADMIN, hook.team_id)
    before = {"name": hook.name, "state": hook.state}
    hook.name = hook.name if name is None else _name(name)
    if paused is not None:
        hook.state = Webhook.State.PAUSED if paused else Webhook.State.ACTIVE
    hook.save(update_fields=["name", "state"])
    after = {"name": hook.name, "state": hook.state}
    changed = {key: [before[key], after[key]] for key in after if before[key] != after[key]}
    record("webhook.update", team_id=hook.team_id, target=_target(hook), diff=changed)
    return hook


@transaction.atomic
def rotate_secret(principal: Principal, hook: Webhook, secret: str = "") -> str:
    """Give the webhook a new secret. The old one counts as well until `end_rotation`."""
    principal.require(Role.ADMIN, hook.team_id)
    hook.previous_secret, hook.secret = hook.secret, _secret(secret)
    shown = hook.secret
    hook.save(update_fields=["secret", "previous_secret"])
    record("webhook.rotate", team_id=hook.team_id, target=_target(hook))
    return shown


@transaction.atomic
def end_rotation(principal: Principal, hook: Webhook) -> None:
    """From now on only the newest secret counts."""
    principal.require(Role.ADMIN, hook.team_id)
    hook.previous_secret = ""
    hook.save(update_fields=["previous_secret"])
    record("webhook.end_rotation", team_id=hook.team_id, target=_target(hook))


@transaction.atomic
def delete_hook(principal: Principal, hook: Webhook) -> None:
    """Delete a webhook with its deliveries; its address answers 404 from then on."""
    principal.require(Role.ADMIN, hook.team_id)
    record("webhook.delete", team_id=hook.team_id, target=_target(hook))
    hook.delete()


def send_test(principal: Principal, hook: Webhook) -> Received:
    """A signed delivery that asks for nothing, through the same code as any other."""
    principal.require(Role.OPERATOR, hook.team_id)
    headers, body = scheme_named(hook.scheme).example(hook.secret)
    return receive(hook, headers, body)


def url_of(hook: Webhook) -> str:
    """What to enter at the sender."""
    return f"{str(settings.PUBLIC_URL).rstrip('/')}{hook.path}"


def _judged(hook: Webhook, headers: Headers, body: bytes, parsed: Parsed) -> Delivery:
    """The delivery as it will be stored, not yet saved."""
    verdict, sentence = Verdict.ACCEPTED, ""
    if not parsed.pushes:
        verdict, sentence = Verdict.IGNORED, f"A {parsed.event} is understood, and nothing is done for it."
    elif hook.state == Webhook.State.PAUSED:
        verdict, sentence = Verdict.IGNORED, "The webhook is paused. Resume it and replay this delivery."
    delivery = _delivery(hook, headers, body, verdict, sentence)
    delivery.event = parsed.event
    delivery.events = [Pushed.__name__ for _ in parsed.pushes]
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


def _store_and_act(hook: Webhook, delivery: Delivery, body: bytes, parsed: Parsed, *, heard: str) -> None:
    """Store the delivery together with the runs it causes. IntegrityError when it was here before."""
    repositories = _repositories(hook, parsed)
    if repositories:
        delivery.repository_id = repositories[0]
    elif delivery.verdict == Verdict.ACCEPTED:
        name = parsed.repository_name or "that"
        delivery.sentence = f"No repository here is called {name}. Import it, or bind the webhook to one."
    packed = zlib.compress(body)
    with transaction.atomic():
        delivery.save(force_insert=True)
        DeliveryBody.objects.create(delivery=delivery, body=packed)
        if delivery.verdict == Verdict.ACCEPTED:
            _tell(delivery, repositories, parsed.pushes, heard)
        _touch(hook)


def _tell(delivery: Delivery, repositories: list[uuid.UUID], pushes: tuple[Push, ...], heard: str) -> None:
    failures = []
    for repository in repositories:
        for push in pushes:
            failures += publish(
                Pushed(
                    repository_id=repository,
                    heard=heard,
                    by=push.by,
                    delivery_id=delivery.pk,
                    ref=push.ref,
                    before=push.before,
                    after=push.after,
                )
            )
    if failures:
        delivery.verdict = Verdict.ERROR
        delivery.sentence = (
            f"Stored, but acting on it failed in {join_words(failures)}. Replay it once that is mended."
        )
        delivery.save(update_fields=["verdict", "sentence"])


def _repositories(hook: Webhook, parsed: Parsed) -> list[uuid.UUID]:
    """What the delivery is about: the bound repository, else those it names."""
    if hook.repository_id is not None:
        return [hook.repository_id]
    rows = Repository.objects.filter(team_id=hook.team_id).exclude(state=Repository.State.IGNORED)
    if hook.connection_id is not None:
        rows = rows.filter(connection_id=hook.connection_id)
    ids = rows.order_by("id").values_list("pk", flat=True)
    named = Q(full_name=parsed.repository_name)
    if parsed.repository_id:
        named |= Q(external_id=parsed.repository_id, connection__provider=hook.scheme)
    found = list(ids.filter(named)[:_MOST_REPOSITORIES])
    if found or not parsed.repository_name:
        return found
    return list(ids.filter(full_name__iexact=parsed.repository_name)[:_MOST_REPOSITORIES])


def _duplicate(hook: Webhook, delivery: Delivery) -> Received:
    """The answer to what was delivered before: noted, and nothing done."""
    first = Delivery.objects.get(webhook=hook, delivery_key=delivery.delivery_key)
    sentence = f"The same was delivered before ({first.pk})."
    again = Delivery(
        webhook=hook,
        team_id=hook.team_id,
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


def _unauthentic(hook: Webhook, headers: Headers, body: bytes) -> Received:
    """Stored without its body, and only the newest of them: a stranger must not fill the disk."""
    rate: Rate = settings.HOOK_REFUSED_RATE
    mine = Q(verdict=Verdict.UNAUTHENTIC)
    if _is_above(rate, hook, mine):
        return _too_many(rate)
    sentence = "The signature is missing or does not fit. Enter this webhook's secret at the sender."
    delivery = _delivery(hook, headers, body, Verdict.UNAUTHENTIC, sentence)
    _store(delivery, None)
    refused = Delivery.objects.filter(mine, webhook=hook).order_by("-id")
    old = list(refused.values_list("pk", flat=True)[_KEEP_UNAUTHENTIC : _KEEP_UNAUTHENTIC + 200])
    if old:
        Delivery.objects.filter(pk__in=old).delete()
    return Received(401, Verdict.UNAUTHENTIC, sentence, delivery)


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


def _secret(given: str) -> str:
    if not given.isprintable():
        sentence = "A secret is one line without control characters."
        raise InvalidInput(sentence, [("secret", sentence)])
    return given or random.token_urlsafe(32)


def _name(text: str) -> str:
    return " ".join(text.split())[:100]


def _target(hook: Webhook) -> tuple[str, Any, str]:
    return ("webhook", hook.pk, hook.name)

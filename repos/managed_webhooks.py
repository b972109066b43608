"""Webhooks that we register ourselves: made, mended and taken away at the provider.

A row is stored with its secret before its webhook is made there, and the webhook is found again by its
address. So there is one for each repository, whatever is killed in between.
"""

from __future__ import annotations

import datetime as dt
import secrets as random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

from django.db import transaction

from opssight.accounts.scope import Principal
from opssight.audit.record import record
from opssight.core.clock import now
from opssight.core.deadline import ending_within, is_over
from opssight.core.errors import (
    AuthFailure,
    Conflict,
    Failure,
    NotFound,
    PermanentFailure,
    RateLimited,
    TransientFailure,
)
from opssight.core.ids import as_uuid
from opssight.core.words import count, join_words
from repos import access, webhooks
from repos.beside import ask
from repos.limits import RESERVE
from repos.models import Connection, Repository, Webhook
from repos.providers.base import Provider
from repos.providers.forge import Forge, HookSpec, RemoteHook
from repos.providers.registry import provider_named
from repos.webhook_status import wanted, why_no_hooks

WAIT_SECONDS: Final = 10.0  # for the provider, before somebody is told that it has not answered
OVERLAP: Final = dt.timedelta(hours=24)  # for which the former secret counts as well
_GIVE_UP: Final = 20  # refusals, after which the rest is not asked for when nothing was registered
_NAMED: Final = 3  # repositories that a sentence names
_PATIENCE: Final = 3  # failures that may pass, after which the server is left alone

Remote = Webhook.Remote


class Steps(Protocol):
    """Is told how far it is, and may stop it by raising. A run's context is one."""

    def progress(self, phase: str, done: int = 0, total: int | None = None) -> None: ...
    def checkpoint(self, name: str) -> None: ...


class NoSteps:
    def progress(self, phase: str, done: int = 0, total: int | None = None) -> None:
        return

    def checkpoint(self, name: str) -> None:
        return


@dataclass
class Reconciled:
    """What was found and done, by full names; `why_not` says why nothing is registered at all."""

    wanted: int = 0
    registered: int = 0
    made: list[str] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)  # changed in their place, or made again
    switched_on: list[str] = field(default_factory=list)  # the provider had switched them off
    removed: list[str] = field(default_factory=list)
    refused: dict[str, list[str]] = field(default_factory=dict)  # sentence: for which repositories
    why_not: str = ""

    @property
    def sentence(self) -> str:
        if self.why_not:
            return self.why_not
        parts = [f"{self.registered} of {count(self.wanted, 'webhook')} registered"]
        words = (
            ("made", self.made),
            ("mended", self.mended),
            ("switched on again", self.switched_on),
            ("taken away", self.removed),
        )
        parts += [f"{len(names)} {word}" for word, names in words if names]
        refused = [f"{_named(names)}: {sentence}" for sentence, names in self.refused.items()]
        return " ".join([f"{', '.join(parts)}.", *refused])


def reconcile(connection: Connection, steps: Steps | None = None) -> Reconciled:
    """Make what is there what should be there: one webhook of ours for each imported repository.

    What the provider refuses for one repository is noted and the others go on. Raises a `Failure` that
    concerns the whole connection.
    """
    steps = steps or NoSteps()
    if why_not := why_no_hooks(connection):
        return Reconciled(why_not=why_not)
    client = _forge(connection)
    done, passing = Reconciled(), list[Failure]()
    _take_away(client, connection, done)
    repositories = _wanted(connection)
    done.wanted = len(repositories)
    for number, repository in enumerate(repositories):
        steps.progress("Webhooks", number, len(repositories))
        if sum(map(len, done.refused.values())) >= _GIVE_UP and not done.registered:
            _refused(done, next(iter(done.refused)), repository)
            continue
        try:
            _look_after(client, _row_of(repository), steps, done)
        except (AuthFailure, RateLimited):
            raise
        except TransientFailure as failure:
            passing.append(failure)
            if len(passing) == _PATIENCE:
                raise
        except Webhook.DoesNotExist:  # deleted by a person just now
            continue
        except Failure as failure:
            _note_refused(repository, failure.sentence)
            _refused(done, failure.sentence, repository)
    _end_rotations(connection)
    if passing:
        raise passing[0]
    return done


def mend(hook: Webhook) -> None:
    """Make one registered webhook what it should be. Raises a `Failure` when the provider does not."""
    if hook.connection is None or hook.repository is None:
        raise NotFound("This webhook is not one that OpsSight registered.")
    try:
        _look_after(_forge(hook.connection, reserve=0.0), hook, NoSteps(), Reconciled())
    except Failure as failure:
        if not isinstance(failure, (AuthFailure, RateLimited, TransientFailure)):
            _note_refused(hook.repository, failure.sentence)
        raise


# --- one repository -----------------------------------------------------------------------------------


def _look_after(client: Forge, row: Webhook, steps: Steps, done: Reconciled) -> None:
    repository = row.repository
    assert repository is not None  # noqa: S101 - those that we register belong to one
    looked_at = now()
    row.refresh_from_db(fields=["secret", "remote_id", "rotated_at", "remote_checked_at"])
    spec = HookSpec(webhooks.url_of(row), row.secret)
    mine, leftovers = _ours(row, spec.url, _listed(client, repository))
    for leftover in leftovers:
        client.delete_hook(repository.external_id, leftover.external_id)
    if mine is not None and _is_as_it_should_be(client, row, mine, spec):
        _note(row, mine, looked_at, "", client.label)
        done.registered += 1
        return
    hook = _made_so(client, repository.external_id, mine, spec)
    steps.checkpoint("hook-made")
    was_off = mine is not None and not mine.active
    what = "switched_on" if was_off else "made" if mine is None and not row.remote_id else "mended"
    sentence = _note(row, hook, looked_at, what, client.label)
    if hook.active:
        getattr(done, what).append(repository.full_name)
        done.registered += 1
    else:
        _refused(done, sentence, repository)


def _listed(client: Forge, repository: Repository) -> list[RemoteHook]:
    try:
        return client.hooks(repository.external_id)
    except NotFound:  # what forges answer to somebody who may not know
        raise PermanentFailure(
            f"{client.label} does not show its webhooks to this connection. Is it still there, and may the "
            "token administer it?"
        ) from None


def _ours(row: Webhook, url: str, there: Sequence[RemoteHook]) -> tuple[RemoteHook | None, list[RemoteHook]]:
    """The webhook of this row, and others of this installation whose row is gone or has two."""
    same = [one for one in there if one.external_id == row.remote_id or one.url == url]
    mine = next((one for one in same if one.external_id == row.remote_id), same[0] if same else None)
    prefix, _, _ = url.partition(str(row.pk))
    here = [one for one in there if one is not mine and one.url.startswith(prefix)]
    ids = {one.external_id: as_uuid(one.url.removeprefix(prefix).rstrip("/")) for one in here}
    # of another connection, which sees the same repository
    others = set(
        Webhook.objects.filter(pk__in=filter(None, ids.values()))
        .exclude(pk=row.pk)
        .values_list("pk", flat=True)
    )
    return mine, [one for one in here if ids[one.external_id] not in others]


def _is_as_it_should_be(client: Forge, row: Webhook, hook: RemoteHook, spec: HookSpec) -> bool:
    return (
        hook.active and hook.url == spec.url and client.hook_events <= set(hook.events) and not is_untold(row)
    )


def is_untold(row: Webhook) -> bool:
    """Whether the provider may not have the newest secret yet."""
    return row.rotated_at is not None and (
        row.remote_checked_at is None or row.remote_checked_at < row.rotated_at
    )


def _made_so(client: Forge, external_id: str, mine: RemoteHook | None, spec: HookSpec) -> RemoteHook:
    if mine is not None:
        try:
            return client.update_hook(external_id, mine.external_id, spec)
        except NotFound:  # somebody deleted it just now
            pass
    return client.create_hook(external_id, spec)


def _row_of(repository: Repository) -> Webhook:
    """The webhook of a repository that we look after, made here first when there is none."""
    rows = Webhook.objects.filter(repository=repository, managed=True).order_by("created_at")
    row = rows.first()
    if row is None:
        row = Webhook.objects.create(
            team_id=repository.team_id,
            connection=repository.connection,
            repository=repository,
            scheme=repository.connection.provider,
            name=f"{provider_named(repository.connection.provider).label}: {repository.full_name}"[:100],
            secret=random.token_urlsafe(32),
            managed=True,
        )
    row.repository = repository
    return row


def _note(row: Webhook, hook: RemoteHook, looked_at: dt.datetime, what: str, label: str) -> str:
    """Store how it stands there now, with the event of what was changed; answers the sentence for it."""
    sentence = ""
    if not hook.active:
        sentence = hook.disabled or f"{label} has switched it off."
    elif what == "switched_on":
        sentence = f"{label} had switched it off. It is on again."
    with transaction.atomic():
        Webhook.objects.filter(pk=row.pk).update(
            remote_id=hook.external_id[:100],
            remote_state=Remote.OK if hook.active else Remote.DISABLED,
            remote_sentence=sentence,
            remote_checked_at=looked_at,
        )
        if what:
            verbs = {"made": "register", "mended": "mend", "switched_on": "switch_on"}
            record(f"webhook.{verbs[what]}", team_id=row.team_id, target=("webhook", row.pk, row.name))
    return sentence


def _note_refused(repository: Repository, sentence: str) -> None:
    rows = Webhook.objects.filter(repository=repository, managed=True)
    rows.update(remote_state=Remote.REFUSED, remote_sentence=sentence)


def _refused(done: Reconciled, sentence: str, repository: Repository) -> None:
    done.refused.setdefault(sentence, []).append(repository.full_name)


def _wanted(connection: Connection) -> list[Repository]:
    """New ones first: somebody may be waiting for them."""
    rows = list(wanted(connection).order_by("has_ours", "full_name"))
    for row in rows:
        row.connection = connection
    return rows


# --- taking away, rotating, testing ---------------------------------------------------------------------


def _take_away(client: Forge, connection: Connection, done: Reconciled) -> None:
    """Webhooks of repositories that are not wanted here any more."""
    rows = connection.webhooks.filter(managed=True, repository__state=Repository.State.IGNORED)
    for row in rows.exclude(remote_id="").select_related("repository"):
        assert row.repository is not None  # noqa: S101 - by the filter
        try:
            client.delete_hook(row.repository.external_id, row.remote_id)
        except (AuthFailure, RateLimited, TransientFailure):
            raise
        except Failure as failure:
            _note_refused(row.repository, failure.sentence)
            continue
        with transaction.atomic():
            sentence = f"Taken away at {client.label}: the repository is ignored here."
            Webhook.objects.filter(pk=row.pk).update(
                remote_id="", remote_state=Remote.UNKNOWN, remote_sentence=sentence, remote_checked_at=now()
            )
            record("webhook.take_away", team_id=row.team_id, target=("webhook", row.pk, row.name))
        done.removed.append(row.repository.full_name)


def delete(principal: Principal, hook: Webhook) -> str:
    """Delete a webhook with its deliveries, first at the provider for one that we registered.

    Answers why it may still stand there, "" when it does not. Waits for the provider, but not for long.
    """
    webhooks.require_change(principal, hook)
    stays = _remove_there(hook)
    with transaction.atomic():
        record("webhook.delete", team_id=hook.team_id, target=webhooks.target_of(hook))
        Webhook.objects.filter(pk=hook.pk).delete()
    return stays


def farewell(connection: Connection) -> Callable[[], int]:
    """For a connection that is about to be deleted: call what this answers afterwards, and it takes away the
    webhooks that were registered, for at most `WAIT_SECONDS`. Answers how many stay at the provider.
    """
    rows = Webhook.objects.filter(connection=connection, managed=True, repository__isnull=False)
    there = list(rows.exclude(remote_id="").values_list("repository__external_id", "remote_id"))
    if not there:
        return lambda: 0
    try:
        client = access.last_client_of(connection)
    except Failure:
        return lambda: len(there)
    return partial(_take_all_away, client, there)


def _take_all_away(client: Provider, there: Sequence[tuple[str, str]]) -> int:
    assert isinstance(client, Forge)  # noqa: S101 - only a forge has webhooks of its own
    stay, trouble = 0, 0
    with ending_within(WAIT_SECONDS):
        for external_id, remote_id in there:
            try:
                if trouble < _PATIENCE and not is_over():
                    client.delete_hook(external_id, remote_id)
                    continue
            except NotFound:
                continue
            except Failure:
                trouble += 1
            stay += 1
    return stay


def _remove_there(hook: Webhook) -> str:
    if hook.instance_id:
        return "GitHub goes on sending to it until the app is removed there."
    if not (hook.managed and hook.remote_id and hook.connection and hook.repository):
        return ""
    connection, repository = hook.connection, hook.repository

    def remove() -> None:
        _forge(connection, reserve=0.0).delete_hook(repository.external_id, hook.remote_id)

    key = ("hook", "delete", hook.pk)
    answer = ask(key, 0.0, remove, owner=connection.team_id, wait=WAIT_SECONDS)
    return "The provider has not answered yet." if answer.pending else answer.sentence


@transaction.atomic
def rotate(principal: Principal, hook: Webhook, secret: str = "") -> str:
    """A new secret, beside which the former one counts; answers what to enter at the sender.

    "" for a registered webhook: `mend` tells its provider, and the former one ends after 24 h. A secret
    that the provider was not told of is replaced: the one that it uses goes on to count. Conflict for the
    webhook of a GitHub App.
    """
    webhooks.require_change(principal, hook)
    if hook.instance_id:
        raise Conflict(
            "The webhook of a GitHub App keeps its secret: GitHub would have to be told of a new one, and "
            "that cannot be done from here."
        )
    if not is_untold(hook):
        hook.previous_secret = hook.secret
    hook.secret, hook.rotated_at = webhooks.secret_of(secret), now() if hook.managed else None
    hook.save(update_fields=["secret", "previous_secret", "rotated_at"])
    record("webhook.rotate", team_id=hook.team_id, target=webhooks.target_of(hook))
    return "" if hook.managed else hook.secret


@transaction.atomic
def end_rotation(principal: Principal, hook: Webhook) -> None:
    """From now on only the newest secret counts."""
    webhooks.require_change(principal, hook)
    hook.previous_secret = ""
    hook.save(update_fields=["previous_secret"])
    record("webhook.end_rotation", team_id=hook.team_id, target=webhooks.target_of(hook))


def _end_rotations(connection: Connection) -> None:
    for row in connection.webhooks.filter(managed=True, rotated_at__lte=now() - OVERLAP):
        if row.previous_secret and not is_untold(row):
            with transaction.atomic():
                Webhook.objects.filter(pk=row.pk).update(previous_secret="")
                record("webhook.end_rotation", team_id=row.team_id, target=("webhook", row.pk, row.name))


def ask_for_test(hook: Webhook) -> None:
    """Have the provider send a test; it arrives like any other delivery. Raises a `Failure`."""
    if not hook.remote_id or hook.connection is None or hook.repository is None:
        raise NotFound("The provider does not know this webhook. Check the connection, then try again.")
    _forge(hook.connection, reserve=0.0).test_hook(hook.repository.external_id, hook.remote_id)


def _forge(connection: Connection, reserve: float = RESERVE) -> Forge:
    client = access.client_of(connection, reserve=reserve)
    assert isinstance(client, Forge)  # noqa: S101 - only a forge has webhooks of its own
    return client


def _named(names: Sequence[str]) -> str:
    more = [f"{len(names) - _NAMED} more"] if len(names) > _NAMED else []
    return join_words([*names[:_NAMED], *more])

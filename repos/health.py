"""How a connection is: noted whenever it is used, told when it changes.

A connection whose credential is refused is dead until it is asked successfully or gets another
credential; trouble on the way meanwhile says nothing about that. What waits for it listens to
`HealthChanged`.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

from django.db import transaction
from django.urls import reverse

from opssight.core.clock import now
from opssight.core.errors import BlockedByOrganization, ErrorClass, Failure, Revoked
from opssight.core.outbound import AddressRefused
from opssight.core.words import count
from opssight.notices.models import Severity
from opssight.notices.outbox import report
from repos.events import HealthChanged, publish
from repos.models import DEAD_STATES, Connection, Repository
from repos.tokens import EARLY, REFRESH, TOKEN

SOON: Final = dt.timedelta(days=7)  # a token that ends within this time is worth a warning
_SEVERITY: Final = {
    Connection.State.UNKNOWN: Severity.INFO,
    Connection.State.OK: Severity.INFO,
    Connection.State.DEGRADED: Severity.WARNING,
    Connection.State.REAUTH: Severity.ERROR,
    Connection.State.REVOKED: Severity.ERROR,
    Connection.State.BLOCKED: Severity.ERROR,
}
_OK_EVERY_SECONDS = 60  # how often "still fine" is written down


def note_ok(connection: Connection) -> None:
    """The connection works. Written at most once a minute while nothing changes."""
    fresh = connection.last_ok_at and (now() - connection.last_ok_at).total_seconds() < _OK_EVERY_SECONDS
    if fresh and connection.state == Connection.State.OK:
        return
    _set_health(connection, Connection.State.OK, "", "", last_ok_at=now())


def note_failure(connection: Connection, failure: Failure, *, whole: bool = False) -> None:
    """The connection does not work as it should; what is wrong with one repository is not noted.

    `whole`: the connection itself was asked, so that also "not there" is about all of it.
    """
    kind = failure.error_class
    of_one = kind in (ErrorClass.NOT_FOUND, ErrorClass.CONFLICT) and not isinstance(failure, AddressRefused)
    if of_one and not whole:
        return
    _set_health(connection, _state_of(connection, failure, whole=whole), kind.value, failure.sentence)


def note_new_secret(connection: Connection) -> None:
    """It has another credential, which nobody has tried: what waits for the connection may try it."""
    if connection.state != Connection.State.UNKNOWN:
        _set_health(connection, Connection.State.UNKNOWN, "", "", checked_at=None)


def _state_of(connection: Connection, failure: Failure, *, whole: bool) -> Connection.State:
    if isinstance(failure, Revoked):
        return Connection.State.REVOKED
    if failure.error_class == ErrorClass.AUTH:
        return Connection.State.REAUTH
    if isinstance(failure, BlockedByOrganization) and (whole or not _has_other_owners(connection)):
        return Connection.State.BLOCKED
    return Connection.State.DEGRADED


def _has_other_owners(connection: Connection) -> bool:
    """Whether it works with several organizations: the rules of one say nothing about the others."""
    rows = Repository.objects.filter(connection=connection, state=Repository.State.ACTIVE)
    first = rows.values_list("full_name", flat=True).first() or ""
    return rows.exclude(full_name__startswith=f"{first.partition('/')[0]}/").exists()


def _set_health(
    connection: Connection, state: Connection.State, error_class: str, sentence: str, **more: Any
) -> None:
    """Store it, and tell whoever wants to know about a change."""
    values = {"state": state, "error_class": error_class, "sentence": sentence, "checked_at": now(), **more}
    with transaction.atomic():
        row = Connection.objects.select_for_update(no_key=True).only(
            "state", "error_class", "sentence", "team_id", "name"
        )
        before = row.filter(pk=connection.pk).first()
        if before is None:
            return
        if _keeps(before.state, state):
            values |= {"state": before.state, "error_class": before.error_class, "sentence": before.sentence}
            state = Connection.State(before.state)
        Connection.objects.filter(pk=connection.pk).update(**values)
        for name, value in values.items():
            setattr(connection, name, value)
        connection.team_id, connection.name = before.team_id, before.name  # it may have moved meanwhile
        _tell(connection, state)
        if before.dead != connection.dead:
            publish(HealthChanged(heard="health", connection_id=connection.pk, dead=connection.dead))


def _keeps(before: str, state: str) -> bool:
    """Whether what is new says less than what is known: only an answer shows that a credential is good."""
    if before == Connection.State.REVOKED and state == Connection.State.REAUTH:
        return True
    return before in DEAD_STATES and state == Connection.State.DEGRADED


def _tell(connection: Connection, state: Connection.State) -> None:
    report(
        team_id=connection.team_id,
        topic="connection.health",
        subject=f"connection {connection.pk}",
        state=state.value,
        severity=_SEVERITY[state],
        title=f"{connection.name}: {state.label}",
        sentence=connection.sentence or f"{connection.name} works.",
        url=reverse("connection", args=[connection.pk]),
    )


# --- tokens that end ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Life:
    """How long the token of a connection lives. None: it does not end, or nobody told.

    One with a refresh token is renewed at `renews_at`; the other ends for good.
    """

    ends_at: dt.datetime | None = None
    renews_at: dt.datetime | None = None
    renewed_at: dt.datetime | None = None  # when it was renewed last

    @property
    def ends_soon(self) -> bool:
        return self.renews_at is None and self.ends_at is not None and self.ends_at < now() + SOON


def life_of(connection: Connection) -> Life:
    """From its stored credentials; no query where they were fetched before."""
    rows = {row.purpose: row for row in connection.credentials.all()}
    token = rows.get(TOKEN)
    if token is None or token.expires_at is None:
        return Life()
    if REFRESH not in rows and not connection.installation_id:
        return Life(token.expires_at)
    renewed_at = token.updated_at if token.version > 1 else None
    return Life(token.expires_at, token.expires_at - EARLY, renewed_at)


def ending_sentence(ends_at: dt.datetime) -> str:
    """What to say of a token that ends soon, or ended."""
    days = round((ends_at - now()).total_seconds() / 86_400)
    if ends_at <= now():
        return "Its token has ended. Enter a new one."
    when = f"in {count(days, 'day')}" if days else "today"
    return f"Its token ends {when}. Enter a new one before its runs have to wait for it."


def note_life(connection: Connection, told: dt.datetime | None) -> None:
    """Remember when the provider says that the token ends, and warn in time. None: it did not say."""
    token = connection.credentials.filter(purpose=TOKEN).first()
    if token is None or connection.installation_id:
        return
    if connection.credentials.filter(purpose=REFRESH).exists():
        return
    if told is not None and told != token.expires_at:
        connection.credentials.filter(pk=token.pk).update(expires_at=told)
    life = life_of(connection)
    soon = life.ends_soon and life.ends_at is not None
    with transaction.atomic():
        report(
            team_id=connection.team_id,
            topic="connection.expiry",
            subject=f"token of connection {connection.pk}",
            state="ends_soon" if soon else "ok",
            severity=Severity.WARNING if soon else Severity.INFO,
            title=f"{connection.name}: its token {'ends soon' if soon else 'is valid'}",
            sentence=ending_sentence(life.ends_at) if soon and life.ends_at else "Its token is valid.",
            url=reverse("connection", args=[connection.pk]),
        )

"""Tokens that end: renewed before they do, by one worker at a time, and never under a database lock.

Many refresh tokens may be used once only. So whoever renews takes a lease on the credential first,
asks the provider outside of any transaction, and stores the new pair only if it still has the lease.
The others wait for the new version. If we die between the provider's answer and our commit, or the
answer is lost on the way, the refresh token may be spent: whoever asked stays written down as
`refresh_owner`, and when the next renewal is refused, the connection says that it has to be connected
again. A refusal that nothing of ours explains means that we were shut out there.
"""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Callable

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from opssight.core.clock import now
from opssight.core.errors import AuthFailure, Revoked, TransientFailure
from repos.models import Connection, Credential
from repos.providers.oauth import Grant

TOKEN, REFRESH = "token", "refresh_token"  # purposes of credentials
EARLY = dt.timedelta(minutes=5)
LEASE = dt.timedelta(seconds=60)  # longer than any answer is waited for
WAIT_SECONDS = 20.0

Refresher = Callable[[str], Grant]


class DatabaseTokens:
    """The token of one connection, shared by all workers. `refresh` asks the provider for a new pair."""

    def __init__(self, connection: Connection, refresh: Refresher) -> None:
        self._connection = connection
        self._refresh = refresh

    def current(self) -> str:
        row = self._row()
        if row.expires_at is None or row.expires_at > now() + EARLY or not self._refresh_token():
            return row.secret
        return self._renew(row)

    def renewed(self, refused: str) -> str:
        """Another token than the refused one: what others got meanwhile, or a new one. "" for none."""
        row = self._row()
        if row.secret != refused:
            return row.secret
        return self._renew(row) if self._refresh_token() else ""

    def _renew(self, row: Credential) -> str:
        owner = uuid.uuid4()
        ends = time.monotonic() + WAIT_SECONDS
        while not self._took(row, owner):
            if time.monotonic() > ends:
                raise TransientFailure(f"The access of {self._connection.name} is being renewed. Try again.")
            time.sleep(0.1)
            fresh = self._row()
            if fresh.version != row.version:
                return fresh.secret
            row = fresh
        unanswered = row.refresh_owner is not None  # somebody asked before, and stored no answer
        try:
            grant = self._refresh(self._refresh_token())
        except AuthFailure:
            self._let_go(row, owner, unanswered=unanswered)
            raise self._refused(unanswered=unanswered) from None
        except BaseException:
            self._let_go(row, owner, unanswered=True)
            raise
        return self._store(row, owner, grant)

    def _refused(self, *, unanswered: bool) -> AuthFailure:
        name = self._connection.name
        if unanswered:
            return AuthFailure(
                f"The access of {name} was being renewed when the answer was lost, and that can be done "
                "only once. Connect again."
            )
        return Revoked(
            f"The access of {name} is not renewed any more: it was taken back there, or not used for too "
            "long. Connect again."
        )

    def _took(self, row: Credential, owner: uuid.UUID) -> bool:
        free = Q(refresh_until=None) | Q(refresh_until__lt=Now())
        mine = Credential.objects.filter(free, pk=row.pk, version=row.version)
        return bool(mine.update(refresh_owner=owner, refresh_until=Now() + LEASE))

    def _let_go(self, row: Credential, owner: uuid.UUID, *, unanswered: bool) -> None:
        mine = Credential.objects.filter(pk=row.pk, refresh_owner=owner)
        mine.update(refresh_owner=owner if unanswered else None, refresh_until=None)

    def _store(self, row: Credential, owner: uuid.UUID, grant: Grant) -> str:
        with transaction.atomic():
            mine = Credential.objects.filter(pk=row.pk, version=row.version, refresh_owner=owner)
            if not mine.update(version=F("version") + 1, refresh_owner=None, refresh_until=None):
                return self._row().secret  # the lease ran out and another one was faster
            store_grant(self._connection, grant)
        return grant.token

    def _row(self) -> Credential:
        row = self._connection.credentials.filter(purpose=TOKEN).first()
        if row is None:
            raise AuthFailure(f"{self._connection.name} has no token. Connect again.")
        found: Credential = row
        return found

    def _refresh_token(self) -> str:
        row = self._connection.credentials.filter(purpose=REFRESH).first()
        return row.secret if row is not None else ""


class InstallationTokens(DatabaseTokens):
    """Of an installation of a GitHub App: what renews them is the app itself, at any time."""

    def _refresh_token(self) -> str:
        installation: str = self._connection.installation_id
        return installation

    def _refused(self, *, unanswered: bool) -> AuthFailure:
        name = self._connection.name
        return Revoked(f"The app of {name} was removed or suspended at GitHub. Install it again there.")


def store_grant(connection: Connection, grant: Grant) -> None:
    """Store what a provider gave; an old refresh token stays where no new one came."""
    pairs = [(TOKEN, grant.token, grant.expires_at)]
    pairs += [(REFRESH, grant.refresh_token, None)] if grant.refresh_token else []
    for purpose, secret, expires_at in pairs:
        store_secret(connection, purpose, secret, expires_at)


def store_secret(
    connection: Connection, purpose: str, secret: str, expires_at: dt.datetime | None = None
) -> None:
    """Store one secret in the place of the former. A renewal that goes on is not stored any more."""
    row = connection.credentials.filter(purpose=purpose).first()
    row = row or Credential(connection=connection, purpose=purpose)
    row.secret, row.expires_at = secret, expires_at
    row.refresh_owner = row.refresh_until = None
    row.save()

"""API tokens: `osp_<key>.<secret>`, shown once. Only a keyed hash of the secret is stored.

The hash is HMAC-SHA256 under a pepper made from the installation's keys, so a copy of the database
alone is not enough to try secrets. `pepper_id` names the key, so that keys can be rotated: a token
moves to the newest pepper when it is used.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import secrets
import string
from collections.abc import Iterable

from django.db import transaction
from django.db.models import Count, Q

from opssight.accounts.models import ApiToken, Role, Team, TeamOwnedQuerySet
from opssight.accounts.scope import NotAllowed, Principal, visible_to
from opssight.audit.record import record
from opssight.core import redact
from opssight.core.clock import now
from opssight.core.crypto import SecretUnreadable
from opssight.core.errors import InvalidInput
from opssight.core.keys import keyring

PREFIX = "osp_"
AREAS = ("connections", "repositories", "jobs", "runs", "deliveries", "teams", "tokens", "audit")
SCOPES = (*(f"{area}:{verb}" for area in AREAS for verb in ("read", "write")), "all")

_ALPHABET = string.ascii_letters + string.digits
_KEY_LENGTH, _SECRET_LENGTH = 12, 40
_USED_EVERY = dt.timedelta(minutes=1)
_PURPOSE = "api token pepper"


def issue(
    principal: Principal,
    team: Team,
    name: str,
    scopes: Iterable[str],
    expires_at: dt.datetime | None = None,
) -> tuple[ApiToken, str]:
    """Make a token that acts as its user in `team`; the text is returned this once.

    Raises InvalidInput, and NotAllowed when it would be allowed more than the one who asks.
    """
    wanted = sorted(set(scopes))
    name = name.strip()
    problems = _problems(name, wanted, expires_at)
    if problems:
        raise InvalidInput("The token was not made.", problems)
    principal.require(Role.VIEWER, team.pk)
    if principal.passing:
        raise NotAllowed("An access token makes no other token. Use an API token, or sign in.")
    _refuse_more(principal, wanted, expires_at)
    key, secret = _random(_KEY_LENGTH), _random(_SECRET_LENGTH)
    pepper_id = keyring().primary
    token = ApiToken(
        key=key,
        digest=_digest(pepper_id, key, secret),
        pepper_id=pepper_id,
        name=name,
        user=principal.user,
        team=team,
        scopes=wanted,
        expires_at=expires_at,
    )
    with transaction.atomic():
        token.save(force_insert=True)
        record(
            "token.issued",
            actor=principal.actor,
            team_id=team.pk,
            target=("token", token.pk, name),
            diff={"scopes": ", ".join(wanted), "expires_at": expires_at and expires_at.isoformat()},
        )
    shown = f"{PREFIX}{key}.{secret}"
    redact.register(secret)
    return token, shown


def verify(text: str, *, at: dt.datetime | None = None) -> ApiToken | None:
    """The valid token that `text` is, or None. Takes as long for a token that does not exist."""
    key, dot, secret = text.removeprefix(PREFIX).partition(".")
    if not (text.startswith(PREFIX) and dot and len(key) == _KEY_LENGTH and len(secret) == _SECRET_LENGTH):
        return None
    at = at or now()
    rows = ApiToken.objects.select_related("user", "team")
    token: ApiToken | None = rows.filter(key=key).first()
    try:
        given = _digest(token.pepper_id if token else keyring().primary, key, secret)
    except SecretUnreadable:  # the key it was made with is gone
        return None
    if token is None or not hmac.compare_digest(given, token.digest) or not is_valid(token, at):
        return None
    _note_use(token, secret, at)
    return token


def revoke(principal: Principal, token: ApiToken) -> None:
    """End a token at once: one's own, or as an administrator any of the team's."""
    if token.user_id != principal.user.pk:
        principal.require(Role.ADMIN, token.team_id)
    with transaction.atomic():
        if ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=now()):
            target = ("token", token.pk, token.name)
            record("token.revoked", actor=principal.actor, team_id=token.team_id, target=target)
    token.refresh_from_db(fields=["revoked_at"])


def listed(principal: Principal) -> TeamOwnedQuerySet:
    """Tokens one may see: one's own, and as an administrator all of the team."""
    rows = visible_to(ApiToken.objects.all(), principal)
    every = Q(team_id__in=principal.team_ids(Role.ADMIN))
    return rows.filter(Q(user=principal.user) | every).select_related("user", "team")


def _problems(name: str, scopes: list[str], expires_at: dt.datetime | None) -> list[tuple[str, str]]:
    problems = []
    if not 1 <= len(name) <= 100:
        problems.append(("name", "Give the token a name of at most 100 characters."))
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown:
        problems.append(("scopes", f"There is no scope {unknown[0]}; the scopes are {', '.join(SCOPES)}."))
    if not scopes:
        problems.append(("scopes", "Choose at least one scope."))
    if expires_at is not None and expires_at <= now():
        problems.append(("expires_at", "The end must be in the future."))
    return problems


def _refuse_more(principal: Principal, scopes: list[str], expires_at: dt.datetime | None) -> None:
    if principal.scopes is None:
        return
    more = [scope for scope in scopes if not principal.has_scope(scope)]
    if more:
        raise NotAllowed(f"A token cannot make one that is allowed more than itself: {', '.join(more)}.")
    own_end = principal.token.expires_at if principal.token else None
    if own_end is not None and (expires_at is None or expires_at > own_end):
        raise NotAllowed(
            f"A token cannot make one that lasts longer than itself ({own_end:%d %b %Y %H:%M} UTC)."
        )


def is_valid(token: ApiToken, at: dt.datetime) -> bool:
    """Neither revoked nor over, and its user may still sign in."""
    return (
        token.revoked_at is None
        and (token.expires_at is None or token.expires_at > at)
        and token.user.is_active
    )


def tokens_per_key() -> dict[str, int]:
    """How many tokens each key checks that are not revoked: none of these keys may be thrown away."""
    rows = ApiToken.objects.filter(revoked_at=None).order_by().values_list("pepper_id")
    return dict(rows.annotate(n=Count("pk")))


def _note_use(token: ApiToken, secret: str, at: dt.datetime) -> None:
    """Store when it was used, at most once a minute, and bring it to the newest pepper."""
    seen = Q(last_used_at=None) | Q(last_used_at__lt=at - _USED_EVERY)
    ApiToken.objects.filter(seen, pk=token.pk).update(last_used_at=at)
    primary = keyring().primary
    if token.pepper_id != primary:
        digest = _digest(primary, token.key, secret)
        ApiToken.objects.filter(pk=token.pk, digest=token.digest).update(digest=digest, pepper_id=primary)


def _digest(pepper_id: str, key: str, secret: str) -> str:
    pepper = keyring().derive(_PURPOSE, pepper_id)
    return hmac.new(pepper, f"{key}.{secret}".encode(), hashlib.sha256).hexdigest()


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))

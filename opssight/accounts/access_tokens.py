"""Access tokens: JWTs for a quarter of an hour, given for a password, a session or an API token.

Signed with HMAC-SHA256 by a key made from the installation's keys; `kid` names which, so keys can be
rotated. Each has a row under its `jti`, so it can be ended at once; it ends as well with the API token
it was given for, with its user's account, password or membership.
"""

from __future__ import annotations

import datetime as dt
import hmac
import uuid
from collections.abc import Iterable

import jwt
from django.conf import settings
from django.db import transaction
from django.utils.crypto import salted_hmac

from opssight.accounts.models import AccessToken, Role, Team, User
from opssight.accounts.scope import NotAllowed, Principal
from opssight.accounts.tokens import SCOPES, is_valid
from opssight.audit.record import record
from opssight.core.clock import now
from opssight.core.crypto import SecretUnreadable
from opssight.core.errors import InvalidInput, NotFound
from opssight.core.ids import as_uuid, uuid7
from opssight.core.keys import keyring

LIFETIME = dt.timedelta(minutes=15)
AUDIENCE = "opssight-api"
_ALGORITHM = "HS256"
_PURPOSE = "access token"
_LEEWAY = 10  # seconds that the clocks of our machines may differ
_LONGEST = 4_096  # characters
_CLAIMS = ["iss", "aud", "sub", "jti", "team", "scopes", "iat", "nbf", "exp", "account"]


def issue(principal: Principal, team: Team, scopes: Iterable[str] = ()) -> tuple[AccessToken, str]:
    """A token that acts as the caller in `team`; without scopes it may what the caller may.

    Raises InvalidInput for a scope there is not, NotAllowed when it would be allowed more.
    """
    principal.require(Role.VIEWER, team.pk)
    wanted = sorted(set(scopes)) or sorted(principal.scopes or {"all"})
    if unknown := [scope for scope in wanted if scope not in SCOPES]:
        sentence = f"There is no scope {unknown[0]}; the scopes are {', '.join(SCOPES)}."
        raise InvalidInput(sentence, [("scopes", sentence)])
    if more := [scope for scope in wanted if not principal.has_scope(scope)]:
        raise NotAllowed(f"A token cannot make one that is allowed more than itself: {', '.join(more)}.")
    parent, moment = principal.token, now()
    ends = moment + LIFETIME
    if parent is not None and parent.expires_at is not None:
        ends = min(ends, parent.expires_at)
    token = AccessToken(
        id=uuid7(), user=principal.user, team=team, parent=parent, scopes=wanted, expires_at=ends
    )
    with transaction.atomic():
        token.save(force_insert=True)
        record(
            "access_token.issued",
            actor=principal.actor,
            team_id=team.pk,
            target=("access token", token.pk, principal.user.email),
            diff={"scopes": ", ".join(wanted)},
        )
    return token, _signed(token, moment)


def verify(text: str) -> AccessToken | None:
    """The valid token that `text` is, or None."""
    claims = _read(text)
    if claims is None:
        return None
    token_id, account = claims
    rows = AccessToken.objects.select_related("user", "team", "parent__user")
    token = rows.filter(pk=token_id, revoked_at=None, expires_at__gt=now(), user__is_active=True).first()
    if token is None or not hmac.compare_digest(account, _mark(token.user)):
        return None
    return token if token.parent is None or is_valid(token.parent, now()) else None


def revoke(principal: Principal, token_id: uuid.UUID) -> None:
    """End one at once: one's own, or as an administrator any of the team's. NotFound for others."""
    token = AccessToken.objects.filter(pk=token_id, team_id__in=principal.team_ids()).first()
    if token is None:
        raise NotFound("There is no such access token. It may be over already.")
    if token.user_id != principal.user.pk:
        principal.require(Role.ADMIN, token.team_id)
        if not principal.has_scope("tokens:write"):
            raise NotAllowed("This token lacks the scope tokens:write. Make one that has it.")
    with transaction.atomic():
        if AccessToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=now()):
            target = ("access token", token.pk, token.user.email)
            record("access_token.revoked", actor=principal.actor, team_id=token.team_id, target=target)


def _mark(user: User) -> str:
    """Changes with the user's password, so that what was given before it ends."""
    return salted_hmac("opssight.access_token", user.password).hexdigest()[:32]


def _signed(token: AccessToken, at: dt.datetime) -> str:
    kid = keyring().primary
    claims = {
        "iss": settings.PUBLIC_URL,
        "aud": AUDIENCE,
        "sub": str(token.user_id),
        "jti": str(token.pk),
        "team": str(token.team_id),
        "scopes": token.scopes,
        "account": _mark(token.user),
        "iat": at,
        "nbf": at,
        "exp": token.expires_at,
    }
    return jwt.encode(claims, keyring().derive(_PURPOSE, kid), algorithm=_ALGORITHM, headers={"kid": kid})


def _read(text: str) -> tuple[uuid.UUID, str] | None:
    """`jti` and account mark of a token whose signature and claims are right."""
    if len(text) > _LONGEST:
        return None
    try:
        kid = jwt.get_unverified_header(text).get("kid")
        key = keyring().derive(_PURPOSE, kid if isinstance(kid, str) and kid else "-")
        claims = jwt.decode(
            text,
            key,
            algorithms=[_ALGORITHM],
            audience=AUDIENCE,
            issuer=settings.PUBLIC_URL,
            leeway=_LEEWAY,
            options={"require": _CLAIMS},
        )
    except (jwt.InvalidTokenError, SecretUnreadable):
        return None
    token_id = as_uuid(str(claims["jti"]))
    return (token_id, str(claims["account"])) if token_id else None

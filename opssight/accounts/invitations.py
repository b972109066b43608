"""Invitations: a link, shown once, by which somebody joins a team with a role."""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from opssight.accounts.models import Invitation, Membership, Role, Team, TeamOwnedQuerySet, User
from opssight.accounts.scope import NotAllowed, Principal, visible_to
from opssight.audit.record import record
from opssight.core import redact
from opssight.core.clock import now
from opssight.core.errors import Conflict, InvalidInput, NotFound

VALID_FOR = dt.timedelta(days=7)
SESSION_KEY = "invitation"  # under which a session keeps the secret of the link that was followed


def invite(principal: Principal, team: Team, email: str, role: Role) -> tuple[Invitation, str]:
    """Invite an address; returns the secret of the link, which is not stored and shown this once.

    A new invitation of the same address replaces the open one.
    """
    principal.require(Role.OWNER if role == Role.OWNER else Role.ADMIN, team.pk)
    if team.kind == Team.Kind.PERSONAL:
        raise Conflict("A personal team has one member. Make a team to work together.")
    email = _email(email)
    if Membership.objects.filter(team=team, user__email__iexact=email).exists():
        raise Conflict(f"{email} is in this team already.")
    secret = secrets.token_urlsafe(32)
    redact.register(secret)
    with transaction.atomic():
        Invitation.objects.filter(team=team, email__iexact=email, accepted_at=None).delete()
        invitation = Invitation.objects.create(
            team=team,
            email=email,
            role=role,
            token_hash=_hash(secret),
            invited_by=principal.user,
            expires_at=now() + VALID_FOR,
        )
        target = ("invitation", invitation.pk, email)
        diff = {"role": role.label}
        record("invitation.made", actor=principal.actor, team_id=team.pk, target=target, diff=diff)
    return invitation, secret


def listed(principal: Principal) -> TeamOwnedQuerySet:
    """Open invitations of the teams one administers."""
    rows = visible_to(Invitation.objects.all(), principal, Role.ADMIN)
    return rows.filter(accepted_at=None).select_related("team", "invited_by")


def withdraw(principal: Principal, invitation: Invitation) -> None:
    principal.require(Role.ADMIN, invitation.team_id)
    with transaction.atomic():
        target = ("invitation", invitation.pk, invitation.email)
        record("invitation.withdrawn", actor=principal.actor, team_id=invitation.team_id, target=target)
        Invitation.objects.filter(pk=invitation.pk, accepted_at=None).delete()


def opened(secret: str) -> Invitation:
    """The invitation behind a link. Raises NotFound when it is not valid (any more)."""
    rows = Invitation.objects.select_related("team", "team__organization", "invited_by")
    found = rows.filter(token_hash=_hash(secret), accepted_at=None, expires_at__gt=now()).first()
    if found is None:
        raise NotFound("This invitation is not valid any more. Ask for a new one.")
    invitation: Invitation = found
    return invitation


def accept(user: User, secret: str) -> Membership:
    """Join the team as a signed-in user, who must have the invited address. Works once."""
    with transaction.atomic():
        invitation = opened(secret)
        if invitation.email.casefold() != user.email.casefold():
            raise NotAllowed(f"This invitation is for {invitation.email}. Sign in with that address.")
        used = Invitation.objects.filter(pk=invitation.pk, accepted_at=None).update(accepted_at=now())
        if not used:
            raise NotFound("This invitation was used already.")
        member, new = Membership.objects.get_or_create(
            team=invitation.team, user=user, defaults={"role": invitation.role}
        )
        if not new and member.role < invitation.role:
            Membership.objects.filter(pk=member.pk).update(role=invitation.role)
            member.role = invitation.role
        record(
            "invitation.accepted",
            actor=Principal.of_user(user).actor,
            team_id=invitation.team_id,
            target=("member", user.pk, user.email),
            diff={"role": Role(member.role).label},
        )
    return member


def register(secret: str, name: str, password: str) -> User:
    """Make the account of somebody new and join the team. Raises InvalidInput for a weak password."""
    with transaction.atomic():
        invitation = opened(secret)
        if User.objects.filter(email__iexact=invitation.email).exists():
            raise Conflict(f"There is an account for {invitation.email} already: sign in to accept.")
        try:
            validate_password(password, User(email=invitation.email, name=name))
        except ValidationError as error:
            problems = [("password", message) for message in error.messages]
            raise InvalidInput("Choose another password.", problems) from None
        user = User.objects.create_user(invitation.email, password, name=name.strip()[:150])
        accept(user, secret)
    return user


def _email(text: str) -> str:
    email = text.strip()
    try:
        validate_email(email)
    except ValidationError:
        sentence = f"{email!r} is not an e-mail address." if email else "Give an e-mail address."
        raise InvalidInput(sentence, [("email", sentence)]) from None
    return email


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()

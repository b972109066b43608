"""Which account somebody signs in to, once a forge told who they are."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models import Q

from opssight.accounts import invitations
from opssight.accounts.models import Invitation, User
from opssight.accounts.scope import Principal
from opssight.audit.record import record
from opssight.core.errors import Conflict, Failure, PermanentFailure
from opssight.signin.backends import ForgeBackend
from repos.providers.forge import Person


class NobodyHere(PermanentFailure):
    """The forge knows the person, and no account here is theirs."""


def find_account(
    backend: ForgeBackend, response: dict[str, Any], user: User | None = None, **kwargs: Any
) -> dict[str, Any]:
    """The linked account, an invited one, one with a verified address, or a new one: as it is allowed.

    An account is found or made by an address only when an administrator said so, at a forge that is
    trusted with addresses; never one that administers this installation: whoever runs a forge could claim
    any address.
    """
    if user is not None:
        if not user.is_active:
            raise PermanentFailure("This account is switched off. Ask an administrator.")
        return {}
    person: Person = response["person"]
    # others are written alike and are not the same: ß becomes ss, ı becomes I, as the database compares
    emails = {email.lower(): email for email in person.emails if email.isascii()}
    found = _invited(backend.ours.invitation, emails, person)
    if found is None and backend.instance.trusts_email:
        found = _by_address(emails) or _new(emails, person)
    if found is None:
        raise NobodyHere(_refusal(backend.instance.name, person))
    return {"user": found, "is_new": False}


def tell(
    backend: ForgeBackend,
    user: User,
    response: dict[str, Any],
    new_association: bool = False,
    **kwargs: Any,
) -> None:
    """The audit log says how somebody came in, and what was linked."""
    person: Person = response["person"]
    diff = {"with": backend.instance.name, "at": backend.instance.label, "as": person.login}
    actions = ["user.linked"] if new_association else []
    actions += [] if backend.ours.attempt["link"] else ["user.signed_in"]
    for action in actions:
        target = ("user", user.pk, user.email)
        actor = Principal.of_user(user).actor
        record(action, actor=actor, team_id=user.personal_team.pk, target=target, diff=diff)


def _invited(secret: str, emails: dict[str, str], person: Person) -> User | None:
    """The new account of somebody who followed an invitation and has its address."""
    if not secret:
        return None
    try:
        invitation: Invitation = invitations.opened(secret)
    except Failure:
        return None
    if invitation.email.lower() not in emails or _known([invitation.email]):
        return None
    user = _made(invitation.email, person)
    invitations.accept(user, secret)
    return user


def _by_address(emails: dict[str, str]) -> User | None:
    if settings.SIGN_IN != "email":
        return None
    found = [user for user in _known(emails) if user.is_active and user.email.isascii()]
    found = [user for user in found if not (user.is_staff or user.is_superuser)]
    if len(found) > 1:
        raise Conflict("Several accounts here have an address of yours. Sign in with the password of one.")
    return found[0] if found else None


def _new(emails: dict[str, str], person: Person) -> User | None:
    """A new account for the first address whose domain may sign up by itself."""
    domains = {domain.lower().lstrip("@") for domain in settings.SIGN_UP_DOMAINS}
    for lowered, email in emails.items():
        if lowered.rpartition("@")[2] in domains and not _known([email]):
            return _made(email, person)
    return None


def _known(emails: Any) -> list[User]:
    wanted = Q()
    for email in emails:
        wanted |= Q(email__iexact=email)
    return list(User.objects.filter(wanted)) if wanted else []


def _made(email: str, person: Person) -> User:
    user = User.objects.create_user(email, None, name=person.name or person.login)
    record(
        "user.signed_up",
        actor=Principal.of_user(user).actor,
        team_id=user.personal_team.pk,
        target=("user", user.pk, user.email),
    )
    return user


def _refusal(name: str, person: Person) -> str:
    if not person.emails:
        return (
            f"{name} told no verified e-mail address of {person.login}, and no account here is linked to it. "
            f"Sign in with your password and link {name} on your account page."
        )
    return (
        f"No account here is linked to {person.login} at {name}. Sign in with your password and link it on "
        "your account page, or ask for an invitation."
    )

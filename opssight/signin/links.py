"""Which forges an account signs in with."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from social_django.models import UserSocialAuth

from opssight.accounts.models import User
from opssight.accounts.scope import Principal
from opssight.audit.record import record
from opssight.core.errors import Conflict
from opssight.signin.backends import BACKENDS
from repos.instances import Instance, instances


@dataclass(frozen=True)
class Link:
    """An account at a forge that signs in to one here. `at` is its address, "" for the public one."""

    pk: int
    kind: str
    at: str


def offered() -> list[Instance]:
    """Where people may sign in, and can because it is registered there."""
    if settings.SIGN_IN == "off":
        return []
    return [one for one in instances(github_apps=True) if one.kind in BACKENDS]


def of(user: User) -> QuerySet[UserSocialAuth]:
    return UserSocialAuth.objects.filter(user=user).order_by("provider", "uid")


def listed(user: User) -> list[Link]:
    return [Link(row.pk, row.provider, row.uid.partition("@")[2]) for row in of(user)]


def left(user: User) -> list[Instance]:
    """What is offered and not linked yet."""
    linked = {(link.kind, link.at) for link in listed(user)}
    return [one for one in offered() if (one.kind, one.url) not in linked]


def unlink(user: User, link: UserSocialAuth) -> None:
    """Conflict for the last way in of an account without a password."""
    with transaction.atomic():
        rows = list(of(user).select_for_update())
        if len(rows) < 2 and not user.has_usable_password():
            raise Conflict("This is your only way to sign in. Link another forge first.")
        link.delete()
        target = ("user", user.pk, user.email)
        actor = Principal.of_user(user).actor
        diff = {"with": link.provider}
        record("user.unlinked", actor=actor, team_id=user.personal_team.pk, target=target, diff=diff)

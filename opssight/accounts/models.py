"""Who may do what: users, organizations, teams, memberships and API tokens.

Ownership has one rule: every stored object has a team. A user's own things belong to the user's
personal team, an organization's to its organization team; so "owned by a user, a team or an
organization" is the kind of the team, and a transfer changes the team.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any, ClassVar, Self

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models, transaction
from django.db.models.functions import Lower, Now
from django.utils.text import slugify

from opssight.core.ids import uuid7


class TeamOwnedQuerySet(models.QuerySet[Any]):
    """Rows that belong to a team; nothing is shown that did not pass `visible_to`."""

    shown_to: object = None  # the principal that `visible_to` narrowed these rows for

    def in_teams(self, team_ids: Iterable[uuid.UUID]) -> Self:
        """Rows that these teams own or that were shared with them."""
        return self.owned_by(team_ids)

    def owned_by(self, team_ids: Iterable[uuid.UUID]) -> Self:
        """Rows that these teams own."""
        return self.filter(team_id__in=list(team_ids))

    def _clone(self) -> Self:
        # the mark stays with whatever is made of the rows, so the API can refuse rows without it
        clone: Self = super()._clone()  # type: ignore[misc]
        clone.shown_to = self.shown_to
        return clone


class TeamQuerySet(TeamOwnedQuerySet):
    """Teams themselves: a team owns itself."""

    def owned_by(self, team_ids: Iterable[uuid.UUID]) -> Self:
        return self.filter(pk__in=list(team_ids))


class Role(models.IntegerChoices):
    """A user's role in a team; each includes the ones below it."""

    VIEWER = 10, "viewer"
    OPERATOR = 20, "operator"
    ADMIN = 30, "admin"
    OWNER = 40, "owner"


class UserManager(BaseUserManager["User"]):
    use_in_migrations = True

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email__iexact=username)

    @transaction.atomic
    def create_user(self, email: str, password: str | None = None, **extra: Any) -> User:
        """Create a user together with the personal team that owns the user's things."""
        if not email or "@" not in email:
            raise ValueError("A user needs an e-mail address.")
        user = self.model(email=self.normalize_email(email).strip(), **extra)
        user.set_password(password)
        user.save(using=self._db)
        user.give_personal_team()
        return user

    def create_superuser(self, email: str, password: str | None = None, **extra: Any) -> User:
        return self.create_user(email, password, **{**extra, "is_staff": True, "is_superuser": True})


class User(AbstractBaseUser, PermissionsMixin):
    """A person who signs in; the e-mail address is the name to sign in with."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = models.EmailField("e-mail", max_length=254)
    name = models.CharField(max_length=150, blank=True)
    is_staff = models.BooleanField("may use the admin site", default=False)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_unique")]

    def __str__(self) -> str:
        return self.email

    @property
    def display_name(self) -> str:
        return self.name or self.email.split("@", 1)[0]

    @property
    def initials(self) -> str:
        parts = self.display_name.replace(".", " ").split()
        return "".join(part[0] for part in parts[:2]).upper()

    def give_personal_team(self) -> None:
        """Make the team that owns the user's own things."""
        team = Team.objects.create(
            kind=Team.Kind.PERSONAL,
            personal_user=self,
            name=self.display_name,
            slug=f"u-{self.pk.hex[-12:]}",
        )
        Membership.objects.create(team=team, user=self, role=Role.OWNER)

    def get_full_name(self) -> str:
        return self.display_name

    def get_short_name(self) -> str:
        return self.display_name


class Organization(models.Model):
    """A group of teams; its own things belong to its organization team."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=150)
    slug = models.SlugField(max_length=60, unique=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return self.name


class Team(models.Model):
    """The owner of every stored object."""

    class Kind(models.TextChoices):
        PERSONAL = "personal", "personal"
        TEAM = "team", "team"
        ORGANIZATION = "org", "organization"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, null=True, blank=True, related_name="teams"
    )
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.TEAM)
    personal_user = models.OneToOneField(
        User, on_delete=models.CASCADE, null=True, blank=True, related_name="personal_team"
    )
    name = models.CharField(max_length=150)
    slug = models.SlugField(max_length=60)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = TeamQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "slug"], name="team_slug_unique", nulls_distinct=False
            ),
            models.UniqueConstraint(
                fields=["organization"], condition=models.Q(kind="org"), name="team_one_per_organization"
            ),
            models.CheckConstraint(
                condition=models.Q(kind="personal", personal_user__isnull=False)
                | (~models.Q(kind="personal") & models.Q(personal_user__isnull=True)),
                name="team_personal_has_user",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.organization.name} / {self.name}" if self.organization else self.name

    @classmethod
    def free_slug(cls, name: str, organization: Organization | None = None) -> str:
        """A slug for `name` that no other team of the organization has."""
        base = slugify(name)[:50] or "team"
        taken = set(
            cls.objects.filter(organization=organization, slug__startswith=base).values_list(
                "slug", flat=True
            )
        )
        return next(s for s in (base, *(f"{base}-{n}" for n in range(2, 10_000))) if s not in taken)


class Membership(models.Model):
    """A user's role in a team."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.PositiveSmallIntegerField(choices=Role, default=Role.VIEWER)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["team", "user"], name="membership_unique"),
            models.CheckConstraint(
                condition=models.Q(role__in=[r.value for r in Role]), name="membership_role"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.team}: {Role(self.role).label}"


class Invitation(models.Model):
    """A link, shown once, by which somebody joins a team with a role."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField(max_length=254)
    role = models.PositiveSmallIntegerField(choices=Role, default=Role.VIEWER)
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    invited_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)

    objects = TeamOwnedQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.email} to {self.team}"


class ApiToken(models.Model):
    """A bearer token `osp_<key>.<secret>`; only a keyed hash of the secret is kept."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    key = models.CharField(max_length=16, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    pepper_id = models.CharField(max_length=32, editable=False)
    name = models.CharField(max_length=100)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="api_tokens")
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = TeamOwnedQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.name} (osp_{self.key}…)"


class AccessToken(models.Model):
    """A JWT that was given out for a quarter of an hour; its id is the `jti`. Pruned when it is over."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="access_tokens")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="access_tokens")
    # the token it was given for; None: for a password or a session
    parent = models.ForeignKey(
        ApiToken, on_delete=models.CASCADE, null=True, blank=True, related_name="access_tokens"
    )
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = TeamOwnedQuerySet.as_manager()

    def __str__(self) -> str:
        return f"access token {self.pk}"


class AllowedHost(models.Model):
    """An exception to the outbound policy: an administrator lets OpsSight reach this address."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    pattern = models.CharField("host", max_length=253, help_text="A host name, or *.example.org.")
    cidr = models.CharField("network", max_length=43, help_text="Addresses it may have, such as 10.1.0.0/16.")
    ports = models.CharField(max_length=100, default="443", help_text="Ports, separated by commas.")
    reason = models.CharField(max_length=300, blank=True)
    created_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["pattern", "cidr", "ports"], name="allowedhost_unique")
        ]

    def __str__(self) -> str:
        return f"{self.pattern} {self.cidr}:{self.ports}"

"""Teams and organizations: who is in them, and with which role.

A team always keeps an owner. Nobody gives a role above their own.
"""

from __future__ import annotations

from django.db import IntegrityError, transaction

from opssight.accounts.models import Invitation, Membership, Organization, Role, Team, TeamOwnedQuerySet, User
from opssight.accounts.scope import NotAllowed, Principal, visible_to
from opssight.audit.record import record
from opssight.core.errors import Conflict, InvalidInput, NotFound


def create_team(principal: Principal, name: str, organization: Organization | None = None) -> Team:
    """A new team with its maker as owner. In an organization its administrators may do this."""
    name = _name(name)
    if organization is not None:
        principal.require(
            Role.ADMIN, Team.objects.get(organization=organization, kind=Team.Kind.ORGANIZATION).pk
        )
    _refuse_token(principal)
    with transaction.atomic():
        slug = Team.free_slug(name, organization)
        team = Team.objects.create(name=name, slug=slug, organization=organization)
        _found(principal, team, "team.created")
    return team


def create_organization(principal: Principal, name: str) -> Organization:
    """A new organization and the team that owns its things, with its maker as owner."""
    name = _name(name)
    _refuse_token(principal)
    with transaction.atomic():
        taken = set(Organization.objects.values_list("slug", flat=True))
        base = Team.free_slug(name)
        slug = next(s for s in (base, *(f"{base}-{n}" for n in range(2, 10_000))) if s not in taken)
        organization = Organization.objects.create(name=name, slug=slug)
        team = Team.objects.create(
            name=name, slug=slug, organization=organization, kind=Team.Kind.ORGANIZATION
        )
        _found(principal, team, "organization.created")
    return organization


def rename(principal: Principal, team: Team, name: str) -> None:
    principal.require(Role.ADMIN, team.pk)
    name = _name(name)
    with transaction.atomic():
        diff = {"name": [team.name, name]}
        Team.objects.filter(pk=team.pk).update(name=name)
        record(
            "team.renamed", actor=principal.actor, team_id=team.pk, target=("team", team.pk, name), diff=diff
        )
    team.name = name


def visible_teams(principal: Principal) -> TeamOwnedQuerySet:
    return visible_to(Team.objects.select_related("organization"), principal)


def add_member(principal: Principal, team: Team, user: User, role: Role) -> Membership:
    """Put a user into the team. Raises Conflict when the user is in it already."""
    _refuse_personal(team)
    _may_give(principal, team, role)
    try:
        with transaction.atomic():
            member = Membership.objects.create(team=team, user=user, role=role)
            _record(principal, "member.added", member, {"role": role.label})
    except IntegrityError:
        raise Conflict(f"{user.email} is in this team already.") from None
    return member


def change_role(principal: Principal, member: Membership, role: Role) -> None:
    """Give a member another role. Raises Conflict when the team would have no owner."""
    with transaction.atomic():
        _lock(member.team)
        before = Role(_fresh(member).role)
        _may_give(principal, member.team, max(role, before))
        if before == Role.OWNER and role != Role.OWNER:
            _keep_an_owner(member)
        Membership.objects.filter(pk=member.pk).update(role=role)
        if role < before:
            _withdraw_invitations(member)
        _record(principal, "member.role_changed", member, {"role": [before.label, role.label]})
    member.role = role


def remove_member(principal: Principal, member: Membership) -> None:
    """Take a member out; everybody may leave. Raises Conflict when the team would have no owner."""
    if member.team.kind == Team.Kind.PERSONAL:
        raise Conflict("Nobody can leave a personal team: it belongs to its user.")
    with transaction.atomic():
        _lock(member.team)
        role = Role(_fresh(member).role)
        if member.user_id != principal.user.pk or principal.team is not None:
            _may_give(principal, member.team, role)
        if role == Role.OWNER:
            _keep_an_owner(member)
        _withdraw_invitations(member)
        _record(principal, "member.removed", member, {"role": role.label})
        Membership.objects.filter(pk=member.pk).delete()


def transfer(principal: Principal, team: Team, to: User) -> None:
    """Hand a team over: another member becomes its owner, the one who asks an administrator."""
    principal.require(Role.OWNER, team.pk)
    _refuse_personal(team)
    with transaction.atomic():
        _lock(team)
        members = Membership.objects.select_related("user", "team").filter(team=team)
        heir = members.filter(user=to).first()
        if heir is None:
            raise NotFound(f"{to.email} is not in this team. Add them first, then hand the team over.")
        if to.pk == principal.user.pk:
            raise InvalidInput("The team is yours already.", [("user", "Choose another member.")])
        members.filter(user=to).update(role=Role.OWNER)
        members.filter(user=principal.user).update(role=Role.ADMIN)
        _record(principal, "team.transferred", heir, {"owner": [principal.user.email, to.email]})


def _name(text: str) -> str:
    name = " ".join(text.split())
    if not 1 <= len(name) <= 150:
        sentence = "Give it a name of at most 150 characters."
        raise InvalidInput(sentence, [("name", sentence)])
    return name


def _found(principal: Principal, team: Team, action: str) -> None:
    Membership.objects.create(team=team, user=principal.user, role=Role.OWNER)
    record(action, actor=principal.actor, team_id=team.pk, target=("team", team.pk, team.name))


def _refuse_token(principal: Principal) -> None:
    if principal.team is not None:
        raise NotAllowed("An API token acts inside its own team. Sign in to make a team.")


def _refuse_personal(team: Team) -> None:
    if team.kind == Team.Kind.PERSONAL:
        raise Conflict("A personal team has one member. Make a team to work together.")


def _may_give(principal: Principal, team: Team, role: Role) -> None:
    principal.require(Role.OWNER if role == Role.OWNER else Role.ADMIN, team.pk)


def _lock(team: Team) -> None:
    """Changes of a team's members come one after the other, so that two owners cannot leave at once."""
    Team.objects.select_for_update().get(pk=team.pk)


def _withdraw_invitations(member: Membership) -> None:
    """Who may invite no more has no open invitations: one could be for another address of theirs."""
    Invitation.objects.filter(team_id=member.team_id, invited_by=member.user_id, accepted_at=None).delete()


def _fresh(member: Membership) -> Membership:
    fresh = Membership.objects.filter(pk=member.pk).first()
    if fresh is None:
        raise NotFound(f"{member.user.email} is not in this team any more.")
    return fresh


def _keep_an_owner(leaving: Membership) -> None:
    others = Membership.objects.filter(team_id=leaving.team_id, role=Role.OWNER).exclude(pk=leaving.pk)
    if not others.exists():
        raise Conflict("A team needs an owner. Make somebody else owner first.")


def _record(principal: Principal, action: str, member: Membership, diff: dict[str, object]) -> None:
    target = ("member", member.user_id, member.user.email)
    record(action, actor=principal.actor, team_id=member.team_id, target=target, diff=diff)

from __future__ import annotations

import datetime as dt

import pytest

from opssight.accounts import invitations, teams
from opssight.accounts.models import Invitation, Membership, Role, Team, User
from opssight.accounts.scope import NotAllowed, Principal
from opssight.core.clock import now
from opssight.core.errors import Conflict, InvalidInput, NotFound
from tests.factories import make_team, make_user

pytestmark = pytest.mark.django_db


def of(user: User) -> Principal:
    return Principal.of_user(user)


def member(team: Team, role: Role) -> tuple[User, Membership]:
    user = make_user()
    return user, Membership.objects.create(team=team, user=user, role=role)


def test_the_maker_of_a_team_owns_it() -> None:
    user = make_user()
    team = teams.create_team(of(user), "  Data   platform ")
    assert team.name == "Data platform"
    assert team.slug == "data-platform"
    assert of(user).roles[team.pk] == Role.OWNER
    assert teams.create_team(of(user), "Data platform").slug == "data-platform-2"


def test_an_organization_has_a_team_of_its_own_and_its_administrators_add_teams() -> None:
    user = make_user()
    acme = teams.create_organization(of(user), "Acme")
    own = acme.teams.get(kind=Team.Kind.ORGANIZATION)
    assert of(user).roles[own.pk] == Role.OWNER
    docs = teams.create_team(of(user), "Docs", acme)
    assert docs.organization == acme
    with pytest.raises(NotAllowed):
        teams.create_team(of(make_user()), "Intruders", acme)


def test_a_token_makes_no_team() -> None:
    user = make_user()
    principal = Principal(user=user, roles=of(user).roles, team=make_team(user))
    with pytest.raises(NotAllowed):
        teams.create_team(principal, "Docs")
    with pytest.raises(NotAllowed):
        teams.create_organization(principal, "Acme")


@pytest.mark.parametrize("name", ["", "   ", "x" * 151])
def test_a_team_needs_a_usable_name(name: str) -> None:
    with pytest.raises(InvalidInput):
        teams.create_team(of(make_user()), name)


@pytest.mark.parametrize("mine", list(Role))
@pytest.mark.parametrize("given", list(Role))
def test_nobody_gives_a_role_above_their_own(mine: Role, given: Role) -> None:
    user = make_user()
    team = make_team(user, mine)
    allowed = mine == Role.OWNER or (mine == Role.ADMIN and given < Role.OWNER)
    if allowed:
        assert teams.add_member(of(user), team, make_user(), given).role == given
    else:
        with pytest.raises(NotAllowed):
            teams.add_member(of(user), team, make_user(), given)
        assert team.memberships.count() == 1


def test_a_member_is_added_once_and_never_to_a_personal_team() -> None:
    user, other = make_user(), make_user()
    team = make_team(user)
    teams.add_member(of(user), team, other, Role.VIEWER)
    with pytest.raises(Conflict):
        teams.add_member(of(user), team, other, Role.VIEWER)
    with pytest.raises(Conflict):
        teams.add_member(of(user), user.personal_team, other, Role.VIEWER)


def test_the_last_owner_stays() -> None:
    user = make_user()
    team = make_team(user)
    owner = team.memberships.get()
    with pytest.raises(Conflict):
        teams.change_role(of(user), owner, Role.ADMIN)
    with pytest.raises(Conflict):
        teams.remove_member(of(user), owner)
    member(team, Role.OWNER)
    teams.change_role(of(user), owner, Role.ADMIN)
    assert of(user).roles[team.pk] == Role.ADMIN


def test_an_administrator_changes_no_owner() -> None:
    team = make_team(make_user())
    admin, _ = member(team, Role.ADMIN)
    owner = team.memberships.get(role=Role.OWNER)
    member(team, Role.OWNER)
    with pytest.raises(NotAllowed):
        teams.change_role(of(admin), owner, Role.VIEWER)
    with pytest.raises(NotAllowed):
        teams.remove_member(of(admin), owner)
    owner.refresh_from_db()
    assert owner.role == Role.OWNER


def test_everybody_may_leave_and_only_administrators_take_others_out() -> None:
    team = make_team(make_user())
    viewer, viewer_row = member(team, Role.VIEWER)
    other, other_row = member(team, Role.OPERATOR)
    with pytest.raises(NotAllowed):
        teams.remove_member(of(viewer), other_row)
    teams.remove_member(of(viewer), viewer_row)
    assert team.pk not in of(viewer).roles
    with pytest.raises(NotFound):
        teams.remove_member(of(viewer), viewer_row)
    with pytest.raises(Conflict):
        teams.remove_member(of(other), other.personal_team.memberships.get())


def test_a_team_is_handed_over_to_a_member() -> None:
    user = make_user()
    team = make_team(user)
    heir, _ = member(team, Role.VIEWER)
    with pytest.raises(NotFound):
        teams.transfer(of(user), team, make_user())
    with pytest.raises(NotAllowed):
        teams.transfer(of(heir), team, heir)
    teams.transfer(of(user), team, heir)
    assert of(heir).roles[team.pk] == Role.OWNER
    assert of(user).roles[team.pk] == Role.ADMIN


def test_an_invitation_is_accepted_once_by_the_invited_address() -> None:
    user = make_user()
    team = make_team(user)
    invitation, secret = invitations.invite(of(user), team, "New.Person@Example.org", Role.OPERATOR)
    assert secret not in str(Invitation.objects.values_list()[0])
    assert list(invitations.listed(of(user))) == [invitation]
    guest = make_user("new.person@example.org")
    with pytest.raises(NotAllowed):
        invitations.accept(make_user(), secret)
    assert invitations.accept(guest, secret).role == Role.OPERATOR
    with pytest.raises(NotFound):
        invitations.accept(guest, secret)
    assert not invitations.listed(of(user)).exists()


def test_an_invitation_ends_by_time_by_withdrawal_and_by_a_newer_one() -> None:
    user = make_user()
    team = make_team(user)
    first, old = invitations.invite(of(user), team, "a@example.org", Role.VIEWER)
    second, newer = invitations.invite(of(user), team, "A@example.org", Role.VIEWER)
    with pytest.raises(NotFound):
        invitations.opened(old)
    assert invitations.opened(newer) == second
    Invitation.objects.filter(pk=second.pk).update(expires_at=now() - dt.timedelta(seconds=1))
    with pytest.raises(NotFound):
        invitations.opened(newer)
    third, last = invitations.invite(of(user), team, "a@example.org", Role.VIEWER)
    invitations.withdraw(of(user), third)
    with pytest.raises(NotFound):
        invitations.opened(last)
    assert first.pk != second.pk


@pytest.mark.parametrize("how", ["removed", "demoted"])
def test_open_invitations_end_with_the_right_to_invite(how: str) -> None:
    owner = make_user()
    team = make_team(owner)
    admin, membership = member(team, Role.ADMIN)
    _, secret = invitations.invite(of(admin), team, "second@example.org", Role.ADMIN)
    _, other = invitations.invite(of(owner), team, "third@example.org", Role.VIEWER)

    if how == "removed":
        teams.remove_member(of(owner), membership)
    else:
        teams.change_role(of(owner), membership, Role.OPERATOR)

    with pytest.raises(NotFound):
        invitations.opened(secret)
    assert invitations.opened(other).email == "third@example.org"


def test_an_invitation_never_lowers_a_role() -> None:
    user = make_user()
    team = make_team(user)
    _, secret = invitations.invite(of(user), team, "b@example.org", Role.VIEWER)
    guest = make_user("b@example.org")
    Membership.objects.create(team=team, user=guest, role=Role.ADMIN)
    assert invitations.accept(guest, secret).role == Role.ADMIN


def test_somebody_new_registers_by_an_invitation() -> None:
    user = make_user()
    team = make_team(user)
    _, secret = invitations.invite(of(user), team, "c@example.org", Role.VIEWER)
    with pytest.raises(InvalidInput) as caught:
        invitations.register(secret, "C", "short")
    assert caught.value.problems[0][0] == "password"
    assert not User.objects.filter(email="c@example.org").exists()
    new = invitations.register(secret, "C", "a long enough one")
    assert of(new).roles[team.pk] == Role.VIEWER
    with pytest.raises(NotFound):
        invitations.register(secret, "C", "a long enough one")
    other = make_user()
    others_team = make_team(other)
    _, second = invitations.invite(of(other), others_team, "C@example.org", Role.VIEWER)
    with pytest.raises(Conflict):
        invitations.register(second, "C", "a long enough one")


def test_who_may_invite_and_whom() -> None:
    user = make_user()
    team = make_team(user)
    admin, _ = member(team, Role.ADMIN)
    operator, _ = member(team, Role.OPERATOR)
    with pytest.raises(NotAllowed):
        invitations.invite(of(operator), team, "e@example.org", Role.VIEWER)
    with pytest.raises(NotAllowed):
        invitations.invite(of(admin), team, "e@example.org", Role.OWNER)
    with pytest.raises(Conflict):
        invitations.invite(of(admin), team, operator.email.upper(), Role.VIEWER)
    with pytest.raises(Conflict):
        invitations.invite(of(user), user.personal_team, "e@example.org", Role.VIEWER)
    for wrong in ("", "nobody", "a b@example.org"):
        with pytest.raises(InvalidInput):
            invitations.invite(of(admin), team, wrong, Role.VIEWER)


def test_the_role_of_this_moment_counts() -> None:
    """Somebody became owner after the administrator's request had read the row."""
    team = make_team(make_user())
    administrator, _ = member(team, Role.ADMIN)
    _, seen = member(team, Role.VIEWER)
    Membership.objects.filter(pk=seen.pk).update(role=Role.OWNER)
    with pytest.raises(NotAllowed):
        teams.change_role(of(administrator), seen, Role.VIEWER)
    with pytest.raises(NotAllowed):
        teams.remove_member(of(administrator), seen)

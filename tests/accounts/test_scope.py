from __future__ import annotations

import pytest

from opssight.accounts.models import ApiToken, Role
from opssight.accounts.scope import NotAllowed, Principal, visible_to
from repos.models import Repository, RepositoryGrant
from tests.factories import make_connection, make_repository, make_team, make_user

pytestmark = pytest.mark.django_db


def test_a_principal_has_the_roles_of_all_its_teams() -> None:
    user = make_user()
    team = make_team(user, Role.OPERATOR)
    principal = Principal.of_user(user)
    assert principal.roles == {user.personal_team.pk: Role.OWNER, team.pk: Role.OPERATOR}
    assert principal.may(Role.OPERATOR, team.pk)
    assert not principal.may(Role.ADMIN, team.pk)
    assert not principal.may(Role.VIEWER, make_team().pk)
    principal.require(Role.OPERATOR, team.pk)
    with pytest.raises(NotAllowed, match="admin in the team; yours is operator"):
        principal.require(Role.ADMIN, team.pk)


def test_a_write_scope_includes_reading_and_nothing_else() -> None:
    user = make_user()
    token = ApiToken(user=user, team=user.personal_team, scopes=["runs:write", "jobs:read"], name="ci")
    principal = Principal.of_token(token)
    allowed = [
        s
        for s in ("runs:read", "runs:write", "jobs:read", "jobs:write", "audit:read")
        if principal.has_scope(s)
    ]
    assert allowed == ["runs:read", "runs:write", "jobs:read"]
    assert Principal.of_user(user).has_scope("audit:write")
    token.scopes = ["all"]
    assert Principal.of_token(token).has_scope("audit:write")


def test_what_is_shared_is_seen_and_not_acted_on() -> None:
    owner, guest = make_user(), make_user()
    team = make_team(guest)
    repository = make_repository(make_connection(make_team(owner)))
    rows = Repository.objects.all()
    assert not visible_to(rows, Principal.of_user(guest)).exists()
    RepositoryGrant.objects.create(repository=repository, team=team)
    assert visible_to(rows, Principal.of_user(guest)).get() == repository
    assert not visible_to(rows, Principal.of_user(guest), Role.OPERATOR).exists()
    assert visible_to(rows, Principal.of_user(owner), Role.OWNER).get() == repository


def test_rows_remember_for_whom_they_were_narrowed() -> None:
    principal = Principal.of_user(make_user())
    rows = visible_to(Repository.objects.all(), principal)
    for made in (
        rows.filter(archived=False),
        rows.order_by("id"),
        rows.select_related("team"),
        rows[:5],
        rows.all(),
    ):
        assert made.shown_to is principal
    assert Repository.objects.all().shown_to is None

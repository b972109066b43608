"""A connection changes hands: what moves, what stays, and who may do it."""

from __future__ import annotations

import json

import pytest
from django.core.management import call_command
from django.urls import reverse

from opssight.accounts.models import Membership, Role, Team
from opssight.accounts.scope import NotAllowed, Principal
from opssight.audit.models import AuditEvent
from opssight.core.errors import Conflict, InvalidInput
from repos import transfer
from repos.models import (
    Connection,
    ConnectionGrant,
    Delivery,
    ImportRule,
    Repository,
    Webhook,
)
from syncs.copy.models import CopyRule, CopyTarget
from syncs.watch.service import job_of
from tests.factories import make_connection, make_job, make_repository, make_team, make_user
from tests.repos.pages import page, said
from tests.syncs.runs import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def other(principal: Principal) -> Team:
    return make_team(principal.user, name="Platform")


@pytest.fixture
def both(principal: Principal, other: Team) -> Principal:
    return Principal.of_user(principal.user)


@pytest.fixture
def connection(team: Team) -> Connection:
    return make_connection(team, name="Acme")


def test_everything_of_it_moves(both: Principal, connection: Connection, team: Team, other: Team) -> None:
    site = make_repository(connection, "acme/site")
    hook = Webhook.objects.create(team=team, scheme="github", secret="x", connection=connection)
    of_site = Webhook.objects.create(team=team, scheme="github", secret="x", repository=site)
    stays = Webhook.objects.create(team=team, scheme="github", secret="x")
    heard = Delivery.objects.create(team=team, webhook=hook, verdict="accepted", delivery_key="1")
    ImportRule.objects.create(team=team, connection=connection, name="all")
    ConnectionGrant.objects.create(connection=connection, team=other)
    job = job_of(connection)
    transfer.transfer(both, connection, other)
    for row in (connection, site, hook, of_site, heard, job, ImportRule.objects.get()):
        row.refresh_from_db()
        assert row.team_id == other.pk, row
    stays.refresh_from_db()
    assert stays.team_id == team.pk
    assert not ConnectionGrant.objects.exists()
    events = AuditEvent.objects.filter(action="connection.transfer")
    assert {event.team_id for event in events} == {team.pk, other.pk}
    assert events[0].diff["with"] == ["1 repository", "2 webhooks", "1 import rule"]


def test_both_teams_have_to_be_ones_own(connection: Connection, team: Team, other: Team) -> None:
    for here, there in ((Role.OPERATOR, Role.OWNER), (Role.ADMIN, Role.OPERATOR), (Role.ADMIN, None)):
        user = make_user()
        Membership.objects.create(user=user, team=team, role=here)
        if there is not None:
            Membership.objects.create(user=user, team=other, role=there)
        with pytest.raises(NotAllowed):
            transfer.transfer(Principal.of_user(user), connection, other)
    assert Connection.objects.get().team == team


def test_a_name_that_is_taken_there(both: Principal, connection: Connection, other: Team) -> None:
    make_connection(other, name="Acme")
    make_repository(connection)
    with pytest.raises(InvalidInput, match="called Acme"):
        transfer.transfer(both, connection, other)
    assert Repository.objects.get().team_id != other.pk
    with pytest.raises(InvalidInput, match="already"):
        transfer.transfer(both, connection, connection.team)


def test_what_somebody_else_moved_meanwhile_is_not_moved_again(
    both: Principal, connection: Connection, other: Team
) -> None:
    third = make_team(both.user, name="Third")
    stale = Connection.objects.get(pk=connection.pk)
    person = Principal.of_user(both.user)
    transfer.transfer(person, connection, other)
    with pytest.raises(Conflict, match="was moved or deleted just now"):
        transfer.transfer(person, stale, third)
    assert Connection.objects.get().team == other


def test_jobs_that_would_lose_it_are_named(
    both: Principal, connection: Connection, team: Team, other: Team
) -> None:
    elsewhere = make_repository(make_connection(team))
    reads = CopyRule.objects.create(
        job=make_job(team, name="from it"), source=make_repository(connection), source_branch="main"
    )
    with pytest.raises(Conflict, match=r"from it of .* works with repositories of Acme. Share it"):
        transfer.transfer(both, connection, other)
    transfer.transfer(both, connection, other, share_back=True)
    assert ConnectionGrant.objects.get(connection=connection).team == team
    transfer.transfer(both, connection, team)
    writes = CopyRule.objects.create(job=make_job(team, name="to it"), source=elsewhere, source_branch="main")
    CopyTarget.objects.create(rule=writes, repository=make_repository(connection), branch="main")
    with pytest.raises(Conflict, match=r"to it of .* writes to repositories"):
        transfer.transfer(both, connection, other, share_back=True)
    with pytest.raises(Conflict, match=r"^to it of .* writes to repositories"):  # sharing would not help
        transfer.transfer(both, connection, other)
    assert Connection.objects.get(name="Acme").team == team
    assert reads.job.name == "from it"


def test_the_page_says_what_moves_before_it_does() -> None:
    client, team = signed_in()
    made = make_connection(team, name="Acme")
    make_repository(made)
    url = reverse("connection_transfer", args=[made.pk])
    user = team.memberships.get().user
    other = make_team(user, name="Platform")
    make_team(user, Role.OPERATOR, name="Not mine")
    text = page(client, "connection_transfer", made.pk)
    assert "1 repository" in text
    assert "Platform" in text
    assert "Not mine" not in text
    assert client.post(url, {"team": str(make_team().pk)}).status_code == 422
    answer = client.post(url, {"team": str(other.pk)}, follow=True)
    assert said(answer) == ["Acme belongs to Platform now."]
    assert client.get(reverse("connection", args=[made.pk])).status_code == 404


def test_the_api_and_the_command_line_move_it_too(capsys: pytest.CaptureFixture[str]) -> None:
    client, team = signed_in()
    made = make_connection(team, name="Acme")
    other = make_team(team.memberships.get().user, name="Platform")
    url = f"/api/v1/connections/{made.pk}/transfer/"
    wrong = client.post(url, {"team": str(make_team().pk)}, content_type="application/json")
    assert wrong.status_code == 400
    right = client.post(url, {"team": str(other.pk)}, content_type="application/json")
    assert right.status_code == 204
    assert Connection.objects.get().team == other
    call_command("connection", "transfer", "Acme", "--to", team.slug, "--team", other.slug, "--json")
    assert json.loads(capsys.readouterr().out)["team"] == team.name
    assert Connection.objects.get().team == team

"""What connections see: kept for a while, narrowed, with gaps named, and imported by rules."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.urls import reverse

from opssight.accounts.models import AllowedHost, Role, Team
from opssight.accounts.scope import NotAllowed, Principal
from opssight.audit.models import AuditEvent
from opssight.core.clock import now
from opssight.core.errors import Failure, InvalidInput, RateLimited
from repos import discovery, import_rules, inventory
from repos.events import RepositoryAppeared, publish
from repos.import_rules import look_at
from repos.models import Connection, Credential, Discovery, ImportRule, Repository
from tests.api.client import api_of, make_api, make_member
from tests.factories import make_connection, make_repository, make_team, make_user
from tests.forges.bitbucket import API_SCOPES, BitbucketStandIn
from tests.forges.bitbucket_dc import BitbucketDataCenterStandIn
from tests.forges.gitea import GiteaStandIn
from tests.forges.github import GitHubStandIn
from tests.forges.gitlab import GitLabStandIn
from tests.forges.standin import Reply, StandIn
from tests.repos.found import ALL, names, remember, remote
from tests.repos.pages import page, said, settle, words
from tests.syncs.runs import signed_in

pytestmark = pytest.mark.django_db(transaction=True)
TOKEN = "canary-token-7b1c9d"
HTMX = {"HX-Request": "true"}
MAIL = "ana@example.org"

Start = Callable[[str], tuple[Any, Connection]]
_FORGES: dict[str, tuple[type[StandIn], dict[str, Any], dict[str, Any]]] = {
    "github": (GitHubStandIn, {"scopes": ["repo"]}, {}),
    "gitlab": (GitLabStandIn, {"scopes": ["api"]}, {}),
    "bitbucket": (BitbucketStandIn, {"email": MAIL, "scopes": API_SCOPES}, {"email": MAIL}),
    "bitbucket_dc": (BitbucketDataCenterStandIn, {}, {}),
    "gitea": (GiteaStandIn, {}, {}),
}


@pytest.fixture
def start(tmp_path: Path, team: Team) -> Iterator[Start]:
    """A running stand-in with `acme/site` and `acme/old`, and a connection to it."""
    with ExitStack() as stack:

        def begin(kind: str) -> tuple[Any, Connection]:
            make, token, options = _FORGES[kind]
            forge = stack.enter_context(make(tmp_path / kind))
            forge.add_token(TOKEN, "ana", **token)
            forge.add_repository(
                "acme/site",
                {b"a": b"b"},
                visibility="public",
                topics=["web"],
                description="The site",
                more={"language": "Go"},
            )
            forge.add_repository("acme/old", archived=True, on_disk=False)
            AllowedHost.objects.create(pattern="127.0.0.1", cidr="127.0.0.0/8", ports=str(forge.port))
            made = make_connection(team, kind, name=kind, options={"url": forge.url, **options})
            Credential.objects.create(connection=made, purpose="token", secret=TOKEN)
            return forge, made

        yield begin


def imported_by_name(principal: Principal, connection: Connection) -> Repository:
    found = discovery.by_names(connection, ["acme/site"])
    ids = [one.remote.external_id for one in found]
    [row] = inventory.import_repositories(principal, connection, ids, found=found)
    return row


# --- each provider ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("github", {"has_issues": True, "has_wiki": True, "is_template": False, "allow_forking": True}),
        ("gitlab", {"merge_requests_enabled": True, "ci_enabled": True, "access_level": 40}),
        ("bitbucket", {"has_issues": False, "has_wiki": False, "fork_policy": "no_public_forks"}),
        ("bitbucket_dc", {"forkable": True}),
        ("gitea", {"has_issues": True, "has_actions": False, "permissions": {"admin": True}}),
    ],
)
def test_rows_keep_what_each_provider_tells(
    start: Start, principal: Principal, kind: str, told: dict[str, Any]
) -> None:
    forge, connection = start(kind)
    row = imported_by_name(principal, connection)
    row.refresh_from_db()
    assert row.web_url.startswith(f"{getattr(forge, 'root_url', forge.url).rstrip('/')}/")
    assert row.web_url.removesuffix("/browse").endswith("site")
    assert row.language == ("" if kind in ("gitlab", "bitbucket_dc") else "Go")
    for name, value in told.items():
        kept = row.provider_data[name]
        assert kept == value or (isinstance(value, dict) and value.items() <= kept.items())


@pytest.mark.parametrize("kind", list(_FORGES))
def test_repositories_are_found_by_name_or_id_without_a_listing(start: Start, kind: str) -> None:
    forge, connection = start(kind)
    for number in range(120):
        forge.add_repository(f"acme/many-{number}", on_disk=False)
    forge.asked.clear()
    [by_name] = discovery.by_names(connection, ["acme/site"])
    assert len(forge.asked) <= 2  # Data Center's branch is a second one
    assert by_name.known is None
    [again] = discovery.by_names(connection, [by_name.remote.external_id])
    assert again == by_name
    with pytest.raises(InvalidInput, match=r"does not see 'acme/nothing'"):
        discovery.by_names(connection, ["acme/site", "acme/nothing"])
    listing = discovery.look(connection)
    forge.asked.clear()
    found = discovery.by_names(connection, ["acme/old", by_name.remote.external_id, "acme/old"])
    assert [one.remote.full_name for one in found] == ["acme/old", "acme/site", "acme/old"]
    assert not forge.asked
    assert len(listing.found) == 122


@pytest.mark.parametrize("kind", ["github", "gitlab", "bitbucket", "gitea"])
def test_a_renamed_or_transferred_repository_is_the_same_row(
    start: Start, principal: Principal, kind: str
) -> None:
    forge, connection = start(kind)
    row = imported_by_name(principal, connection)
    forge.rename(forge.named("acme/site"), "acme/website")
    done = inventory.refresh(connection)
    assert done.renamed == [("acme/site", "acme/website")]
    row.refresh_from_db()
    assert (row.full_name, row.state) == ("acme/website", "active")
    assert Repository.objects.count() == 1


# --- kept for a while ----------------------------------------------------------------------------------


def test_a_young_list_is_not_asked_for_again(start: Start) -> None:
    forge, connection = start("github")
    first = discovery.latest(connection)
    asked = len(forge.asked)
    assert discovery.latest(connection) == first
    assert len(forge.asked) == asked
    forge.add_repository("acme/new", on_disk=False)
    assert "acme/new" in names(discovery.latest(connection, again=True).found)
    Discovery.objects.update(found_at=now() - dt.timedelta(minutes=6))
    forge.add_repository("acme/newer", on_disk=False)
    assert "acme/newer" in names(discovery.latest(connection).found)


def test_what_is_kept_is_what_was_told(team: Team) -> None:
    connection = make_connection(team)
    whole = remote(
        "acme/site",
        description="x",
        default_branch="main",
        visibility="private",
        archived=True,
        fork=True,
        size_bytes=7,
        topics=("a", "b"),
        pushed_at=dt.datetime(2026, 1, 2, tzinfo=dt.UTC),
        usable=False,
        reason="broken",
        language="Go",
        web_url="https://x",
        data={"permissions": {"push": True}},
    )
    remember(connection, whole, remote("acme/bare\n\u202e<b>"))
    listing = discovery.stored(connection)
    assert listing is not None
    assert [one.remote for one in listing.found] == [remote("acme/bare\n\u202e<b>"), whole]


# --- gaps ----------------------------------------------------------------------------------------------


def test_a_workspace_that_cannot_be_listed_is_named_and_loses_nothing(
    start: Start, principal: Principal
) -> None:
    _, connection = start("bitbucket")
    inventory.import_repositories(principal, connection)
    make_repository(connection, "closed/site", external_id="elsewhere")
    connection.options["workspaces"] = ["acme", "closed"]
    connection.save()
    done = inventory.refresh(connection)
    assert done.lost == []
    assert done.failed[0].startswith("Workspace closed: ")
    assert "Workspace closed" in done.sentence
    assert set(Repository.objects.values_list("state", flat=True)) == {"active"}
    connection.refresh_from_db()
    assert connection.state == "ok"
    connection.options["workspaces"] = ["closed"]
    connection.save()
    with pytest.raises(Failure, match="Workspace closed"):
        inventory.refresh(connection)


def test_organizations_behind_single_sign_on_are_a_gap(start: Start, principal: Principal) -> None:
    forge, connection = start("github")
    inventory.import_repositories(principal, connection)
    hidden = {"X-GitHub-SSO": "partial-results; organizations=21955855,20582480"}
    forge.next_replies = [Reply(200, [], headers=hidden)]
    with pytest.raises(Failure, match="2 organizations hide their repositories"):
        inventory.refresh(connection)
    one = forge.answer
    forge.answer = lambda asked: _with(one(asked), hidden)
    assert inventory.refresh(connection).failed == [
        "2 organizations hide their repositories until the token is authorized for single sign-on."
    ]
    forge.answer = one
    assert inventory.refresh(connection).failed == []


def _with(reply: Reply, headers: dict[str, str]) -> Reply:
    return Reply(reply.status, reply.data, {**reply.headers, **headers}, reply.raw)


def test_a_list_that_breaks_off_is_partial(start: Start, principal: Principal) -> None:
    forge, connection = start("gitlab")
    for number in range(120):
        forge.add_repository(f"acme/r{number}", on_disk=False)
    inventory.import_repositories(principal, connection)
    whole = forge.answer
    forge.answer = lambda asked: Reply(502) if asked.query.get("page") == "2" else whole(asked)
    listing = discovery.look(connection)
    assert len(listing.found) == 100
    assert listing.failed[0].startswith("The list ends early. GitLab has trouble of its own")
    assert inventory.refresh(connection).lost == []


def test_a_limit_that_is_reached_keeps_the_list_from_before(start: Start) -> None:
    forge, connection = start("gitlab")
    discovery.look(connection)
    forge.next_replies = [Reply(429, raw=b"Retry later", headers={"Retry-After": "60"})]
    with pytest.raises(RateLimited):
        discovery.look(connection)
    kept = discovery.stored(connection)
    assert kept is not None
    assert names(kept.found) == ["acme/old", "acme/site"]


# --- the page ------------------------------------------------------------------------------------------


def test_an_old_list_is_shown_while_a_new_one_is_on_its_way(start: Start, beside: None) -> None:
    _, connection = start("github")
    client, _ = signed_in(connection.team)
    remember(connection, remote("acme/before"), age=60)
    url = reverse("connection_found", args=[connection.pk])
    first = client.get(url).content.decode()
    assert "acme/before" in first
    assert "1 h ago" in words(first.encode())
    text = words(client.get(url, headers=HTMX).content)
    assert "acme/site" in text
    assert "as of just now" in text


def test_when_nothing_new_can_be_had_the_list_from_before_stays(start: Start, beside: None) -> None:
    forge, connection = start("github")
    client, _ = signed_in(connection.team)
    remember(connection, remote("acme/before"), age=60, failed=["Workspace x: It is closed."])
    forge.tokens[TOKEN].revoked = True
    text = words(client.get(reverse("connection_found", args=[connection.pk]), headers=HTMX).content)
    assert "GitHub refused the token." in text
    assert "This is the list from before." in text
    assert "Not everything could be listed. Workspace x: It is closed." in text
    assert "acme/before" in text


# --- rules ---------------------------------------------------------------------------------------------


def test_a_rule_imports_what_is_new_and_fits(start: Start, principal: Principal) -> None:
    forge, connection = start("gitea")
    rule = import_rules.make_rule(principal, connection, {"owner": "acme", "state": "new", "page": "2"})
    assert (rule.name, rule.filters) == ("below acme", {"owner": "acme"})
    forge.add_repository("other/site", on_disk=False)
    done = inventory.refresh(connection)
    assert done.imported == ["acme/site"]  # the archived one was not asked for
    assert "1 imported by rules" in done.sentence
    event = AuditEvent.objects.get(action="repository.import")
    assert event.diff["rule"] == "below acme"
    assert inventory.refresh(connection).imported == []
    inventory.set_ignored(principal, Repository.objects.get(), True)
    assert inventory.refresh(connection).imported == []
    assert Repository.objects.get().state == "ignored"
    import_rules.remove_rule(principal, rule)
    forge.add_repository("acme/new", on_disk=False)
    assert inventory.refresh(connection).imported == []
    actions = ["import_rule.create", "import_rule.delete"]
    assert AuditEvent.objects.filter(action__in=actions, team_id=connection.team_id).count() == 2


def test_archived_ones_come_where_the_rule_says_so(team: Team, principal: Principal) -> None:
    connection = make_connection(team)
    import_rules.make_rule(principal, connection, {"archived": "yes"}, "the old ones")
    taken = import_rules.apply_rules(connection, ALL)
    assert [row.full_name for row in taken] == ["acme-2/site"]


def test_rules_import_so_many_at_once_and_the_rest_later(
    team: Team, principal: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_rules, "MOST", 3)
    connection = make_connection(team)
    import_rules.make_rule(principal, connection, {"owner": "acme"})
    import_rules.make_rule(principal, connection, {})
    assert len(import_rules.apply_rules(connection, ALL)) == 3
    assert len(import_rules.apply_rules(connection, ALL)) == 1
    assert import_rules.apply_rules(connection, ALL) == []


def test_a_rule_needs_an_operator_a_name_of_its_own_and_filters_that_fit(
    team: Team, principal: Principal
) -> None:
    connection = make_connection(team)
    with pytest.raises(NotAllowed):
        import_rules.make_rule(Principal(make_user(), {team.pk: Role.VIEWER}), connection, {})
    with pytest.raises(InvalidInput, match="cannot be read"):
        import_rules.make_rule(principal, connection, {"include": "(["})
    with pytest.raises(InvalidInput, match="at most 100"):
        import_rules.make_rule(principal, connection, {}, "n" * 101)
    import_rules.make_rule(principal, connection, {}, " all  of it ")
    with pytest.raises(InvalidInput, match="There is a rule called all of it already"):
        import_rules.make_rule(principal, connection, {}, "all of it")
    assert ImportRule.objects.count() == 1


def test_a_rule_is_made_from_the_list_and_removed_there() -> None:
    client, team = signed_in(role=Role.OPERATOR)
    connection = make_connection(team)
    remember(connection, remote("acme/one"))
    made = client.post(
        reverse("import_rule_new", args=[connection.pk]), {"owner": "acme", "name": "Acme"}, follow=True
    )
    assert said(made) == ["From the next look on, what fits “Acme” is imported by itself."]
    assert "Imported by themselves 1 rule Acme" in words(made.content)
    rule = ImportRule.objects.get()
    other, _ = signed_in()
    gone = reverse("import_rule_delete", args=[connection.pk, rule.pk])
    assert other.post(gone).status_code == 404
    assert other.post(reverse("import_rule_new", args=[connection.pk])).status_code == 404
    viewer, _ = signed_in(team, Role.VIEWER)
    assert viewer.post(gone).status_code == 404
    bad = client.post(reverse("import_rule_new", args=[connection.pk]), {"include": "(["}, follow=True)
    assert said(bad)[0].startswith("The pattern cannot be read")
    assert said(client.post(gone, follow=True)) == ["“Acme” imports nothing more. What it imported stays."]
    assert not ImportRule.objects.exists()


def test_a_repository_that_a_delivery_names_is_looked_at_once(
    start: Start, principal: Principal, beside: None
) -> None:
    forge, connection = start("github")
    made = forge.add_repository("acme/new", on_disk=False)

    def appear(external_id: str) -> None:
        with transaction.atomic():
            publish(
                RepositoryAppeared(
                    heard="webhook",
                    connection_id=connection.pk,
                    external_id=external_id,
                    full_name="acme/new",
                )
            )
        settle()

    appear(str(made.id))
    assert forge.asked == []  # without a rule nobody asks
    import_rules.make_rule(principal, connection, {"owner": "acme"})
    appear("4711")
    assert not Repository.objects.exists()
    appear(str(made.id))
    assert Repository.objects.get().full_name == "acme/new"
    connection.delete()
    assert look_at(connection.pk, str(made.id)) == 0


def test_another_team_sees_no_rule_and_no_list() -> None:
    client, _ = signed_in()
    connection = make_connection(make_team())
    remember(connection, remote("secret/one"))
    assert client.get(reverse("connection_found", args=[connection.pk])).status_code == 404


# --- the API, and a repository's page ------------------------------------------------------------------


def test_the_api_narrows_imports_and_makes_rules() -> None:
    api, team = make_api(Role.OPERATOR)
    connection = make_connection(team)
    remember(connection, *ALL, failed=["Workspace x: It is closed."])
    path = f"connections/{connection.pk}"
    found = api.post(f"{path}/discover/", {"owner": "acme", "fork": "no"}).json()
    assert [row["full_name"] for row in found["results"]] == ["acme/api"]
    assert (found["total"], found["failed"]) == (5, ["Workspace x: It is closed."])
    assert found["results"][0]["topics"] == ["web", "Core"]
    assert api.post(f"{path}/discover/").json()["total"] == 5

    answer = api.post(f"{path}/import/", {"match": {"pushed_since": "2026-03-02"}})
    assert [row["full_name"] for row in answer.json()["results"]] == ["zeta/labs/deep/one"]
    [row] = answer.json()["results"]
    assert row["provider_data"]["active_at"].startswith("2026-05-01")
    both = {"match": {}, "external_ids": ["alone"]}
    assert api.post(f"{path}/import/", both).status_code == 400
    for bad in ({"include": "(["}, {"visibility": "secret"}, {"pushed_since": "x"}, {"search": 7 * "x" * 99}):
        assert api.post(f"{path}/discover/", bad).status_code in (400, 422), bad
        assert api.post(f"{path}/import/", {"match": bad}).status_code in (400, 422), bad

    body = {"connection": str(connection.pk), "filters": {"owner": "acme", "archived": "no"}}
    made = api.post("import-rules/", body)
    assert made.status_code == 201, made.content
    assert made.json()["filters"] == {"owner": "acme", "archived": "no"}
    assert api.post("import-rules/", body).status_code == 422  # of the same name
    listed = api.get(f"import-rules/?connection={connection.pk}").json()["results"]
    assert [rule["name"] for rule in listed] == ["below acme, not archived"]
    other, _ = make_api()
    rule = f"import-rules/{made.json()['id']}/"
    assert other.get(rule).status_code == other.delete(rule).status_code == 404
    assert other.post("import-rules/", body).status_code == 400
    viewer, _ = make_member(Role.VIEWER, team)
    assert api_of(viewer, team).delete(rule).status_code == 403
    assert api.delete(rule).status_code == 204


def test_the_page_of_a_repository_says_what_its_provider_tells() -> None:
    client, team = signed_in()
    connection = make_connection(team, "gitlab", name="GitLab acme")
    data = {"issues_enabled": True, "ci_enabled": False, "access_level": 40, "unknown": {"x": 1}, "mirror": 7}
    row = make_repository(
        connection, language="Go", topics=["web"], web_url="https://git.example.org/a", provider_data=data
    )
    text = page(client, "repository", row.pk)
    assert "About as GitLab acme tells Language Go Topics web Switched on issues Switched off CI" in text
    assert "Our access maintainer" in text
    answer = client.get(reverse("repository", args=[row.pk]))
    assert b'href="https://git.example.org/a"' in answer.content
    Repository.objects.update(
        web_url="javascript:alert(1)", provider_data={"permissions": {"push": True, "admin": False}}
    )
    answer = client.get(reverse("repository", args=[row.pk]))
    assert b"javascript:alert" not in answer.content
    assert "Our access push" in words(answer.content)

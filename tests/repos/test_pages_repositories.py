"""Pages of repositories: the list, and one with its timeline, files, refs, rules and webhooks."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from opssight.accounts.models import Role, Team
from opssight.core.clock import now
from repos import access
from repos.models import Connection, Delivery, Repository, RepositoryStatus, Webhook
from repos.views.files import _tree
from syncs.copy.models import CopyRule, CopyState, CopyTarget
from tests.factories import make_connection, make_job, make_repository, make_team
from tests.repos.git.work import Bare
from tests.repos.pages import page, queries, said, settle, wait, words
from tests.syncs.runs import make_item, make_run, signed_in

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
OF_ONE = ["repository", "repository_files", "repository_refs", "repository_rules", "repository_hook"]
A, B = "a" * 40, "b" * 40


# --- the list --------------------------------------------------------------------------------------------


def test_without_a_connection_the_list_leads_to_the_first_one() -> None:
    client, _ = signed_in()
    assert "Everything starts with a connection" in page(client, "repositories")


def test_with_a_connection_the_list_leads_to_what_it_holds() -> None:
    client, team = signed_in()
    connection = make_connection(team, name="Team git")
    text = client.get(reverse("repositories")).content.decode()
    assert "See what Team git holds" in text
    assert reverse("connection_found", args=[connection.pk]) in text


def listed(client: Client, **query: str) -> list[str]:
    rows = client.get(reverse("repositories"), query).context["rows"]
    return [row.repository.full_name for row in rows]


def test_the_list_is_narrowed_and_sorted() -> None:
    client, team = signed_in()
    first, second = make_connection(team, name="first"), make_connection(team, name="second")
    make_repository(first, "team/b", description="all the docs")
    make_repository(first, "team/a", head_seen_at=now())
    make_repository(second, "team/lost", state=Repository.State.LOST_ACCESS, state_reason="It is gone.")
    make_repository(second, "team/shallow", state_reason="It is shallow.")
    make_repository(second, "team/old", state=Repository.State.IGNORED)
    assert listed(client) == ["team/a", "team/b", "team/lost", "team/shallow"]
    assert listed(client, q="DOCS") == ["team/b"]
    assert listed(client, state="unusable") == ["team/lost", "team/shallow"]
    assert listed(client, state="ignored") == ["team/old"]
    assert listed(client, connection=str(first.pk), sort="-name") == ["team/b", "team/a"]
    assert listed(client, connection="nonsense") == listed(client)
    assert listed(client, sort="-seen")[0] == "team/a"
    text = page(client, "repositories", state="unusable")
    assert "team/lost lost access It is gone." in text
    assert "team/shallow cannot be used It is shallow." in text
    assert "No repository fits." in page(client, "repositories", q="nothing like it")


@pytest.mark.parametrize(
    ("state", "fresh", "behind", "word"),
    [
        ("fresh", A, 0, "at HEAD"),
        ("fresh", B, 0, "behind"),  # another head was seen meanwhile
        ("behind", "", 3, "3 behind"),
        ("behind", "", None, "behind"),
        ("failed", "", 1, "failed"),
        ("strange", "", None, "unknown"),
    ],
)
def test_the_list_says_how_far_copying_is(state: str, fresh: str, behind: int | None, word: str) -> None:
    client, team = signed_in()
    repository = make_repository(make_connection(team), "team/a", head_oid=A)
    RepositoryStatus.objects.create(
        repository=repository, lane="copy", state=state, fresh_oid=fresh, behind=behind
    )
    [row] = client.get(reverse("repositories")).context["rows"]
    copying = next(standing for standing in row.standings if standing.lane == "copy")
    assert f"team/a {word} " in page(client, "repositories")
    assert copying.lane == "copy"


def test_fifty_are_on_a_page() -> None:
    client, team = signed_in()
    connection = make_connection(team)
    for number in range(53):
        make_repository(connection, f"r{number:02}")
    assert len(listed(client)) == 50
    assert listed(client, page="2") == ["r50", "r51", "r52"]
    assert "1 to 50 of 53 repositories" in page(client, "repositories")


# --- who may ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*OF_ONE, "repository_look", "repository_ignore"])
def test_repositories_of_other_teams_are_not_there(name: str) -> None:
    client, team = signed_in()
    other = make_repository(make_connection(make_team()))
    other.grants.create(team=team)  # shared: to be seen by jobs, not a page of this team
    method = client.get if name in OF_ONE else client.post
    assert method(reverse(name, args=[other.pk])).status_code == 404


def test_a_viewer_looks_and_changes_nothing() -> None:
    client, team = signed_in(role=Role.VIEWER)
    repository = make_repository(make_connection(team))
    assert "Look now" not in page(client, "repository", repository.pk)
    for name in ("repository_look", "repository_ignore"):
        assert client.post(reverse(name, args=[repository.pk])).status_code == 404
    assert "Add a webhook" not in page(client, "repository_hook", repository.pk)


def test_leaving_out_and_taking_in_again() -> None:
    client, team = signed_in(role=Role.OPERATOR)
    repository = make_repository(make_connection(team), "team/a")
    url = reverse("repository_ignore", args=[repository.pk])
    assert said(client.post(url, follow=True)) == ["team/a is left out of lists and proposals."]
    assert listed(client, q="team") == []
    assert "Take it in again" in page(client, "repository", repository.pk)
    assert said(client.post(url, {"ignored": "no"}, follow=True)) == ["team/a is in the lists again."]
    assert listed(client) == ["team/a"]


# --- one of them ------------------------------------------------------------------------------------------


def test_a_repository_that_nobody_looked_at_says_so() -> None:
    client, team = signed_in()
    repository = make_repository(make_connection(team, name="Team git"), "team/a")
    text = page(client, "repository", repository.pk)
    assert "HEAD of main no commit seen" in text
    assert "No rule copies from here" in text
    assert "Nothing has happened here yet." in text
    assert "Visibility not told" in text
    assert "Webhook not set up" in text
    assert " Hook " not in text


def copied(repository: Repository, target: Repository, held: str = "") -> CopyTarget:
    """A rule from one to the other; `held` is the source's commit that the target has."""
    job = make_job(repository.team, "copy", name="docs to site", poll_seconds=120)
    rule = CopyRule.objects.create(job=job, source=repository, source_branch="main")
    made = CopyTarget.objects.create(rule=rule, repository=target, branch="main")
    if held:
        CopyState.objects.create(target=made, source_oid=held)
    return made


def test_the_strip_the_rules_and_where_it_leads() -> None:
    client, team = signed_in()
    connection = make_connection(team)
    source = make_repository(connection, "team/docs", head_oid=A, head_seen_at=now())
    target = make_repository(connection, "team/site")
    copied(source, target, A)
    RepositoryStatus.objects.create(
        repository=source, lane="copy", state="fresh", fresh_oid=A, behind=0, sentence="1 of 1 target at HEAD"
    )
    text = page(client, "repository_rules", source.pk)
    assert "Copy at HEAD 1 of 1 target at HEAD" in text
    assert "docs to site Copy 1 of 1 target at HEAD is read looks every 2 min, and hears webhooks" in text
    assert "Leads to 1 target team/site main at HEAD" in text
    text = page(client, "repository_rules", target.pk)
    assert "Written to by 1 rule" in text
    assert "is written to not from here" in text
    assert "Leads to" not in text


def test_without_a_rule_there_is_what_could_be_done() -> None:
    client, team = signed_in()
    repository = make_repository(make_connection(team))
    text = page(client, "repository_rules", repository.pk)
    assert "No rule reads it or writes to it" in text
    assert "Make a copy rule" in text


def test_the_timeline_tells_causes_and_effects() -> None:
    client, team = signed_in()
    connection = make_connection(team)
    source, target = make_repository(connection, "team/docs"), make_repository(connection, "team/site")
    hook = Webhook.objects.create(team=team, scheme="plain", secret="x", repository=source)
    job = copied(source, target).rule.job
    delivery = Delivery.objects.create(
        webhook=hook, team=team, delivery_key="1", event="push", verdict="accepted", repository=source
    )
    because = "a push to team/docs main by Ana"
    run = make_run(job, sentence="Copied 3 files.", because=because, repository=source, input={})
    run.causes.create(delivery=delivery)
    make_item(run, "team/site", repository=target)
    text = page(client, "repository", source.pk)
    assert "Today" in text
    assert "A push to team/docs main by Ana heard by webhook delivery" in text
    assert "Copied 3 files. docs to site run " in text
    assert "Copied 3 files." in page(client, "repository", target.pk)  # it was written to


@pytest.mark.parametrize("name", ["repository", "repository_rules", "repository_hook"])
def test_the_pages_ask_as_much_for_thirty_rows_as_for_three(name: str) -> None:
    client, team = signed_in()
    connection = make_connection(team)
    source = make_repository(connection)

    def grow(number: int) -> None:
        for _ in range(number):
            target = make_repository(connection)
            job = make_job(team, "copy")
            rule = CopyRule.objects.create(job=job, source=source, source_branch="main")
            CopyTarget.objects.create(rule=rule, repository=target, branch="main")
            hook = Webhook.objects.create(team=team, scheme="plain", secret="x", repository=source)
            delivery = Delivery.objects.create(
                webhook=hook, team=team, delivery_key=str(hook.pk), verdict="accepted", repository=source
            )
            make_run(job, repository=source).causes.create(delivery=delivery)
            make_run(job, repository=source)

    url = reverse(name, args=[source.pk])
    grow(3)
    few = queries(client, url)
    grow(27)
    assert queries(client, url) == few


def test_the_hook_page_says_who_tells_and_else_how_one_comes_to_know() -> None:
    client, team = signed_in()
    connection = make_connection(team, name="Team git")
    repository = make_repository(connection, "team/docs")
    copied(repository, make_repository(connection))
    text = page(client, "repository_hook", repository.pk)
    assert "No webhook can tell of this repository." in text
    assert "docs to site looks every 2 min, and hears webhooks" in text
    for name, bound in (
        ("whole team", {}),
        ("server", {"connection": connection}),
        ("own", {"repository": repository}),
    ):
        Webhook.objects.create(team=team, name=name, scheme="plain", secret="x", **bound)
    other = make_repository(make_connection(team))
    Webhook.objects.create(team=team, name="of another", scheme="plain", secret="x", repository=other)
    text = page(client, "repository_hook", repository.pk)
    assert "own this repository never server all of Team git never whole team all of the team never" in text
    assert "of another" not in text
    assert "nothing heard yet" in text


@pytest.mark.parametrize(
    ("external_id", "address"),
    [
        ("https://github.com/acme/docs.git", "https://github.com/acme/docs"),
        ("ssh://git@host/a.git", ""),
        ("http://host/a.git", ""),
        ("team/docs", ""),
        ("https://me:secret@host/a.git", ""),
    ],
)
def test_the_page_leads_to_where_people_look_at_it(external_id: str, address: str) -> None:
    client, team = signed_in()
    repository = make_repository(make_connection(team), "acme/docs", external_id=external_id)
    text = client.get(reverse("repository", args=[repository.pk])).content.decode()
    assert ("Open there" in text) == bool(address)
    assert not address or f'href="{address}"' in text


def test_strange_names_are_text() -> None:
    client, team = signed_in()
    name = "<script>alert(1)</script>"
    repository = make_repository(
        make_connection(team, name=name), name, description=name, default_branch=name
    )
    for address in OF_ONE[:1] + OF_ONE[3:]:
        assert name not in client.get(reverse(address, args=[repository.pk])).content.decode()


# --- files and refs, from real repositories -----------------------------------------------------------


@pytest.fixture
def docs(folder: Path, beside: None) -> tuple[Client, Repository, Bare]:
    """A repository in a folder, with files of all sorts."""
    client, team = signed_in()
    bare = Bare(folder / "docs.git")
    bare.commit(
        {
            b"README": b"read me\n",
            b"guides/deep/one.md": b"# One\n<b>not HTML</b>\n",
            b"guides/two.md": b"",
            b"raw/picture": b"\x89PNG\x00\x01",
            b'odd/\xff"&?.txt': b"odd",
        }
    )
    connection = make_connection(team, options={"root": str(folder)})
    return client, make_repository(connection, "docs", external_id="docs.git"), bare


def files(client: Client, repository: Repository, **query: str) -> str:
    url = reverse("repository_files", args=[repository.pk])
    client.get(url)
    wait()
    return client.get(url, query).content.decode()


def test_the_first_look_says_that_it_is_fetched_and_polls(docs: tuple[Client, Repository, Bare]) -> None:
    client, repository, _ = docs
    text = client.get(reverse("repository_files", args=[repository.pk])).content.decode()
    assert "Fetching its history to this machine" in text
    assert "load delay:1s" in text
    settle()
    part = client.get(reverse("repository_files", args=[repository.pk]), headers=HTMX).content.decode()
    assert "hx-trigger" not in part.partition(">")[0]
    assert words(part.encode()).startswith("main ")


def test_the_tree_opens_folder_by_folder(docs: tuple[Client, Repository, Bare]) -> None:
    client, repository, bare = docs
    text = files(client, repository)
    assert "5 files" in words(text.encode())
    assert "one.md" not in text
    oid = bare.oid("main")
    url = reverse("repository_files", args=[repository.pk])
    inside = client.get(url, {"at": oid, "folder": "guides", "branch": "main"}, headers=HTMX)
    assert words(inside.content) == "deep 1 Show 1 file two.md"
    assert "branch=main&amp;path=guides%2Ftwo.md" in inside.content.decode()
    for wrong in (
        {"at": oid, "folder": "nowhere"},
        {"at": "f" * 40, "folder": ""},
        {"at": "x", "folder": ""},
    ):
        assert client.get(url, wrong, headers=HTMX).status_code == 404


def test_without_a_script_a_folder_is_a_link_that_opens_it(docs: tuple[Client, Repository, Bare]) -> None:
    client, repository, _ = docs
    text = files(client, repository, path="guides/deep")
    assert "one.md" in text
    assert "two.md" in text


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("guides/deep/one.md", "&lt;b&gt;not HTML&lt;/b&gt;"),
        ("guides/two.md", "It is empty."),
        ("raw/picture", "It is not text."),
        ("odd/%FF%22%26%3F.txt", "odd"),
    ],
)
def test_a_file_is_shown(docs: tuple[Client, Repository, Bare], path: str, shown: str) -> None:
    client, repository, _ = docs
    text = files(client, repository, path=path)
    assert shown in text.partition("browse-file")[2]


def test_a_large_file_and_a_long_one_are_not_shown_whole(docs: tuple[Client, Repository, Bare]) -> None:
    client, repository, bare = docs
    bare.commit({b"large": b"x" * 300_000, b"long": b"line\n" * 2_500})
    assert "It is too large to be shown here." in files(client, repository, path="large")
    assert "500 more lines are not shown." in files(client, repository, path="long")


def test_a_path_that_is_not_there_shows_the_tree(docs: tuple[Client, Repository, Bare]) -> None:
    client, repository, _ = docs
    for path in ("nowhere", "../../etc/passwd", "%00", "a/" * 3000):
        text = files(client, repository, path=path)
        assert "browse-file" not in text
        assert "README" in text


def test_a_tree_deeper_than_anybody_looks_is_no_error(docs: tuple[Client, Repository, Bare]) -> None:
    client, repository, bare = docs
    deep = "d/" * 1500 + "f"
    bare.commit({deep.encode(): b"deep down\n"})
    assert "deep down" in files(client, repository, path=deep)


def test_another_branch_and_one_that_is_not_there(docs: tuple[Client, Repository, Bare]) -> None:
    client, repository, bare = docs
    bare.commit({b"only-here": b"x"}, branch="release/2")
    url = reverse("repository_files", args=[repository.pk])
    for branch in ("release/2", "gone"):
        client.get(url, {"branch": branch})
    wait()
    assert "only-here" in files(client, repository, branch="release/2")
    assert "docs has no branch gone." in words(client.get(url, {"branch": "gone"}).content)
    assert client.get(url, {"branch": "..bad name"}).status_code == 200


def test_after_an_eviction_the_files_are_fetched_again(docs: tuple[Client, Repository, Bare]) -> None:
    client, repository, bare = docs
    assert "README" in files(client, repository)
    assert access.stores().remove(repository.pk)
    settle()
    assert b"README" in _tree(repository.pk, bare.oid("main")).oids, (
        "remembered, and of no use without the store"
    )
    text = client.get(reverse("repository_files", args=[repository.pk])).content.decode()
    assert "Fetching its history" in text
    assert "README" in files(client, repository)


def test_refs_are_asked_of_the_server(docs: tuple[Client, Repository, Bare]) -> None:
    client, repository, bare = docs
    bare.commit({b"a": b"a"}, branch="release/2")
    bare.git("tag", "v1", "main")
    url = reverse("repository_refs", args=[repository.pk])
    client.get(url)
    wait()
    text = words(client.get(url).content)
    oid = bare.oid("main")[:7]
    assert f"main default branch {oid}" in text
    assert f"v1 tag {oid}" in text
    assert "3 branches and tags" in text
    assert "release/2" not in words(client.get(url, {"q": "V1"}, headers=HTMX).content)
    repository.refresh_from_db()
    assert repository.head_oid == bare.oid("main")


def test_refs_of_a_repository_that_vanished(docs: tuple[Client, Repository, Bare], folder: Path) -> None:
    client, repository, _ = docs
    (folder / "docs.git").rename(folder.parent / "elsewhere")
    part = client.get(reverse("repository_refs", args=[repository.pk]), headers=HTMX)
    assert "is not there" in words(part.content)
    repository.refresh_from_db()
    assert repository.state == Repository.State.LOST_ACCESS


def test_looking_now_says_what_is_there(docs: tuple[Client, Repository, Bare], folder: Path) -> None:
    client, repository, bare = docs
    url = reverse("repository_look", args=[repository.pk])
    bare.git("tag", "v1", "main")
    assert said(client.post(url, follow=True)) == [f"HEAD is {bare.oid('main')[:7]}; 1 branch, 1 tag."]
    bare.commit({b"more": b"x"})
    assert said(client.post(url, follow=True)) == [f"HEAD is {bare.oid('main')[:7]}; 1 branch, 1 tag."]
    empty = Bare(folder / "empty.git")
    assert empty.refs() == {}
    row = make_repository(repository.connection, "empty", external_id="empty.git")
    answer = client.post(reverse("repository_look", args=[row.pk]), follow=True)
    assert said(answer) == ["There is no commit yet: the repository is empty."]
    assert "It is empty: there is no commit yet." in words(answer.content)
    files_of_empty = files(client, row)
    assert "empty is empty: it has no branch yet." in files_of_empty


def test_the_head_says_what_the_commit_is_about_where_it_is_here(
    docs: tuple[Client, Repository, Bare], settings: Settings
) -> None:
    client, repository, bare = docs
    bare.commit({b"x": b"y"}, message="Say it in fewer words")
    client.post(reverse("repository_look", args=[repository.pk]))
    assert "Its history is not on this machine yet." in page(client, "repository", repository.pk)
    files(client, repository)
    assert "Say it in fewer words, by Ada" in page(client, "repository", repository.pk)


def test_teams_do_not_meet(team: Team, docs: tuple[Client, Repository, Bare]) -> None:
    _, repository, _ = docs
    stranger, _ = signed_in()
    for name in OF_ONE:
        assert stranger.get(reverse(name, args=[repository.pk])).status_code == 404
    assert Connection.objects.exclude(team=repository.team).count() == 0

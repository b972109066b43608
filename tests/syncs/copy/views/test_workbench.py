"""The workbench with real repositories: what it shows, what it saves, who may."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from opssight.accounts.models import Membership, Role
from syncs.copy.models import CopyTarget
from syncs.copy.saved.service import update_rule
from syncs.models import Job, Run
from tests.factories import make_team, make_user
from tests.syncs.copy.desk import SOURCE, TARGET, Desk, form, make_git, signed_in

pytestmark = pytest.mark.django_db(transaction=True)

NEW, PREVIEW, FOLDER = "/copy/new/", "/copy/new/preview/", "/copy/new/folder/"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    make_git(tmp_path / "docs", SOURCE)
    make_git(tmp_path / "site", TARGET)
    return Desk(tmp_path)


def row(text: str, key: str) -> str:
    """The row of a file, by the value of its button."""
    found = re.search(
        rf'<button type="submit" class="[^"]*" name="show" value="{re.escape(key)}".*?</button>', text
    )
    assert found, f"no row {key} in {text}"
    return found[0]


def words(text: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def test_it_shows_matches_both_trees_and_what_copying_writes(desk: Desk) -> None:
    text = desk.ready(PREVIEW, form())
    assert "2 of 5 files match" in text
    assert "lit" in row(text, "s:docs/a.md")
    assert "2 files" in words(text)
    assert 'aria-label="changed"' in row(text, "t:copied/a.md")
    assert "Copying now writes 1 file at 1 target: ~1 changed" in words(text)
    assert "1 file already the same. 1 other file there, not touched." in text


def test_a_blank_rule_is_not_blamed_for_what_is_not_typed_yet(desk: Desk) -> None:
    response = desk.client.get(NEW)
    assert response.status_code == 200
    assert "that the files come from; use another" not in response.content.decode()


def test_a_chosen_file_shows_its_difference(desk: Desk) -> None:
    text = words(desk.ready(PREVIEW, form(show="t:copied/a.md")))
    assert "docs/a.md" in text
    assert "− old a" in text
    assert "+ new a" in text


def test_a_file_that_is_left_out_says_why_and_can_be_taken(desk: Desk) -> None:
    chosen = form(show="s:docs/tests/t.md")
    text = desk.ready(PREVIEW, chosen)
    assert "Why not this file?" in text
    assert "Would take it, but leaves it out:" in text
    assert "(+1 file)" in text
    fixed = desk.ready(NEW, {**chosen, "do": "include:0:0"})
    assert "3 of 5 files match" in fixed
    only = desk.ready(NEW, {**chosen, "do": "only"})
    assert 'value="docs/tests/t.md"' in only
    assert 'value="copied/tests/t.md"' in only


def test_an_unfinished_rule_does_not_hide_what_the_others_do(desk: Desk) -> None:
    two = form(
        type=["glob", "regex"],
        pattern=["docs/**", "("],
        template=["x/${path}", "y"],
        exclude=["", ""],
        exclude_syntax=["glob", "glob"],
    )
    text = desk.ready(PREVIEW, two)
    assert "3 of 5 files match" in text
    note = re.search(r'id="rule-1-pattern-note"[^>]*>([^<]*)<', text)
    assert note
    assert "cannot be read" in note[1]


def test_an_unsafe_place_is_said_at_its_field(desk: Desk) -> None:
    text = desk.ready(PREVIEW, form(template=["../${relative_path}"]))
    note = re.search(r'id="rule-0-template-note"[^>]*>([^<]*)<', text)
    assert note
    assert "may not be written" in note[1]


def test_two_files_for_one_place_are_refused_with_both_names(desk: Desk) -> None:
    text = desk.ready(PREVIEW, form(pattern=["docs/*.md"], template=["all.md"], exclude=[""]))
    assert "docs/a.md and docs/b.md both go to all.md" in text


def test_a_closed_folder_is_loaded_by_itself(desk: Desk) -> None:
    text = desk.ready(PREVIEW, form())
    assert 'value="s:other/x.txt"' not in text
    inside = desk.client.post(f"{FOLDER}?folder=s%3Aother", form()).content.decode()
    assert "x.txt" in row(inside, "s:other/x.txt")
    assert 'value="s:other/x.txt"' in desk.ready(PREVIEW, form(open="s:other"))


def test_finding_and_filtering_the_source(desk: Desk) -> None:
    assert 'value="s:other/x.txt"' in desk.ready(PREVIEW, form(find="X.TXT"))
    matched = desk.ready(PREVIEW, form(only="1"))
    assert 'value="s:docs/a.md"' in matched
    assert "README.md" not in matched


def test_rows_are_added_moved_and_removed_without_a_script(desk: Desk) -> None:
    added = desk.client.post(NEW, form(do="add-rule")).content.decode()
    assert 'id="rule-1-pattern"' in added
    target = desk.client.post(NEW, form(do="add-target")).content.decode()
    assert 'id="target-1-repository"' in target
    two = form(type=["glob", "copy"], pattern=["one.txt", "two.txt"], template=["x", "y"], exclude=["", ""],
               exclude_syntax=["glob", "glob"])  # fmt: skip
    moved = desk.client.post(NEW, {**two, "do": "up:1"}).content.decode()
    assert moved.index('value="two.txt"') < moved.index('value="one.txt"')
    removed = desk.client.post(NEW, {**two, "do": "remove-rule:0"}).content.decode()
    assert 'value="one.txt"' not in removed
    assert 'value="two.txt"' in removed


def test_an_example_becomes_a_rule(desk: Desk) -> None:
    empty = form(type=["glob"], pattern=[""], template=[""], exclude=[""])
    text = desk.ready(NEW, {**empty, "do": "example", "here": "docs/a.md", "there": "pages/a.md"})
    assert 'value="docs/**"' in text
    assert 'value="pages/${relative_path}"' in text
    wrong = desk.client.post(NEW, {**empty, "do": "example", "here": "a", "there": "../a"}).content.decode()
    assert "may not be written" in wrong


def test_saving_for_the_next_push_makes_a_rule_and_remembers_the_commit_that_was_shown(desk: Desk) -> None:
    desk.ready(PREVIEW, form())
    answer = desk.client.post(NEW, form(do="save-next"))
    job = Job.objects.get()
    assert answer.headers["location"] == f"/copy/{job.pk}/"
    run = Run.objects.get()
    assert len(run.input["baseline"]) == 40
    assert CopyTarget.objects.get().repository == desk.site


def test_what_starts_a_rule_is_saved_and_shown_again(desk: Desk) -> None:
    typed = form(events=["push", "tag"], tags="v*")
    assert "Save, from the next push or tag on" in desk.ready(PREVIEW, typed)
    desk.client.post(NEW, {**typed, "do": "save-next"})
    job = Job.objects.get()
    assert job.version is not None
    assert (job.version.config["events"], job.version.config["tags"]) == (["push", "tag"], "v*")
    page = desk.client.get(f"/copy/{job.pk}/").content.decode()
    assert '<details class="card arrives fold" id="arrives">' in page
    assert re.findall(r'name="events" value="(\w+)" checked', page) == ["push", "tag"]
    assert re.search(r'id="tags" name="tags" value="v\*"', page)
    assert "After a push or tag, as a commit on the branch" in words(page)
    assert "Files are copied from the next push or tag on." in words(page)


@pytest.mark.parametrize(
    ("typed", "note", "said"),
    [
        ({"events": [], "tags": ""}, "events-note", "Tick at least one."),
        ({"events": ["tag"], "tags": "["}, "tags-note", "[^<]+"),
    ],
)
def test_a_problem_with_what_starts_a_rule_stands_at_its_field(
    desk: Desk, typed: dict[str, object], note: str, said: str
) -> None:
    answer = desk.client.post(NEW, form(**typed, do="save-next"))
    assert answer.status_code == 422
    assert re.search(rf'id="{note}">{said}<', answer.content.decode())
    assert not Job.objects.exists()


def test_a_source_without_pull_requests_says_what_starts_it_instead(desk: Desk) -> None:
    note = r'id="events-lacks" hx-swap-oob="true">([^<]*)<'
    text = desk.ready(PREVIEW, form(events=["pull_request"], tags=""))
    assert re.findall(note, text) == ["Folder (docs) has none: each move of the branch starts it."]
    gone = desk.client.post(PREVIEW, form(source="")).content.decode()
    assert re.findall(note, gone) == [""], "what does not hold any more is taken off the page"


def test_saving_and_copying_now_leads_to_the_run(desk: Desk) -> None:
    answer = desk.client.post(NEW, form(do="save-now"))
    run = Run.objects.get()
    assert run.input == {"whole": True}
    assert str(run.pk) in answer.headers["location"]


def test_an_incomplete_rule_is_not_saved_and_says_what_is_missing(desk: Desk) -> None:
    text = desk.client.post(NEW, form(do="save-now", name="", template=[""], target=[""])).content.decode()
    for sentence in ("Give the rule a name.", "Say where to put them.", "Choose a repository."):
        assert sentence in text
    assert not Job.objects.exists()
    assert "Give the rule a name." not in desk.ready(PREVIEW, form(name=""))


def test_a_taken_name_is_said_at_the_name(desk: Desk) -> None:
    desk.rule()
    text = desk.client.post(NEW, form(do="save-next")).content.decode()
    assert re.search(r'id="name-note"[^>]*>There is already a copy rule', text)


def test_changing_a_rule_says_the_difference_to_the_live_version(desk: Desk) -> None:
    job = desk.rule()
    page = f"/copy/{job.pk}/"
    same = words(desk.ready(f"{page}preview/", form()))
    assert "Saving changes nothing that is copied" in same
    assert "Compared with version 1" in same
    more = words(
        desk.ready(f"{page}preview/", form(pattern=["**"], template=["copied/${path}"], exclude=[""]))
    )
    assert "Saving changes 5 files at 1 target: +5" in more
    assert "2 files no longer copied: they stay as they are." in more


def test_a_draft_that_cannot_be_saved_says_so_instead_of_what_it_would_change(desk: Desk) -> None:
    job = desk.rule()
    text = words(desk.ready(f"/copy/{job.pk}/preview/", form(pattern=["^(a"], type=["regex"])))
    assert "Cannot be saved yet Mend the marked field. The plan leaves it out." in text
    assert "Saving" not in text


def test_folders_of_a_search_count_what_it_lists(desk: Desk) -> None:
    text = words(desk.ready(PREVIEW, form(find="a.md")))
    assert "docs 1 of 1" in text
    assert "2 of 1" not in text


def test_a_version_saved_meanwhile_is_not_overwritten_unseen(desk: Desk) -> None:
    job = desk.rule()
    update_rule(desk.principal, job, desk.config("docs to site"))
    text = desk.client.post(f"/copy/{job.pk}/", form(do="save-next", based_on="1")).content.decode()
    assert "was saved as version 2 while you were here" in text
    assert job.versions.count() == 2
    desk.client.post(f"/copy/{job.pk}/", form(do="save-next", based_on="2"))
    assert job.versions.count() == 3


def test_an_unknown_repository_and_one_of_another_team_are_the_same(desk: Desk, tmp_path: Path) -> None:
    other = Desk(tmp_path)
    other.docs.full_name = "secret"
    other.docs.save()
    for name in ("nowhere", "secret", str(other.docs.pk)):
        text = desk.client.post(PREVIEW, form(source=name)).content.decode()
        assert "There is no repository" in text
        assert "files match" not in text


def test_a_viewer_may_try_and_not_save(desk: Desk) -> None:
    viewer = make_user()
    Membership.objects.create(team=desk.team, user=viewer, role=Role.VIEWER)
    client = signed_in(viewer, desk.team)
    text = client.post(PREVIEW, form()).content.decode()
    assert "Saving needs the role operator" in text
    assert "Save and copy now" not in text
    assert client.post(NEW, form(do="save-now")).status_code == 404
    assert not Job.objects.exists()


def test_another_teams_rule_is_not_there(desk: Desk) -> None:
    job = desk.rule()
    stranger = make_user()
    client = signed_in(stranger, make_team(stranger))
    for part in ("", "yaml/", "versions/", "runs/", "settings/"):
        assert client.get(f"/copy/{job.pk}/{part}").status_code == 404
    assert client.post(f"/copy/{job.pk}/preview/", form()).status_code == 404
    assert client.post(f"/copy/{job.pk}/settings/", {"do": "delete"}).status_code == 404
    assert client.post(f"/copy/{job.pk}/start/").status_code == 404
    assert Job.objects.filter(pk=job.pk).exists()


def test_a_source_that_cannot_be_read_says_so(desk: Desk) -> None:
    text = desk.ready(PREVIEW, form(branch="gone"))
    assert "docs has no branch gone" in text


def test_an_empty_target_is_said_to_be_empty(desk: Desk, tmp_path: Path) -> None:
    make_git(tmp_path / "fresh", {})
    desk.site.external_id = "fresh"
    desk.site.save()
    text = desk.ready(PREVIEW, form())
    assert "The repository is empty" in text
    assert "Copying now writes 2 files at 1 target" in words(text)

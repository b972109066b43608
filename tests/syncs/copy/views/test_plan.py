"""“How it arrives” in the workbench, and the preview of a saved rule at any commit or pull request."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.utils.html import escape

from repos import access
from repos.models import Repository
from syncs.copy.forms.rule_form import Choice, Draft, Names, TargetDraft
from syncs.copy.models import CopyRule, CopyState, OwnedFile
from syncs.copy.plan.planned import Owned, SourceFile
from syncs.copy.preview.moment import Merged, Moment, origin_at
from syncs.copy.rules.options import Deletions, Options, PullRequest, Transform
from syncs.copy.saved import ownership
from syncs.copy.saved.service import create_rule
from syncs.copy.views.arrival import arrival
from syncs.models import Job, Run
from tests.factories import make_repository
from tests.repos.git.work import Bare
from tests.syncs.copy.desk import SOURCE, TARGET, Desk, form, make_git

pytestmark = pytest.mark.django_db(transaction=True)

NEW, PREVIEW = "/copy/new/", "/copy/new/preview/"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    make_git(tmp_path / "docs", SOURCE)
    make_git(tmp_path / "site", TARGET)
    return Desk(tmp_path)


def words(response: Any) -> str:
    text = response if isinstance(response, str) else response.content.decode()
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def plan(desk: Desk, job: Job, query: str = "") -> str:
    """The page of the plan, once nothing is on its way any more."""
    ends = time.monotonic() + 20
    while time.monotonic() < ends:
        text = desk.client.get(f"/copy/{job.pk}/plan/{query}").content.decode()
        if 'hx-trigger="load delay:1s"' not in text:
            return text
        time.sleep(0.05)
    raise AssertionError("the repositories were not fetched in time")


# --- how it arrives -------------------------------------------------------------------------------------


def test_options_of_the_form_are_saved_and_shown_again(desk: Desk) -> None:
    typed = form(
        strategy="pull_request",
        title="Docs of ${source_repo}",
        body="One\r\nTwo",
        labels="docs\r\n\r\n sync ",
        auto_merge="1",
        merge_method="squash",
        deletions="delete",
        edits="merge",
        transform_type=["header"],
        transform_find=[""],
        transform_text=["# copied"],
        transform_files=["**/*.md"],
        authors="source",
    )
    desk.client.post(NEW, {**typed, "do": "save-next"})
    job = Job.objects.get()
    assert job.version is not None
    config = job.version.config
    assert config["pull_request"] == {
        "title": "Docs of ${source_repo}",
        "body": "One\nTwo",
        "labels": ["docs", "sync"],
        "auto_merge": True,
        "merge_method": "squash",
    }
    assert (config["deletions"], config["edits"]) == ({"policy": "delete"}, "merge")
    assert config["transforms"] == [{"type": "header", "text": "# copied", "files": ["**/*.md"]}]
    page = desk.client.get(f"/copy/{job.pk}/").content.decode()
    assert '<details class="card arrives fold" id="arrives">' in page, "its line says all of it"
    assert re.search(r'value="pull_request" checked', page)
    assert "As a pull request, deleted files are deleted there" in words(page)


def test_rows_of_changes_come_and_go_without_a_script(desk: Desk) -> None:
    page = desk.client.post(NEW, form(do="add-transform")).content.decode()
    assert 'id="transform-0-find"' in page
    row = {f"transform_{name}": [text] for name, text in (
        ("type", "replace"), ("find", "a"), ("text", "b"), ("files", ""),
    )}  # fmt: skip
    gone = desk.client.post(NEW, form(**row, do="remove-transform:0")).content.decode()
    assert 'id="transform-0-find"' not in gone


def test_a_problem_stands_at_its_field_and_stops_saving(desk: Desk) -> None:
    wrong = form(transform_type=["replace"], transform_find=[""], transform_text=["x"], transform_files=["["])
    page = desk.client.post(NEW, {**wrong, "do": "save-next"})
    assert page.status_code == 422
    note = re.search(r'id="transform-0-find-note"[^>]*>([^<]*)<', page.content.decode())
    assert note
    assert "Say which text." in note[1]
    assert not Job.objects.exists()


def test_what_a_provider_lacks_is_said_at_the_answer(desk: Desk) -> None:
    text = desk.ready(PREVIEW, form(strategy="pull_request"))
    assert "Folder (site) has no pull requests: the change waits on a branch." in words(text)


def test_each_provider_is_named_with_what_it_lacks() -> None:
    names = Names(
        [Choice(kind, kind, kind, "main", kind) for kind in ("github", "bitbucket", "gitea", "folder")]
    )
    draft = Draft(targets=tuple(TargetDraft(kind, "main") for kind in ("github", "bitbucket", "gitea")))
    notes = arrival(draft, names, {}).notes
    assert "Bitbucket" in notes["labels"]
    assert "GitHub" not in " ".join(notes.values())
    assert notes["sign"].count("does not sign") == 2


def test_what_only_the_yaml_says_is_named(desk: Desk) -> None:
    config = replace(desk.config(), options=Options(pull_request=PullRequest(body="a\rb")))
    job, _ = create_rule(desk.principal, desk.team, config)
    page = desk.client.get(f"/copy/{job.pk}/").content.decode()
    assert "Not all of it is shown here" in page
    kept = re.search(r'name="kept" value="([^"]*)"', page)
    assert kept
    desk.client.post(f"/copy/{job.pk}/", form(kept='{"pull_request": {"body": "a\\rb"}}', do="save-next"))
    job.refresh_from_db()
    assert job.version is not None
    assert job.version.config["pull_request"] == {"body": "a\rb"}


# --- the preview of a saved rule ------------------------------------------------------------------------


def test_every_target_and_every_file_is_shown(desk: Desk) -> None:
    job = desk.rule()
    text = plan(desk, job)
    assert "copied/a.md" in text
    assert "~1 changed" in words(text)
    assert "1 file already the same." in words(text)
    assert escape("1 file there already, and identical") in words(text)
    target = job.copy_rule.targets.get()
    diff = desk.client.get(f"/copy/{job.pk}/plan/{target.pk}/?file=copied/a.md")
    assert "− old a" in words(diff)
    assert "+ new a" in words(diff)
    part = desk.client.get(
        f"/copy/{job.pk}/plan/{target.pk}/?file=copied/a.md", headers={"HX-Request": "true"}
    )
    assert "<html" not in part.content.decode()
    gone = words(desk.client.get(f"/copy/{job.pk}/plan/{target.pk}/?file=nowhere"))
    assert "does nothing to this file any more" in gone
    assert desk.client.get(f"/copy/{job.pk}/plan/9999/?file=a").status_code == 404


def test_what_is_there_already_is_taken_over(desk: Desk) -> None:
    job = desk.rule()
    Run.objects.all().delete()
    desk.client.post(f"/copy/{job.pk}/plan/")
    assert Run.objects.get().input == {"whole": True, "adopt": True}


def test_taking_over_is_asked_at_the_first_copy(desk: Desk) -> None:
    assert "Take over 1 identical file" in words(desk.ready(PREVIEW, form()))
    desk.client.post(NEW, form(do="save-now"))
    assert Run.objects.get(kind="copy").input == {"whole": True}
    desk.client.post(NEW, form(name="second", do="save-now", adopt="1"))
    assert Run.objects.get(job__name="second").input == {"whole": True, "adopt": True}


def test_deletions_are_shown_before_they_happen(desk: Desk, tmp_path: Path) -> None:
    config = replace(desk.config(), options=Options(deletions=Deletions("delete")))
    job, _ = create_rule(desk.principal, desk.team, config)
    bare = Bare(tmp_path / "docs")
    old = bare.oid("refs/heads/main")
    bare.commit({b"docs/b.md": None})
    target = CopyRule.objects.get(job=job).targets.get()
    CopyState.objects.create(target=target, source_oid=old)
    blob = Bare(tmp_path / "site").git("rev-parse", "main:copied/b.md")
    owned = Owned(b"docs/b.md", bare.git("rev-parse", f"{old}:docs/b.md"), blob, "100644")
    OwnedFile.objects.create(
        target=target,
        path_hash=ownership.path_hash(b"copied/b.md"),
        path=b"copied/b.md",
        source_path=owned.source_path,
        source_oid=owned.source_oid,
        target_oid=owned.target_oid,
        mode=owned.mode,
    )
    text = plan(desk, job)
    assert "copied/b.md" in text
    assert "−1 removed" in words(text)
    assert "− b" in words(desk.client.get(f"/copy/{job.pk}/plan/{target.pk}/?file=copied/b.md"))
    bench = desk.ready(f"/copy/{job.pk}/preview/", form(deletions="delete"))
    assert "deleted: gone at the source" in bench


def test_the_preview_of_a_commit_and_of_a_tag(desk: Desk, tmp_path: Path) -> None:
    job = desk.rule()
    bare = Bare(tmp_path / "docs")
    old = bare.oid("refs/heads/main")
    bare.git("tag", "v1")
    bare.commit({b"docs/new.md": b"new\n"})
    assert "copied/new.md" in plan(desk, job)
    for at in (old, old[:10], "v1"):
        assert "copied/new.md" not in plan(desk, job, f"?at={at}")
    assert "no branch, tag or commit nowhere" in plan(desk, job, "?at=nowhere")
    assert "is not the number of a pull request" in words(plan(desk, job, "?pull=x"))
    assert "docs has no pull requests" in words(plan(desk, job, "?pull=1"))
    answer = desk.client.get(f"/copy/{job.pk}/?at={old}")
    assert answer.status_code == 302
    assert answer["Location"] == f"/copy/{job.pk}/plan/?at={old}"


def test_a_name_that_is_no_text_has_its_difference(desk: Desk, tmp_path: Path) -> None:
    Bare(tmp_path / "docs").commit({b'docs/\xff&"%41.md': b"odd\n"})
    job = desk.rule()
    text = plan(desk, job)
    urls = re.findall(r'hx-get="(/copy/[^"]*file=[^"]*)"', text)
    odd = next(url for url in urls if "FF" in url)
    assert "+ odd" in words(desk.client.get(odd.replace("&amp;", "&")))


def test_which_rule_takes_a_path_is_tried(desk: Desk) -> None:
    job = desk.rule()
    text = words(plan(desk, job, f"?path={quote('docs/x.md')}"))
    assert "It is copied" in text
    assert "Takes it to copied/x.md." in text
    left = words(plan(desk, job, f"?path={quote('docs/tests/x.md')}"))
    assert "It is not copied" in left
    assert "“but not” **/tests/** matches tests/" in left


def test_contents_that_a_rule_makes_have_their_difference(desk: Desk) -> None:
    options = Options(transforms=(Transform("header", text="# from docs\n"),))
    job, _ = create_rule(desk.principal, desk.team, replace(desk.config(), options=options))
    plan(desk, job)
    target = CopyRule.objects.get(job=job).targets.get()
    assert "+ # from docs" in words(desk.client.get(f"/copy/{job.pk}/plan/{target.pk}/?file=copied/a.md"))


def test_repositories_that_one_may_not_see_are_not_shown(desk: Desk, tmp_path: Path) -> None:
    job = desk.rule()
    other = Desk(tmp_path)
    assert other.client.get(f"/copy/{job.pk}/plan/").status_code == 404
    for row, name in ((desk.site, "secret-site"), (desk.docs, "secret-docs")):
        Repository.objects.filter(pk=row.pk).update(team=other.team, full_name=name)
        text = plan(desk, job)
        assert "not visible to you" in text
        assert "secret" not in text


def test_a_pull_request_is_planned_as_if_it_was_merged(desk: Desk, tmp_path: Path) -> None:
    """What the base got meanwhile is kept, what the request removes is gone."""
    bare = Bare(tmp_path / "docs")
    fork = bare.oid("refs/heads/main")
    bare.git("branch", "feature", fork)
    head = bare.commit({b"docs/new.md": b"n", b"docs/b.md": None, b"docs/a.md": b"theirs"}, branch="feature")
    base = bare.commit({b"docs/later.md": b"l"})
    row = make_repository(desk.connection, "docs", external_id="again")
    store = access.store_of(row)
    store.fetch(access.remote_of(desk.docs), ["+refs/heads/*:refs/heads/*"])
    origin = origin_at(store, Moment(head, base))
    assert isinstance(origin, Merged)
    files = origin.files()
    assert {path for path in files if path.startswith(b"docs/")} == {
        b"docs/a.md", b"docs/later.md", b"docs/new.md", b"docs/tests/t.md",
    }  # fmt: skip
    assert isinstance(files[b"docs/a.md"], SourceFile)
    changes = {change.path: change.status for change in origin.changes(base)}
    assert changes == {b"docs/a.md": "M", b"docs/b.md": "D", b"docs/new.md": "A"}

"""Importing a copier's file in the browser, and its page: what it makes, what is missing, its versions."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from opssight.accounts.models import Membership, Role
from repos.models import Repository
from syncs.copy.models import ConfigFile, CopyRule
from syncs.models import Job
from tests.repos.git.work import Bare
from tests.syncs.copy.desk import SOURCE, Desk, make_git, signed_in
from tests.syncs.copy.followed import pasted, reload_due, taken_in, workflow, workflows

pytestmark = pytest.mark.django_db(transaction=True)

IMPORT = "/copy/import/"


def words(response: Any) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def ready(client: Client, form: dict[str, Any]) -> Any:
    """The page for this form, once nothing is on its way any more."""
    ends = time.monotonic() + 20
    while time.monotonic() < ends:
        response = client.post(IMPORT, form)
        if 'hx-trigger="load delay:1s"' not in response.content.decode():
            return response
        time.sleep(0.05)
    raise AssertionError("the file was not read in time")


def test_a_text_that_is_no_yaml_says_the_line_in_words(desk: Desk) -> None:
    page = desk.client.post(IMPORT, {"way": "paste", "text": "workflows:\n- name: [\n"})
    assert "Line 2, column 10: This is not readable YAML" in words(page)


def test_a_file_of_a_repository_is_looked_at_then_put_in_force(desk: Desk, kept: Bare) -> None:
    assert "From a repository" in desk.client.get(IMPORT).content.decode()
    form = {"way": "repository", "repository": "config", "path": "/copier/main.yaml"}
    page = ready(desk.client, form)
    assert "It makes 1 rule" in words(page)
    assert "+1 added ~1 changed" in words(page)  # tests/t.md is new, a.md differs, b.md is the same
    assert not ConfigFile.objects.exists()

    done = desk.client.post(
        IMPORT, {**form, "do": "save", "name": "our copier", "mode": "shadow"}, follow=True
    )
    assert "our copier is in force. Changes are planned and shown in each run." in words(done)
    file = ConfigFile.objects.get()
    assert (file.repository and file.repository.full_name, file.branch, file.path) == (
        "config",
        "main",
        "copier/main.yaml",
    )
    assert CopyRule.objects.get().shadow
    again = desk.client.post(IMPORT, {**form, "do": "save", "name": "our copier"})
    assert again.status_code == 422
    assert "already a file called" in words(again)


def test_a_pasted_file_and_the_rule_it_could_be(desk: Desk) -> None:
    form = {"way": "paste", "text": workflows(workflow())}
    page = ready(desk.client, form)
    text = re.search(r'name="text" value="([^"]*)"', page.content.decode())
    assert text
    bench = desk.client.post("/copy/new/yaml/", {"text": page.context["made"][0].text, "do": "workbench"})
    assert 'value="copied"' in bench.content.decode()
    desk.client.post(IMPORT, {**form, "do": "save", "name": "p", "mode": "enabled"})
    assert not CopyRule.objects.get().shadow


def test_what_is_wrong_is_said_and_nothing_is_lost(desk: Desk) -> None:
    page = desk.client.post(IMPORT, {"way": "paste", "text": "workflows: [{name: <b>}]"})
    assert "This file cannot be imported yet." in words(page)
    assert "&lt;b&gt;" in page.content.decode()
    for form in (
        {"way": "repository", "repository": "gone", "path": "x"},
        {"way": "repository", "repository": "docs"},
        {"way": "upload"},
        {"way": "paste", "text": ""},
        {"way": "paste", "text": "hello: 1"},
    ):
        assert "cannot be imported yet" in words(ready(desk.client, form)), form
    assert "has no file nowhere.yaml on branch main" in words(
        ready(desk.client, {"way": "repository", "repository": "docs", "path": "nowhere.yaml"})
    )


def test_uploaded_files_refer_to_each_other(desk: Desk) -> None:
    main = b"workflow_configs:\n- {source: local, path: sub.yaml}\n"
    files = [
        SimpleUploadedFile("sub.yaml", workflows(workflow()).encode()),
        SimpleUploadedFile("main.yaml", main),
    ]
    page = ready(desk.client, {"way": "upload", "files": [files[1]]})
    assert "The file sub.yaml is needed as well" in words(page)
    for file in files:
        file.seek(0)
    page = desk.client.post(IMPORT, {"way": "upload", "files": files})
    kept = page.context["form"].texts_json
    page = ready(desk.client, {"way": "upload", "texts": kept})
    assert "It makes 1 rule" in words(page)
    desk.client.post(IMPORT, {"way": "upload", "texts": kept, "do": "save", "name": "up"})
    assert ConfigFile.objects.get().version.format == "main"  # type: ignore[union-attr]
    large = SimpleUploadedFile("a.yaml", b"#" * 1_100_000)
    assert "is larger than 1 MB" in words(desk.client.post(IMPORT, {"way": "upload", "files": [large]}))
    binary = SimpleUploadedFile("a.yaml", b"\xff")
    assert "is not UTF-8" in words(desk.client.post(IMPORT, {"way": "upload", "files": [binary]}))
    for hostile in ("[", "[1]", '{"a": 1}', "x"):
        assert "Paste or upload" in words(desk.client.post(IMPORT, {"way": "upload", "texts": hostile}))


def test_what_is_missing_is_imported_from_a_connection(desk: Desk, tmp_path: Path) -> None:
    make_git(tmp_path / "code.git", SOURCE)
    form = {"way": "paste", "text": workflows(workflow(), workflow("code"))}
    page = ready(desk.client, form)
    assert "1 not imported yet" in words(page)
    assert "Import 1 repository" in words(page)
    wrong = desk.client.post(IMPORT, {**form, "do": "import", "missing": ["code"], "connection": "x"})
    assert "Choose the connection" in words(wrong)
    more = {"do": "import", "missing": ["code"], "connection": str(desk.connection.pk)}
    ready(desk.client, {**form, **more})
    assert Repository.objects.filter(full_name="code").exists()
    assert "It makes 2 rules" in words(ready(desk.client, form))


def test_a_file_without_a_source_asks_for_one(desk: Desk) -> None:
    text = (
        '[{"source_directory": "docs", "target_repo": "site", "target_branch": "main",'
        ' "target_directory": "copied", "recursive_copy": true}]'
    )
    page = ready(desk.client, {"way": "paste", "text": text})
    assert "It names no source. Copy from" in words(page)
    form = {"way": "paste", "text": text, "source": "docs", "source_branch": "main"}
    assert "It makes 1 rule" in words(ready(desk.client, form))
    desk.client.post(IMPORT, {**form, "do": "save", "name": "v0"})
    assert ConfigFile.objects.get().source_name == "docs"


def test_the_page_of_a_file(desk: Desk, kept: Bare) -> None:
    file = taken_in(desk)
    url = f"/copy/files/{file.pk}/"
    assert "version 1 is in force" in words(desk.client.get(url))
    assert file.name in words(desk.client.get("/copy/"))
    kept.commit({b"copier/main.yaml": workflows(workflow(to="two")).encode()})
    desk.client.post(url, {"do": "reload"})
    reload_due()
    page = desk.client.get(f"{url}?version=2")
    assert "What version 2 changed" in words(page)
    assert "two" in words(page)
    desk.client.post(url, {"do": "version", "version": "1"})
    assert "version 3 is in force" in words(desk.client.get(url))
    kept.commit({b"copier/main.yaml": b"workflows: ["})
    desk.client.post(url, {"do": "reload"})
    reload_due()
    assert "The newest file is not in force; version 3 still is" in words(desk.client.get(url))
    assert "newest is not in force" in words(desk.client.get("/copy/"))
    assert "is not in force" in words(desk.client.get("/"))
    desk.client.post(url, {"do": "mode", "mode": "enabled"})
    assert not CopyRule.objects.get().shadow
    assert desk.client.get(f"{url}?version=9").status_code == 404
    assert desk.client.post(url, {"do": "version", "version": "9"}).status_code == 404
    assert "and its rules are deleted" in words(desk.client.post(url, {"do": "delete"}, follow=True))
    assert desk.client.get(url).status_code == 404


def test_a_pasted_file_is_changed_on_its_page(desk: Desk) -> None:
    file = pasted(desk, workflow())
    url = f"/copy/files/{file.pk}/"
    body = {"do": "text", "path": ["rules.yaml"], "text": [workflows(workflow(to="new"))], "note": "Moved."}
    assert "Version 2 is in force" in words(desk.client.post(url, body, follow=True))
    wrong = desk.client.post(url, {**body, "text": ["workflows: ["]})
    assert wrong.status_code == 422
    assert "workflows: [" in wrong.content.decode()
    assert ConfigFile.objects.get().version.number == 2  # type: ignore[union-attr]


def test_a_rule_of_a_file_says_where_it_is_edited(desk: Desk) -> None:
    file = pasted(desk, workflow(), workflow(to="b", name="second"))
    job = Job.objects.get(kind="copy")
    url = f"/copy/{job.pk}/"
    text = words(desk.client.get(url))
    assert "Made from copier : change it on the page of the file." in text
    assert "second" in text
    assert f'href="/copy/files/{file.pk}/"' in desk.client.get(url).content.decode()
    for path in ("", "preview/", "folder/", "yaml/"):
        assert desk.client.post(f"{url}{path}", {"do": "save-next"}).status_code == 404
    assert desk.client.get(f"{url}yaml/").status_code == 404
    assert "go back to an earlier one there" in words(desk.client.get(f"{url}versions/?version=1"))
    assert "Make version" not in desk.client.get(f"{url}versions/?version=1").content.decode()
    told = words(desk.client.post(f"{url}versions/", {"version": "1"}, follow=True))
    assert "Go back to a version of that file" in told


def test_files_of_other_teams_are_not_there(desk: Desk, tmp_path: Path) -> None:
    file = pasted(desk, workflow())
    url = f"/copy/files/{file.pk}/"
    assert Desk(tmp_path).client.get(url).status_code == 404
    Membership.objects.filter(user=desk.user).update(role=Role.VIEWER)
    viewer = signed_in(desk.user, desk.team)
    page = viewer.get(url)
    assert page.status_code == 200
    assert "Delete the file" not in page.content.decode()
    for do in ("delete", "reload", "text", "mode", "version"):
        assert viewer.post(url, {"do": do}).status_code == 404
    assert viewer.post(IMPORT, {"way": "paste", "text": "x"}).status_code == 404

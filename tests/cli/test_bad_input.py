"""Bad input by file, by API and by form: a sentence that says what to do, exit 2 or 4xx, nothing written."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from opssight.accounts.models import Role
from repos import access
from tests.api.client import Api, api_of, make_member
from tests.cli.command import files, ran, rows
from tests.cli.world import SOURCE, TARGET, Json, World, legacy, rule, workflow, workflows
from tests.factories import make_connection, make_repository

# --- files ---

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)

FILES: dict[str, tuple[str | bytes | Json, str, str]] = {
    "unreadable": ("copy_rules:\n  - name: x\n   bad: [\n", "3:4", "not readable YAML"),
    "tab": ("workflows:\n\t- name: x\n", "2:1", "indent with spaces"),
    "bomb": (BOMB, "2:40", "more than 200 aliases"),
    "itself": ("a: &a [*a]\n", "1:8", "inside the value that it names"),
    "code": ("a: !!python/object/apply:os.system [id]\n", "1:4", "tag:yaml.org,2002:python"),
    "deep": ("[" * 5_000, "1:52", "nested deeper than 50"),
    "twice": ("workflows: []\nworkflows: []\n", "2:1", "stands twice"),
    "binary": (b"\x00\x01\x02", "1:1", "control character"),
    "encoding": (b"copy_rules: '\xe9'", "1:14", "save it as UTF-8"),
    "empty": ("", "", "The file is empty"),
    "other": ("hello: world\n", "", "no copy configuration"),
    "large": (b"#" * 10_000_000, "", "larger than 1 MB"),
    "type": (
        legacy(rule("regexp", "x", "y")),
        "copy_rules[0].source_pattern.type",
        "use prefix or glob or regex",
    ),
    "regex": (legacy(rule("regex", "(", "y")), "copy_rules[0].source_pattern.pattern", "cannot be read"),
    "kind": (
        workflows(workflow({"magic": {}})),
        "workflows[0].transformations[0]",
        "move, copy, glob or regex",
    ),
    "glob": (workflows(workflow({"glob": {"pattern": "[", "transform": "x"}})), "glob.pattern", "["),
    "many": (legacy(*[rule("prefix", "x", "y")] * 101), "copy_rules", "101 entries; 100 are allowed"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_cannot_be_used(world: World, name: str) -> None:
    content, where, words = FILES[name]
    path = world.file(content)
    before = files(world.root), files(world.root.parent / "data")
    checked = ran("copy", "validate", path)
    assert (checked.status, checked.out) == (2, "")
    assert where in checked.err
    assert words in checked.err
    for word in ("apply", "sync"):
        commits = ["--base", world.base, "--head", world.head] if word == "apply" else []
        repos = [text for repo, url in world.urls.items() for text in ("--repo", f"{repo}={url}")]
        answer = ran("copy", word, path, "--source", SOURCE, "--json", *commits, *repos)
        assert answer.status == 2, (answer.out, answer.err)
        problem = answer.document["error"]["problems"][0]
        assert where in problem["where"]
        assert words in problem["message"]
        assert words in answer.err
    assert (files(world.root), files(world.root.parent / "data")) == before


def test_what_is_wrong_with_a_file_is_one_document(tmp_path: Path) -> None:
    for name in FILES.keys() - {"large"}:
        content, where, words = FILES[name]
        text = json.dumps(content) if isinstance(content, dict) else content
        answer = ran(
            "copy", "validate", "-", "--json", stdin=text if isinstance(text, bytes) else text.encode()
        )
        assert answer.status == 2, name
        document = answer.document
        assert list(document) == ["valid", "format", "errors", "warnings", "rules"]
        assert document["valid"] is False
        assert where in document["errors"][0]["where"]
        assert words in document["errors"][0]["message"]


def test_a_folder_or_nothing_for_a_file(world: World) -> None:
    for path, words in ((world.root, "Is a directory"), (world.root / "none", "No such file")):
        answer = ran("copy", "validate", str(path))
        assert (answer.status, answer.out) == (2, "")
        assert words in answer.err


# --- paths that must not be written ---

UP = ["../x", "a/../../x", "a/..", "..", "a\\..\\..\\x", "..\\x", "./x", "a/./x", ".", "${path}/../../x"]
ABSOLUTE = ["/etc/x", "//x", "\\x", "C:\\x", "c:/x"]
GIT = [
    ".git", ".git/config", ".GIT/config", ".Git/x", "a/.git", "a/.git/hooks/post-commit", ".git./x",
    ".git /x", ".git . . /x", "git~1/config", "GIT~1/x", ".git:x", ".git::$INDEX_ALLOCATION/x",
    ".git\\config", "a\\.git\\x", ".g\u200cit/config", "\ufeff.git/config", ".gi\u202et/x",
    "${dir}/.git/config", "${filename}/.gIt/x",
]  # fmt: skip
STRANGE = ["a//b", "a/", "${path}/", "a/\x01b", "a/" + "b" * 256]


@pytest.mark.parametrize("templates", [UP, ABSOLUTE, GIT, STRANGE], ids=["up", "absolute", "git", "strange"])
def test_a_template_that_leads_out_is_refused_before_anything_is_read(
    world: World, templates: list[str]
) -> None:
    for template in templates:
        for config in (
            legacy(rule("prefix", "docs", template)),
            workflows(workflow({"glob": {"pattern": "docs/**", "transform": template}})),
        ):
            answer = world.sync(config)
            assert answer.status == 2, (template, answer.out, answer.err)
            message = answer.document["error"]["problems"][0]["message"]
            assert "may not be written" in message or "cannot be used" in message
    assert not (world.root.parent / "data").exists()
    assert world.site.refs() == {"refs/heads/main": world.tip}


TRICKS: dict[str, tuple[str, str, bytes]] = {
    # pattern, template, and a path of the source that makes a dangerous one of them
    "git by parts": (r"^docs/(?P<a>.)(?P<b>.+)$", "${a}git/${b}", b"docs/.config"),
    "git by extension": (r"^docs/.*$", ".g${ext}t/config", b"docs/a.i"),
    "short name": (r"^docs/(?P<a>.+)$", "git${a}/x", b"docs/~1"),
    "unicode": (r"^docs/(?P<a>.+)$", ".g${a}it/x", "docs/\u200d".encode()),
    "backslash": (r"^docs/(?P<a>.+)$", "a${a}x", b"docs/\\..\\"),
    "absolute": (r"^docs(?P<a>.+)$", "${a}", b"docs/x"),
    "as it is": (r"^docs/(?P<a>.+)$", "${a}", b"docs/x/git~1/config"),
}


@pytest.mark.parametrize("name", TRICKS)
def test_a_path_that_only_a_file_makes_dangerous_is_left_out(world: World, name: str) -> None:
    pattern, template, path = TRICKS[name]
    world.code.commit({path: b"evil"})
    for config in (
        legacy(rule("regex", pattern, template)),
        workflows(workflow({"regex": {"pattern": pattern, "transform": template}})),
    ):
        answer = world.apply(config)
        assert answer.status == 1, (answer.out, answer.err)
        assert "may not be written" in answer.err
        assert "Change the target of the rule." in answer.err
    assert world.site.refs() == {"refs/heads/main": world.tip}


def test_two_dots_cannot_be_made_of_variables(world: World) -> None:
    world.code.commit({b"docs/.x/y": b"evil"})
    answer = world.apply(legacy(rule("regex", r"^docs/(?P<a>\.)x/(?P<b>.+)$", ".${a}/${b}")))
    assert (answer.status, "it goes up by “..”" in answer.err) == (1, True)
    assert world.site.refs() == {"refs/heads/main": world.tip}


def test_a_move_that_leads_out_is_refused(world: World) -> None:
    for target in ("..", "../..", ".git", "a/../../b", "/etc"):
        answer = world.sync(workflows(workflow({"move": {"from": "docs", "to": target}})))
        assert answer.status == 2, target
        assert "may not be written" in answer.err
    assert world.site.refs() == {"refs/heads/main": world.tip}


def test_an_exponential_regex_is_answered_like_any_other(world: World) -> None:
    """A backtracking engine would not end in the life of this machine; RE2 takes linear time."""
    evil = [r"^(a+)+$", r"^(a|aa)+$", r"^(.*)*x$", r"^(?P<x>(a*)*)b$"]
    world.code.commit({b"a" * 250 + b"!": b"x", b"docs/a.md": b"a"})
    rules = [rule("regex", pattern, "x/${path}", name=f"r{n}") for n, pattern in enumerate(evil)]
    answer = world.sync(legacy(*rules, rule("prefix", "docs", "ok/${path}", exclude=evil)))
    assert answer.status == 0, answer.err
    assert answer.document["targets"][0]["writes"] == 2


def test_a_regex_that_needs_too_much_memory_is_refused(world: World) -> None:
    answer = world.sync(legacy(rule("regex", "((a{1,100}){1,100}){1,100}", "x")))
    assert answer.status == 2
    assert "regular expression" in answer.err


# --- copy test --batch ---


def test_every_line_gets_one_answer_whatever_stands_in_it() -> None:
    lines = [
        {"op": "pattern", "type": "glob", "pattern": "**/*.md", "path": "a/b.md"},
        {"op": "pattern", "type": "regexp", "pattern": "x", "path": "x"},
        {"op": "pattern", "type": "regex", "pattern": "^(a+)+$", "path": "a" * 5_000 + "!"},
        {"op": "transform", "template": "../x", "path": "a", "variables": {}},
        {"op": "transform", "template": "${nothing}", "path": "a", "variables": {}},
        {"op": "message", "template": "${a}", "context": {"a": "${b}", "b": "c"}},
        {"op": "config", "config": {"workflows": []}},
        {"op": "config", "config": BOMB},
        {"op": "shell"},
        "text",
    ]
    text = "\n".join([*(json.dumps(line) for line in lines), "{", "[" * 100_000, '"\\ud800"']) + "\n"
    answer = ran("copy", "test", "--batch", stdin=text.encode())
    assert answer.status == 0
    found = [json.loads(line) for line in answer.out.splitlines()]
    assert len(found) == len(lines) + 3
    assert found[0]["matched"] is True
    assert found[2] == {"matched": False, "variables": {}}
    assert found[5] == {"text": "${b}"}
    assert [one["valid"] for one in found[6:8]] == [False, False]
    assert all(list(one) == ["error"] and one["error"] for one in [found[1], *found[3:5], *found[8:]])


# --- the API and the pages ---


class Office:
    """A team with two repositories, the API and a browser of one of its members."""

    def __init__(self, root: Path) -> None:
        self.root = root
        user, self.team = make_member(Role.OWNER)
        self.api: Api = api_of(user, self.team)
        self.client = Client(raise_request_exception=False)
        self.client.force_login(user)
        connection = make_connection(self.team, options={"root": str(root)}, local=True)
        self.code = make_repository(connection, SOURCE, external_id="code.git")
        self.site = make_repository(connection, TARGET, external_id="site.git")

    def config(self, **more: Any) -> Json:
        return {
            "name": "handbook",
            "source": {"repository": str(self.code.pk), "branch": "main"},
            "rules": [{"type": "prefix", "pattern": "docs", "template": "handbook/${relative_path}"}],
            "targets": [{"repository": str(self.site.pk), "branch": "main"}],
            **more,
        }


@pytest.fixture
def office(db: None, world: World, settings: Settings) -> Office:
    settings.FOLDER_ROOTS = (world.root,)
    return Office(world.root)


@pytest.fixture
def unchanged(office: Office, world: World) -> Iterator[None]:
    """Nothing may be written by the test that uses this: no row, no ref, no file."""
    access.git()  # its own configuration file is made by whoever needs git first
    data = world.root.parent / "data"
    before = _without_use(rows()), files(world.root), files(data)
    yield
    assert (_without_use(rows()), files(world.root), files(data)) == before


def _without_use(found: dict[str, list[Json]]) -> dict[str, list[Json]]:
    """Rows without what a request itself leaves: when a token and a session were used."""
    names = ("accounts.ApiToken", "sessions.Session")
    return {label: list_of for label, list_of in found.items() if label not in names}


def rules_of(**more: object) -> dict[str, list[Json]]:
    return {"rules": [{"type": "prefix", "pattern": "docs", "template": "x/${path}", **more}]}


CONFIGS: dict[str, tuple[Callable[[Office], Any], str]] = {
    "unknown type": (lambda o: o.config(**rules_of(type="magic")), "rules[0].type"),
    "regex": (lambda o: o.config(**rules_of(type="regex", pattern="(")), "rules[0].pattern"),
    "huge regex": (
        lambda o: o.config(**rules_of(type="regex", pattern="((a{1,99}){1,99}){1,99}")),
        "rules[0].pattern",
    ),
    "no rules": (lambda o: o.config(rules=[]), "rules"),
    "no mapping": (lambda o: [], "config"),
    "unknown key": (lambda o: o.config(magic=1), "magic"),
    "branch": (lambda o: o.config(source={"repository": SOURCE, "branch": "a..b"}), "source.branch"),
    "repository": (
        lambda o: o.config(source={"repository": "acme/none", "branch": "main"}),
        "source.repository",
    ),
    "itself": (lambda o: o.config(targets=[{"repository": SOURCE, "branch": "main"}]), "targets[0]"),
}


def refused(office: Office, config: Any, field: str) -> None:
    """The configuration can be neither saved nor planned with; the answer names the field."""
    for path, body in (("jobs/", {"kind": "copy", "config": config}), ("copy/plan/", {"config": config})):
        answer = office.api.post(path, body)
        assert 400 <= answer.status_code < 500, (config, answer.content)
        assert answer["Content-Type"] == "application/problem+json"
        problem = answer.json()
        assert problem["detail"]
        fields = [row["field"] for row in problem["errors"]]
        assert any(found.startswith(field) or found.endswith(field) for found in fields), (config, fields)


def test_a_rule_that_cannot_be_saved(office: Office, unchanged: None) -> None:
    for make, field in CONFIGS.values():
        refused(office, make(office), field)


def test_a_rule_whose_template_leads_out_cannot_be_saved(office: Office, unchanged: None) -> None:
    for template in [*UP, *ABSOLUTE, *GIT, *STRANGE]:
        refused(office, office.config(**rules_of(template=template)), "rules[0].template")


def test_a_body_of_ten_megabytes(office: Office, unchanged: None) -> None:
    big = office.config(message="x" * 10_000_000)
    for path, body in (
        ("jobs/", {"kind": "copy", "config": big}),
        ("copy/plan/", {"config": big}),
        ("copy/validate/", {"text": "#" * 10_000_000}),
        ("connections/", {"provider": "folder", "name": "x" * 10_000_000, "options": {}}),
    ):
        answer = office.api.post(path, body)
        assert answer.status_code == 413, (path, answer.content[:300])
        assert answer["Content-Type"] == "application/problem+json"
        assert answer.json()["detail"]


def test_a_body_that_is_no_json_object(office: Office, unchanged: None) -> None:
    for body in (b"{", b"[]", b'"x"', b"\xff\xfe", b"", b"[" * 100_000, b'{"config": NaN}'):
        for path in ("jobs/", "copy/plan/", "copy/validate/", "connections/"):
            answer = office.api._client.post(
                f"/api/v1/{path}", body, content_type="application/json", headers=office.api._headers
            )
            assert 400 <= answer.status_code < 500, (path, body[:20], answer.content)
            assert answer.json()["detail"] or answer.json()["errors"]


OUTSIDE = [
    "/",
    "/etc",
    "{root}/..",
    "{root}/../..",
    "{root}/link",
    "relative",
    "~",
    "",
    "{root}\x00",
    "{root}2",
]


@pytest.fixture
def around(world: World) -> World:
    """A link that leads out of the root, and a folder whose name begins like the root's."""
    (world.root / "link").symlink_to("/etc")
    (world.root.parent / "git2").mkdir()
    return world


def test_a_folder_outside_the_roots_is_refused(around: World, office: Office, unchanged: None) -> None:
    for place in OUTSIDE:
        root = place.format(root=around.root)
        answer = office.api.post(
            "connections/", {"provider": "folder", "name": "x", "options": {"root": root}}
        )
        assert answer.status_code == 422, (root, answer.content)
        assert answer.json()["errors"][0]["field"].endswith("root")
        plain = {"provider": "plain", "name": "x", "options": {"urls": [f"file://{root}"]}}
        assert office.api.post("connections/", plain).status_code == 422, root
        form = {"provider": "folder", "name": "x", "root": root}
        page = office.client.post("/connections/new/", form)
        assert (page.status_code, 'aria-invalid="true"' in page.content.decode()) == (422, True), root


def test_unreadable_yaml_in_the_page_is_refused_with_its_place(office: Office, unchanged: None) -> None:
    for text, words in (
        ("rules:\n  - type: x\n   bad: [\n", "Line 3, column"),
        (BOMB, "more than 200 aliases"),
        ("name: x\nrules:\n  - {type: magic, pattern: a, template: b}\n", "magic"),
        ("x: !!python/object/apply:os.system [id]", "not supported"),
    ):
        answer = office.client.post("/copy/new/yaml/", {"text": text, "do": "save-now"})
        assert words in answer.content.decode()
        assert answer.status_code == 422


def test_a_form_of_ten_megabytes(office: Office, unchanged: None) -> None:
    answer = office.client.post("/copy/new/yaml/", {"text": "#" * 10_000_000, "do": "save-now"})
    assert 400 <= answer.status_code < 500


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["branch", "-m", "main", "trunk"], "has no branch main"),
        (["update-ref", "-d", "refs/heads/main"], "is empty: it has no branch yet"),
    ],
)
def test_what_a_plan_would_need_and_is_not_there(
    office: Office, world: World, change: list[str], words: str
) -> None:
    world.code.git(*change)
    assert words in _sentence(office)
    assert world.site.refs() == {"refs/heads/main": world.tip}


def _sentence(office: Office) -> str:
    """What the plan says when nothing is being fetched any more."""
    for _ in range(100):
        answer = office.api.post("copy/plan/", {"config": office.config()})
        assert answer.status_code == 200, answer.content
        if not answer.json()["fetching"]:
            return str(answer.json()["sentence"])
        time.sleep(0.1)
    raise AssertionError("still fetching")

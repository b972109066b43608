# ruff: noqa: E501 - a table reads best with one case on a line
"""Main files, what they lead to, and `$ref`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opssight.core.errors import TransientFailure
from syncs.copy.formats import Loaded, Place, load
from syncs.copy.formats.files import MAX_FILES
from tests.syncs.copy.formats.reads import Asked, Kept

MAIN = """\
defaults:
  commit_strategy: {type: direct, commit_message: from main}
  exclude: ['**/main']
workflow_configs:
  - {source: local, path: .copier/workflows/local.yaml}
  - {source: repo, repo: acme/tools, branch: stable, path: copier.yaml}
  - source: inline
    workflows:
      - name: inline
        source: {repo: acme/inline}
        destination: {repo: acme/site}
        transformations: {$ref: shared/moves.yaml}
  - {source: local, path: gone.yaml, enabled: false}
"""
LOCAL = """\
defaults:
  commit_strategy: {type: pull_request, pr_title: from file}
workflows:
  - name: local
    source: {repo: acme/code, branch: dev}
    destination: {repo: acme/site}
    transformations: {$ref: ../shared/moves.yaml}
    exclude: {$ref: 'repo://acme/tools/excludes.yaml@stable'}
    commit_strategy: {$ref: own.yaml}
"""
REMOTE = """\
workflows:
  - name: remote
    destination: {repo: other/site, branch: next}
    transformations: {$ref: moves.yaml}
"""
MOVES = "- move: {from: a, to: b}\n"
FILES: dict[str | Asked, str] = {
    ".copier/workflows/local.yaml": LOCAL,
    ".copier/workflows/own.yaml": "{pr_body: own, auto_merge: true}",
    ".copier/shared/moves.yaml": MOVES,
    ("acme/tools", "stable", "copier.yaml"): REMOTE,
    ("acme/tools", "stable", "moves.yaml"): "- copy: {from: x, to: y}",
    ("acme/tools", "stable", "excludes.yaml"): "['**/ref']",
}


def loaded(text: str, files: dict[str | Asked, str], path: str = ".copier/main.yaml") -> Loaded:
    return load(text, reads=Kept(files), place=Place(path))


def test_a_whole_set_of_files() -> None:
    found = loaded(MAIN, FILES)
    assert (found.format, found.errors, found.warnings, found.left_out, found.rules) == (
        "main",
        (),
        (),
        (),
        3,
    )
    local, remote, inline = found.flows
    assert (local.name, local.source_repo, local.source_branch) == ("local", "acme/code", "dev")
    assert [(rule.type, rule.exclude) for rule in local.rules] == [("move", ("**/ref",))]
    assert (local.options.strategy, local.message) == ("pull_request", "Update from workflow: ${rule_name}")
    pull = local.options.pull_request
    assert (pull.title, pull.body, pull.auto_merge) == ("from file", "own", True)
    assert (remote.source_repo, remote.source_branch, remote.target_repo) == (
        "acme/tools",
        "stable",
        "other/site",
    )
    assert (remote.message, remote.options.strategy, remote.rules[0].exclude) == (
        "from main",
        "direct",
        ("**/main",),
    )
    assert [(rule.type, rule.exclude) for rule in remote.rules] == [("copy", ("**/main",))]
    assert (inline.name, inline.rules[0].pattern) == ("inline", "a")


def test_a_file_is_read_once_and_what_is_switched_off_not_at_all() -> None:
    reads = Kept(FILES)
    twice = MAIN.replace(
        "  - {source: local, path: gone",
        "  - {source: local, path: .copier/workflows/local.yaml}\n  - {source: local, path: gone",
    )
    assert not load(twice, reads=reads, place=Place(".copier/main.yaml")).errors
    assert len(reads.asked) == len(set(reads.asked)) == len(FILES)


def test_a_local_path_begins_at_the_root_and_else_beside_the_main_file() -> None:
    text = "workflow_configs: [{source: local, path: w.yaml}]"
    files: dict[str | Asked, str] = {
        ".copier/w.yaml": REMOTE.replace(
            "{$ref: moves.yaml}", MOVES.strip("- \n").join(("[{", "}]"))
        ).replace("    destination", "    source: {repo: a/b}\n    destination")
    }
    assert not loaded(text, files).errors
    files["w.yaml"] = files[".copier/w.yaml"].replace("remote", "root")
    assert [flow.name for flow in loaded(text, files).flows] == ["root"]


def entries(*entries: dict[str, Any], **top: Any) -> str:
    return json.dumps({"workflow_configs": list(entries), **top})


GOOD = {
    "source": "inline",
    "workflows": [{"name": "w", "source": {"repo": "a/b"}, "destination": {"repo": "c/d"}, "transformations": [{"move": {"from": "x", "to": "y"}}]}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("entry", "files", "part"),
    [
        ({"source": "local", "path": "gone.yaml"}, {}, "workflow_configs[0].path: Line 1: There is no file gone.yaml."),
        ({"source": "repo", "repo": "a/b", "path": "x"}, {}, "workflow_configs[0].path: Line 1: There is no file x."),
        ({"source": "local", "path": "w"}, {"w": "a: b: c"}, "workflow_configs[0].path: Line 1: w: 1:5: This is not readable YAML"),
        ({"source": "local", "path": "w"}, {"w": "workflows: []"}, "w: workflows: Line 1: Give at least one workflow."),
        ({"source": "local", "path": "w"}, {"w": "copy_rules: []"}, "w: workflows: Line 1: Give at least one workflow."),
        ({"source": "local", "path": "w"}, {"w": REMOTE.replace("{$ref: moves.yaml}", "{$ref: ../moves.yaml}\n    source: {repo: a/b}")}, "w: workflows[0].transformations.$ref: Line 4: “../moves.yaml” cannot be read as a file: it goes up"),
        ({"source": "inline"}, {}, "workflow_configs[0].workflows: Line 1: Give at least one workflow."),
        ({"source": "inline", "workflows": [{"name": "w"}]}, {}, "workflow_configs[0].workflows[0].source: Line 1: source is required."),
    ],
)  # fmt: skip
def test_an_entry_that_is_broken_is_left_out_and_named(
    entry: dict[str, Any], files: dict[str | Asked, str], part: str
) -> None:
    found = loaded(entries(entry, GOOD), files, "main.yaml")
    assert (found.errors, len(found.flows)) == ((), 1)
    [(where, message)] = found.left_out
    assert (where, message.startswith(f"This entry is left out. {part}")) == ("workflow_configs[0]", True), (
        message
    )
    assert (where, message) in found.warnings
    alone = loaded(entries(entry), files, "main.yaml")
    [(where, message)] = alone.errors
    assert where == "workflow_configs"
    assert "No workflow is left. This entry is left out." in message


@pytest.mark.parametrize(
    ("entry", "where", "part"),
    [
        ({}, "workflow_configs[0].source", "source is required: local or repo or inline"),
        ({"source": "web"}, "workflow_configs[0].source", "'web' is not a source"),
        ({"source": "local"}, "workflow_configs[0].path", "path is required"),
        ({"source": "repo", "path": "x"}, "workflow_configs[0].repo", "repo is required"),
        ({"source": "repo", "path": "x", "repo": "--x"}, "workflow_configs[0].repo", "not the name of a repository"),
        ({"source": "repo", "path": "x", "repo": "a/b", "branch": ".."}, "workflow_configs[0].branch", "not a name"),
        ({"source": "local", "path": "/etc/passwd"}, "workflow_configs[0].path", "it is absolute"),
        ({"source": "local", "path": "a/../../x"}, "workflow_configs[0].path", "it goes up"),
        ({"source": "local", "path": ".git/config"}, "workflow_configs[0].path", "spelling of .git"),
        ({"source": "repo", "repo": "a/b", "path": "a\\..\\x"}, "workflow_configs[0].path", "goes up"),
        ({"source": "inline", "enabled": "no"}, "workflow_configs[0].enabled", "true or false"),
    ],
)  # fmt: skip
def test_an_entry_that_makes_no_sense_is_an_error(entry: dict[str, Any], where: str, part: str) -> None:
    reads = Kept({})
    found = load(entries(entry, GOOD), reads=reads, place=Place("main.yaml"))
    assert [place for place, _ in found.errors] == [where]
    assert part in found.errors[0][1]
    assert (found.flows, reads.asked) == ((), [])


def test_what_is_switched_off_is_not_even_checked() -> None:
    found = loaded(entries({"source": "web", "enabled": False}, GOOD), {}, "main.yaml")
    assert (found.errors, found.left_out, len(found.flows)) == ((), (), 1)


def test_nothing_is_taken_for_gone_when_a_file_cannot_be_read_now() -> None:
    class Away:
        def read(self, repository: str | None, branch: str | None, path: str) -> bytes:
            raise TransientFailure("git.example.org did not answer.")

    with pytest.raises(TransientFailure):
        load(entries({"source": "local", "path": "x"}, GOOD), reads=Away(), place=Place("main.yaml"))


def workflow(**changes: Any) -> str:
    base = GOOD["workflows"][0]
    assert isinstance(base, dict)
    return json.dumps({"workflows": [{**base, **changes}]})


@pytest.mark.parametrize(
    ("reference", "asked"),
    [
        ("t.yaml", (None, None, "a/b/t.yaml")),
        ("./t.yaml", (None, None, "a/b/t.yaml")),
        ("c/t.yaml", (None, None, "a/b/c/t.yaml")),
        ("../t.yaml", (None, None, "a/t.yaml")),
        ("../../t.yaml", (None, None, "t.yaml")),
        ("x/../t.yaml", (None, None, "a/b/t.yaml")),
        ("repo://acme/tools/t.yaml", ("acme/tools", "main", "t.yaml")),
        ("repo://acme/tools/x/t.yaml@v2", ("acme/tools", "v2", "x/t.yaml")),
        ("repo://acme/tools/t.yaml@feature/x", ("acme/tools", "feature/x", "t.yaml")),
    ],
)
def test_where_a_reference_leads(reference: str, asked: Asked) -> None:
    reads = Kept({asked: MOVES})
    found = load(workflow(transformations={"$ref": reference}), reads=reads, place=Place("a/b/w.yaml"))
    assert (found.errors, reads.asked, found.flows[0].rules[0].pattern) == ((), [asked], "a")


REFERS = ("transformations", "exclude", "commit_strategy")
KEPT_AT: dict[str | Asked, str] = {
    f"{folder}/{key}": text
    for folder in ("top", "top/below")
    for key, text in (
        ("transformations", f"- move: {{from: x, to: {folder}}}"),
        ("exclude", f"['{folder}']"),
        ("commit_strategy", f"commit_message: {folder}"),
    )
}


@pytest.mark.parametrize(
    ("level", "key", "folder"),
    [
        ("main", "exclude", "top"),
        ("main", "commit_strategy", "top"),
        ("inline", "transformations", "top"),
        ("inline", "exclude", "top"),
        ("inline", "commit_strategy", "top"),
        ("file", "exclude", "top/below"),
        ("file", "commit_strategy", "top/below"),
        ("workflow", "transformations", "top/below"),
        ("workflow", "exclude", "top/below"),
        ("workflow", "commit_strategy", "top/below"),
    ],
)
def test_a_reference_begins_at_the_folder_of_its_file(level: str, key: str, folder: str) -> None:
    refers = {key: {"$ref": key}}
    plain = json.loads(workflow(**(refers if level in ("workflow", "inline") else {})))
    file = json.dumps({**plain, "defaults": refers if level == "file" else {}})
    entry = {"source": "inline", **plain} if level == "inline" else {"source": "local", "path": "top/below/w"}
    text = entries(entry, defaults=refers if level == "main" else {})
    [flow] = loaded(text, {**KEPT_AT, "top/below/w": file}, "top/main").flows
    said = {
        "transformations": flow.rules[0].template,
        "exclude": "".join(flow.rules[0].exclude),
        "commit_strategy": flow.message,
    }
    assert said[key] == folder
    assert not {said[other] for other in REFERS if other != key} & {"top", "top/below"}


def test_a_repository_is_read_at_main_where_no_branch_is_named() -> None:
    files: dict[str | Asked, str] = {
        ("acme/tools", "main", "w"): REMOTE,
        ("acme/tools", "main", "moves.yaml"): MOVES,
    }
    [flow] = loaded(entries({"source": "repo", "repo": "acme/tools", "path": "w"}), files).flows
    assert (flow.source_repo, flow.source_branch) == ("acme/tools", "main")


@pytest.mark.parametrize(
    ("reference", "part"),
    [
        ("", "$ref takes the path of a file"),
        (5, "$ref takes the path of a file"),
        ("../../../t.yaml", "it goes up"),
        ("/etc/passwd", "it is absolute"),
        (".git/config", "spelling of .git"),
        ("a\x00b", "control character"),
        ("https://example.org/t.yaml", "use a path or repo://"),
        ("file:///etc/passwd", "use a path or repo://"),
        ("repo://acme/tools", "is not repo://owner/name/path@branch"),
        ("repo://acme//t.yaml", "is not repo://owner/name/path@branch"),
        ("repo://acme/tools/../t.yaml", "it goes up"),
        ("repo://-x/tools/t.yaml", "not the name of a repository"),
        ("repo://acme/tools/t.yaml@a..b", "not a name that a branch can have"),
        ("missing.yaml", "There is no file a/b/missing.yaml"),
    ],
)
def test_a_reference_that_leads_nowhere(reference: object, part: str) -> None:
    reads = Kept({})
    found = load(workflow(transformations={"$ref": reference}), reads=reads, place=Place("a/b/w.yaml"))
    [(where, message)] = found.errors
    assert (where, part in message) == ("workflows[0].transformations.$ref", True), message
    assert reads.asked == ([] if reference != "missing.yaml" else [(None, None, "a/b/missing.yaml")])


@pytest.mark.parametrize(
    ("key", "content", "where", "part"),
    [
        ("transformations", "{$ref: other.yaml}", "r.yaml", "cannot refer to another one"),
        ("transformations", "x: 1", "r.yaml", "takes a list"),
        ("transformations", "[]", "r.yaml", "Give at least one transformation"),
        (
            "transformations",
            "\n- move: {from: a, to: ../b}",
            "r.yaml: [0].move.to",
            "Line 2: “../b” makes paths",
        ),
        ("exclude", "x", "r.yaml", "takes a list"),
        ("exclude", "['[']", "r.yaml: [0]", "not closed"),
        ("commit_strategy", "{type: batch}", "r.yaml: type", "use direct or pull_request"),
        (
            "commit_strategy",
            "a: b: c",
            "workflows[0].commit_strategy.$ref",
            "r.yaml: 1:5: This is not readable YAML",
        ),
    ],
)
def test_errors_name_the_file_that_they_are_in(key: str, content: str, where: str, part: str) -> None:
    found = load(
        workflow(**{key: {"$ref": "r.yaml"}}), reads=Kept({"r.yaml": content}), place=Place("w.yaml")
    )
    assert [place for place, _ in found.errors] == [where]
    assert part in found.errors[0][1]


def test_a_reference_stands_alone() -> None:
    both = {"$ref": "r.yaml", "type": "direct"}
    found = load(workflow(commit_strategy=both), reads=Kept({"r.yaml": "{}"}), place=Place("w.yaml"))
    assert found.errors == (
        ("workflows[0].commit_strategy.$ref", "Line 1: $ref stands alone; remove the other keys beside it."),
    )


def test_the_number_and_size_of_files_are_bounded() -> None:
    files: dict[str | Asked, str] = {f"{n}.yaml": workflow() for n in range(MAX_FILES + 50)}
    inline = [{"source": "local", "path": f"{n}.yaml"} for n in range(100)]
    assert not loaded(entries(*inline), files, "main.yaml").errors
    refs = [
        {**json.loads(workflow())["workflows"][0], "transformations": {"$ref": f"{a}.yaml"}}
        for a in range(100)
    ]
    more = [
        {
            "source": "inline",
            "workflows": [
                {**one, "transformations": {"$ref": f"{at * 100 + n}.yaml"}} for n, one in enumerate(refs)
            ],
        }
        for at in range(3)
    ]
    found = loaded(entries(*more), {f"{n}.yaml": MOVES for n in range(300)}, "main.yaml")
    assert [where for where, _ in found.left_out] == ["workflow_configs[2]"]
    assert f"More than {MAX_FILES} files" in found.left_out[0][1]
    big: dict[str | Asked, str] = {f"{n}.yaml": "#" * 900_000 + "\n" + MOVES for n in range(10)}
    whole = [
        {
            "source": "inline",
            "workflows": [{**refs[0], "transformations": {"$ref": f"{n}.yaml"}} for n in range(10)],
        }
    ]
    assert "larger than 5 MB" in loaded(entries(*whole, GOOD), big, "main.yaml").left_out[0][1]


def test_the_number_of_transformations_is_bounded() -> None:
    moves = "\n".join(f"- move: {{from: a{n}, to: b{n}}}" for n in range(100))
    refers = {**json.loads(workflow())["workflows"][0], "transformations": {"$ref": "t.yaml"}}
    files: dict[str | Asked, str] = {"t.yaml": moves, "w.yaml": json.dumps({"workflows": [refers] * 100})}
    found = loaded(entries(*[{"source": "local", "path": "w.yaml"}] * 100), files, "main.yaml")
    assert found.errors == (
        ("workflow_configs", "Line 1: The files have more than 10,000 transformations; use fewer."),
    )

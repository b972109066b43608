# ruff: noqa: E501 - a table reads best with one case on a line
"""`copy validate`, `convert`, `sources`, `init`, `schema`, `import-env`: files in, files out."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml

from syncs.copy.commands.starting import TEMPLATES
from syncs.copy.formats import load
from syncs.copy.formats.schema import FORMATS
from tests.cli.command import Ran, files, ran
from tests.cli.world import SOURCE, TARGET, World, legacy, one, rule
from tests.repos.git.work import Bare

V0 = '[{"source_directory": "docs", "target_repo": "site", "target_directory": "handbook"}]'
MAIN = """\
workflow_configs:
  - {source: local, path: flows/w.yaml}
  - {source: repo, repo: acme/tools, path: copier.yaml}
"""
LOCAL = """\
workflows:
  - name: local
    source: {repo: acme/code}
    destination: {repo: acme/site}
    commit_strategy: {type: direct}
    transformations: {$ref: ../shared/moves.yaml}
"""
REMOTE = """\
workflows:
  - name: remote
    source: {repo: acme/code}
    destination: {repo: acme/site}
    commit_strategy: {type: direct}
    transformations: {$ref: moves.yaml}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A main file and what it names, beside a file that is none of its business."""
    root = tmp_path / "config"
    for name, text in {
        "main.yaml": MAIN,
        "flows/w.yaml": LOCAL,
        "shared/moves.yaml": "- move: {from: docs, to: handbook}\n",
        "../secret.yaml": "- move: {from: secret, to: out}\n",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def validate(*argv: str, stdin: bytes = b"") -> Ran:
    return ran("copy", "validate", *argv, "--json", stdin=stdin)


def test_files_beside_a_main_file(folder: Path) -> None:
    answer = validate(str(folder / "main.yaml"))
    assert (answer.status, answer.document["valid"], answer.document["format"]) == (0, True, "main")
    assert answer.document["rules"] == 1
    [warning] = answer.document["warnings"]
    assert warning["where"] == "workflow_configs[1]"
    assert "Say where acme/tools is with --repo acme/tools=URL" in warning["message"]


def test_files_of_other_repositories(world: World, folder: Path) -> None:
    tools = Bare(world.root / "tools.git")
    tools.commit({b"copier.yaml": REMOTE.encode(), b"moves.yaml": b"- copy: {from: README, to: R}\n"})
    repo = f"acme/tools={tools.path}"
    answer = validate(str(folder / "main.yaml"), "--repo", repo)
    assert (answer.status, answer.document["warnings"], answer.document["rules"]) == (0, [], 2)
    world.code.commit({b"docs/new.md": b"new"})
    repos = [text for name, url in {**world.urls, "acme/tools": str(tools.path)}.items() for text in ("--repo", f"{name}={url}")]  # fmt: skip
    applied = ran("copy", "sync", str(folder / "main.yaml"), "--source", SOURCE, "--json", *repos)
    assert (applied.status, one(applied)["writes"]) == (0, 3), applied.err


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("../secret.yaml", "it goes up"),
        ("/etc/passwd", "it is absolute"),
        ("link.yaml", "is a link that leads out"),
        ("chain/secret.yaml", "is a link that leads out"),
        ("shared", "is no plain file"),
        ("pipe.yaml", "is no plain file"),
        ("round.yaml", "There is no file"),
        ("gone.yaml", "There is no file gone.yaml"),
    ],
)
def test_nothing_outside_of_the_folder_is_read(folder: Path, path: str, part: str) -> None:
    (folder / "link.yaml").symlink_to("../secret.yaml")
    (folder / "chain").symlink_to("..")
    (folder / "round.yaml").symlink_to("round.yaml")
    os.mkfifo(folder / "pipe.yaml")
    text = LOCAL.replace("../shared/moves.yaml", path)
    (folder / "w.yaml").write_text(text)
    answer = validate(str(folder / "w.yaml"))
    assert answer.status == 2
    [error] = answer.document["errors"]
    assert (error["where"], part in error["message"]) == ("workflows[0].transformations.$ref", True), error
    assert "secret" not in answer.out.replace(path, "")


def test_a_link_in_a_repository_is_not_followed(world: World, folder: Path) -> None:
    tools = Bare(world.root / "tools.git")
    contents = {
        b"copier.yaml": b"other.yaml",
        b"other.yaml": REMOTE.encode(),
        b"big.yaml": b"#" * 1_000_001,
        b"dir/x": b"",
    }
    tools.commit(contents, modes={b"copier.yaml": "120000"})
    for path, branch, part in (
        ("copier.yaml", "main", "is no plain file"),
        ("dir", "main", "is no plain file"),
        ("big.yaml", "main", "larger than 1 MB"),
        ("dir/x/y", "main", "has no file dir/x/y on branch main"),
        ("other.yaml", "gone", "has no branch gone"),
    ):
        text = LOCAL.replace("../shared/moves.yaml", f"repo://acme/tools/{path}@{branch}")
        (folder / "w.yaml").write_text(text)
        answer = validate(str(folder / "w.yaml"), "--repo", f"acme/tools={tools.path}")
        assert answer.status == 2
        assert part in answer.document["errors"][0]["message"], (path, answer.document)


def test_the_top_of_a_checkout_is_where_paths_begin(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "deep/er").mkdir(parents=True)
    (tmp_path / "moves.yaml").write_text("- move: {from: a, to: b}")
    main = tmp_path / "deep/er/w.yaml"
    main.write_text(LOCAL.replace("../shared", "../.."))
    assert validate(str(main)).status == 0
    outside = validate(str(main), "--root", str(tmp_path / "deep"))
    assert outside.status == 2
    assert "goes up" in outside.document["errors"][0]["message"]
    wrong = validate(str(main), "--root", str(tmp_path / "other"))
    assert (wrong.status, "is not in the folder" in wrong.err) == (2, True)


def test_standard_input_has_no_folder_beside_it(folder: Path) -> None:
    refers = LOCAL.replace("../shared", "shared").encode()
    answer = validate("-", stdin=refers)
    assert (answer.status, "say with --root" in answer.err) == (2, True)
    assert validate("-", "--root", str(folder), stdin=refers).status == 0


def test_the_oldest_format_asks_for_its_source(world: World) -> None:
    path = world.file(V0)
    answer = validate(path)
    assert (answer.status, answer.document["format"], answer.document["rules"]) == (0, "v0", 1)
    assert "--source" in answer.document["warnings"][0]["message"]
    assert validate(path, "--source", SOURCE).document["warnings"] == []
    assert ran("copy", "validate", path, "--source", "a/b@a..b").status == 2
    converted = ran("copy", "convert", path, "--to", "workflows")
    assert (converted.status, "Name it with --source" in converted.err) == (2, True)
    synced = ran("copy", "sync", path, "--source", SOURCE, "--json", "--repo", f"{SOURCE}={world.code.path}",
                 "--repo", f"{TARGET}={world.site.path}")  # fmt: skip
    assert (synced.status, one(synced)["writes"]) == (0, 1), synced.err
    assert world.site.git("ls-tree", "-r", "--name-only", "main").split() == ["README", "handbook/old.md"]


def test_converting(world: World, tmp_path: Path) -> None:
    first = world.file(legacy(rule("prefix", "docs/", "handbook/${relative_path}")))
    second = tmp_path / "second.yaml"
    second.write_text(json.dumps(legacy(rule("glob", "*.md", "${path}", target="x/y"), source_repo="b/c")))
    answer = ran("copy", "convert", first, str(second), "--to", "sources")
    assert (answer.status, answer.err) == (0, "")
    again = load(answer.out)
    assert (again.format, [flow.source_repo for flow in again.flows]) == ("sources", [SOURCE, "b/c"])
    assert again.flows == load(Path(first).read_text()).flows + load(second.read_text()).flows
    document = ran("copy", "convert", first, "--to", "workflows", "--json").document
    assert document["conflicts"] == []
    assert load(document["yaml"]).format == "workflows"


def test_nothing_is_lost_when_a_file_cannot_be_read(world: World, folder: Path) -> None:
    answer = ran("copy", "convert", str(folder / "main.yaml"), "--to", "workflows")
    assert (answer.status, answer.out) == (2, "")
    assert "workflow_configs[1]: This entry is left out." in answer.err
    repos = [text for name, url in world.urls.items() for text in ("--repo", f"{name}={url}")]
    synced = ran("copy", "sync", str(folder / "main.yaml"), "--source", SOURCE, *repos)
    assert (synced.status, "warning: workflow_configs[1]: This entry is left out." in synced.err) == (0, True)


def test_conflicts_of_several_files_are_named(world: World, tmp_path: Path) -> None:
    first = world.file(legacy(rule("prefix", "docs/", "x/${relative_path}", name="same", message="a")))
    second = tmp_path / "second.yaml"
    second.write_text(json.dumps(legacy(rule("glob", "*.md", "${path}", name="same", message="b"))))
    answer = ran("copy", "convert", first, str(second), "--to", "sources")
    assert answer.status == 0
    assert "conflict: same is the name of different rules in" in answer.err
    assert "with different messages" in answer.err
    assert len(load(answer.out).parts) == 2
    broken = ran("copy", "convert", first, str(tmp_path / "none.yaml"), "--to", "sources")
    assert (broken.status, broken.out) == (2, "")
    nowhere = ran("copy", "convert", first)
    assert nowhere.status == 2
    second.write_text("copy_rules: []")
    wrong = ran("copy", "convert", first, str(second), "--to", "sources")
    assert (wrong.status, f"{second}: copy_rules: Line 1: Give at least one copy rule." in wrong.err) == (
        2,
        True,
    )


def test_several_sources_are_copied_one_at_a_time(world: World) -> None:
    world.code.commit({b"docs/new.md": b"new"})
    rules = legacy(rule("prefix", "docs/", "x/${relative_path}"))["copy_rules"]
    other = {"repo": "b/other", "copy_rules": rules}
    config = {"sources": [{"repo": SOURCE, "copy_rules": rules}, other], "defaults": {"edits": "overwrite"}}
    answer = world.apply(config)
    assert (answer.status, one(answer)["writes"], one(answer)["status"]) == (0, 1, "done")
    assert world.site.git("ls-tree", "-r", "--name-only", "main").split() == ["README", "x/new.md"]


def test_listing_sources(world: World) -> None:
    off = {
        "repo": "b/off",
        "settings": {"enabled": False},
        "copy_rules": legacy(rule("prefix", "a", "b"))["copy_rules"],
    }
    rules = legacy(rule("prefix", "docs", "x/${path}"), rule("glob", "*.md", "${path}", target="x/y"))["copy_rules"]  # fmt: skip
    path = world.file({"sources": [{"repo": SOURCE, "branch": "dev", "copy_rules": rules}, off]})
    answer = ran("copy", "sources", path, "--json")
    assert answer.document["sources"] == [
        {"source": SOURCE, "branch": "dev", "rules": 2, "targets": 2, "target_names": [TARGET, "x/y"], "enabled": True},
        {"source": "b/off", "branch": "main", "rules": 0, "targets": 0, "target_names": [], "enabled": False},
    ]  # fmt: skip
    text = ran("copy", "sources", path)
    assert (text.status, "2 sources." in text.out, SOURCE in text.out) == (0, True, True)


@pytest.mark.parametrize("template", TEMPLATES)
def test_beginning_with_a_template(template: str, tmp_path: Path) -> None:
    shown = ran("copy", "init", "--template", template)
    assert (shown.status, load(shown.out).errors) == (0, ())
    path = tmp_path / "copier.yaml"
    assert ran("copy", "init", "--template", template, "--output", str(path)).status == 0
    assert path.read_text() == TEMPLATES[template]
    assert validate(str(path)).document["valid"]


def test_a_file_is_never_overwritten(tmp_path: Path) -> None:
    path, link = tmp_path / "mine.yaml", tmp_path / "link.yaml"
    path.write_text("mine")
    link.symlink_to(tmp_path / "elsewhere.yaml")
    before = files(tmp_path)
    for output, part in (
        (path, "is there already"),
        (link, "is there already"),
        (tmp_path / "no/x", "cannot be written"),
    ):
        answer = ran("copy", "init", "--output", str(output))
        assert (answer.status, part in answer.err) == (2, True), answer.err
    assert files(tmp_path) == before
    assert not (tmp_path / "elsewhere.yaml").exists()


@pytest.mark.parametrize("format_", FORMATS)
def test_a_schema_is_one_document(format_: str) -> None:
    plain, as_json = (
        ran("copy", "schema", "--format", format_),
        ran("copy", "schema", "--format", format_, "--json"),
    )
    assert json.loads(plain.out) == as_json.document
    assert as_json.document["$schema"].endswith("2020-12/schema")


def test_importing_an_environment(tmp_path: Path) -> None:
    env = tmp_path / "env"
    env.write_text("PORT=9000\nWEBHOOK_SECRET=c4n4ry\nDEFAULT_COMMIT_MESSAGE=x\n")
    answer = ran("copy", "import-env", str(env))
    assert (answer.status, answer.err) == (0, "")
    assert "OPSSIGHT_PORT=9000" in answer.out
    assert "c4n4ry" not in answer.out
    document = ran("copy", "import-env", "-", "--json", stdin=env.read_bytes()).document
    assert list(document) == ["settings", "commands", "defaults", "notes", "unknown"]
    wrong = ran("copy", "import-env", "-", stdin=b"PORT=1\nc4n4ry\n")
    assert (wrong.status, "Line 2" in wrong.err, "c4n4ry" in wrong.err) == (2, True, False)


def test_what_is_converted_is_plain_yaml(world: World) -> None:
    path = world.file(legacy(rule("prefix", "docs/", "handbook/${relative_path}")))
    data = yaml.safe_load(ran("copy", "convert", path, "--to", "workflows").out)
    assert data["workflows"][0]["destination"] == {"repo": TARGET, "branch": "main"}

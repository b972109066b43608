"""The configurations below `examples/` are what they say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from opssight.core.errors import InvalidInput
from syncs.copy.commands.reads import FolderReads
from syncs.copy.formats import Loaded, Place, load
from syncs.copy.formats.convert import WRITTEN, Written, converted
from syncs.copy.rules.config import Flow
from syncs.copy.rules.file_config import FileConfig, read_version, version_data
from tests.syncs.copy.formats.reads import Kept

EXAMPLES = Path(__file__).resolve().parents[4] / "examples/copy"
FORMATS = {
    "v0.json": "v0",
    "legacy.yaml": "legacy",
    "sources.yaml": "sources",
    "workflows.yaml": "workflows",
    "main/main.yaml": "main",
    "native.yaml": "native",
}
WITH_THREE_SOURCES = ("sources.yaml", "workflows.yaml", "main/main.yaml")
UNSAYABLE: tuple[str, Written] = ("native.yaml", "sources")
MOBILE = Kept({
    ("acme/mobile", "main", ".copier/rules.yaml"): "copy_rules:\n- name: mobile\n"
    "  source_pattern: {type: prefix, pattern: app}\n"
    "  targets: [{repo: partner/portal, path_transform: 'mobile/${relative_path}'}]\n",
    ("acme/mobile", "main", ".copier/workflows.yaml"): "workflows:\n- name: mobile\n"
    "  destination: {repo: partner/portal}\n  transformations: [{move: {from: app, to: mobile}}]\n",
})  # fmt: skip


class Both:
    """The folder of a file, and what stands in acme/mobile."""

    def __init__(self, folder: Path) -> None:
        self._folder = FolderReads(folder, {})

    def read(self, repository: str | None, branch: str | None, path: str) -> bytes:
        return (MOBILE if repository else self._folder).read(repository, branch, path)


def loaded(name: str) -> Loaded:
    path = EXAMPLES / name
    text = path.read_bytes()
    return load(text, reads=Both(path.parent), place=Place(path.name), source=("acme/examples", "main"))


def test_there_is_one_for_each_format() -> None:
    found = [path for path in EXAMPLES.rglob("*") if path.suffix in (".yaml", ".json")]
    whole = {path.relative_to(EXAMPLES).as_posix() for path in found} - {
        path for path in (p.relative_to(EXAMPLES).as_posix() for p in found) if path.count("/") > 1
    }
    assert whole == set(FORMATS)
    assert all(f"({name})" in (EXAMPLES / "README.md").read_text() for name in FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_it_loads(name: str) -> None:
    found = loaded(name)
    assert (found.format, found.errors, found.left_out) == (FORMATS[name], (), ())
    assert all("installation_id" in where or "switched off" in text for where, text in found.warnings)
    assert organizations(found.flows) == {"acme", "partner"}


@pytest.mark.parametrize("name", WITH_THREE_SOURCES)
def test_it_has_three_sources(name: str) -> None:
    found = loaded(name)
    assert len({flow.source_repo for flow in found.flows}) == 3


@pytest.mark.parametrize(
    ("name", "to"), [(name, to) for name in FORMATS for to in WRITTEN if (name, to) != UNSAYABLE]
)
def test_it_can_be_converted(name: str, to: Written) -> None:
    again = load(converted(loaded(name).parts, to))
    assert again.errors == ()
    assert organizations(again.flows) == {"acme", "partner"}


def test_rules_that_leave_out_different_files_cannot_become_copy_rules() -> None:
    name, to = UNSAYABLE
    with pytest.raises(InvalidInput, match="leave out different files"):
        converted(loaded(name).parts, to)


def organizations(flows: tuple[Flow, ...]) -> set[str]:
    """The owners of all targets, with those of the sources."""
    return {repo.partition("/")[0] for flow in flows for repo in (flow.source_repo, flow.target_repo)}


@pytest.mark.parametrize("name", FORMATS)
def test_what_one_source_says_can_be_kept_as_a_job(name: str) -> None:
    flows = loaded(name).flows
    sources = {(flow.source_repo, flow.source_branch) for flow in flows}
    assert len(sources) == (3 if name in WITH_THREE_SOURCES else 1)
    for repo, branch in sources:
        mine = tuple(flow for flow in flows if (flow.source_repo, flow.source_branch) == (repo, branch))
        config = FileConfig(name, repo, branch, mine)
        assert read_version(json.loads(json.dumps(version_data(config)))) == config

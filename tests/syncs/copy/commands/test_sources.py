"""Which branch of a source `copy apply` and `copy sync` copy from."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django import Settings

from tests.cli.command import Ran, ran
from tests.cli.world import MOVE_DOCS, SOURCE, Json, World as CommandLine, workflow, workflows

V0 = [{"source_directory": "docs", "target_repo": "site", "target_directory": "handbook"}]


@pytest.fixture
def cli(tmp_path: Path, settings: Settings) -> CommandLine:
    settings.DATA = tmp_path / "data"
    settings.STORES = tmp_path / "data" / "stores"
    made = CommandLine(tmp_path / "git")
    made.code.commit({b"docs/dev.md": b"dev"}, branch="dev", orphan=True)
    return made


def sync(cli: CommandLine, config: Json | list[Json], source: str) -> Ran:
    repos = [text for name, url in cli.urls.items() for text in ("--repo", f"{name}={url}")]
    path = cli.root / "copier.yaml"
    path.write_text(repr(config))
    return ran("copy", "sync", str(path), "--source", source, *repos, "--json")


def there(cli: CommandLine) -> list[str]:
    return cli.site.git("ls-tree", "-r", "--name-only", "main").split()


def test_the_oldest_format_copies_from_the_branch_that_is_named(cli: CommandLine) -> None:
    assert sync(cli, V0, f"{SOURCE}@dev").status == 0
    assert there(cli) == ["README", "handbook/dev.md"]


def test_without_a_branch_the_oldest_format_copies_from_main(cli: CommandLine) -> None:
    assert sync(cli, V0, SOURCE).status == 0
    assert there(cli) == ["README", "handbook/old.md"]


def test_of_other_formats_the_branch_chooses_the_rules(cli: CommandLine) -> None:
    both = workflows(workflow(MOVE_DOCS, name="a"), workflow(MOVE_DOCS, name="b", branch="dev"))
    assert sync(cli, both, f"{SOURCE}@dev").status == 0
    assert there(cli) == ["README", "handbook/dev.md"]
    assert sync(cli, both, SOURCE).status == 0
    assert there(cli) == ["README", "handbook/dev.md", "handbook/old.md"]


@pytest.mark.parametrize(
    ("source", "part"),
    [
        (f"{SOURCE}@gone", "copies from acme/code@gone. Its sources are: acme/code@main."),
        ("acme/other", "copies from acme/other. Its sources are: acme/code."),
        (f"{SOURCE}@a..b", "is not OWNER/NAME or OWNER/NAME@BRANCH"),
        ("", "No rule of the file copies from"),
    ],
)
def test_a_source_that_the_file_does_not_have(cli: CommandLine, source: str, part: str) -> None:
    answer = sync(cli, workflows(workflow(MOVE_DOCS)), source)
    assert (answer.status, part in answer.err) == (2, True), answer.err

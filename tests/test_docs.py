"""The documents say what the code has: headings, links, generated pages, and a tutorial that works."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from opssight.core.env import SETTINGS
from opssight.kinds import KINDS
from opssight.metrics import METRICS
from opssight.notices.channels import CHANNELS
from repos.providers.registry import HOOK_SCHEMES, PROVIDERS
from syncs.models import ItemState, RunState
from tests.instance import Instance
from tests.reference import PAGES, ROOT, commands_page

DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
PAPERS = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "deploy").rglob("*.md")])
MADE_LATER = {"docs/pictures/overview.png"}


def headings(page: Path) -> set[str]:
    lines = re.findall(r"^#{1,6} (.+)$", without_code(page.read_text()), re.MULTILINE)
    return {line.strip("` ") for line in lines}


def without_code(text: str) -> str:
    return re.sub(r"^( *)```.*?^\1```", "", text, flags=re.MULTILINE | re.DOTALL)


def anchor(heading: str) -> str:
    """The id that forges give to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("settings.md", [setting.name for setting in SETTINGS]),
        ("providers.md", list(PROVIDERS)),
        ("webhooks.md", list(HOOK_SCHEMES)),
        ("notices.md", list(CHANNELS)),
        ("jobs.md", list(KINDS)),
        ("metrics.md", list(METRICS)),
    ],
)
def test_everything_has_a_heading(page: str, names: list[str]) -> None:
    assert names
    assert set(names) - headings(REFERENCE / page) == set()


def test_every_command_has_a_heading() -> None:
    wanted = re.findall(r"^#+ (.+)$", commands_page(), re.MULTILINE)

    assert {"up", "worker", "copy validate", "keys rotate"} <= set(wanted)
    assert set(wanted) <= headings(REFERENCE / "commands.md")


def test_every_path_of_the_api_has_a_heading() -> None:
    paths = yaml.safe_load(PAGES["docs/reference/openapi.yaml"]())["paths"]

    assert "/api/v1/runs/" in paths
    assert set(paths) - headings(REFERENCE / "api.md") == set()


def test_every_state_is_explained() -> None:
    text = (REFERENCE / "run-states.md").read_text()

    assert [state.value for state in (*RunState, *ItemState) if f"| `{state.value}` |" not in text] == []


@pytest.mark.parametrize("name", PAGES)
def test_what_is_made_from_the_code_is_current(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == PAGES[name](), "run: python -m tests.reference"


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(paper: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(paper.read_text())):
        if re.match(r"https?:", target):
            continue
        path, _, part = target.partition("#")
        file = (paper.parent / path).resolve() if path else paper
        if str(file.relative_to(ROOT)) in MADE_LATER:
            continue
        known = {anchor(heading) for heading in headings(file)} if part and file.is_file() else set()
        if not file.exists() or (part and part not in known):
            broken.append(target)
    assert broken == []


def test_every_page_is_in_the_index() -> None:
    index = (DOCS / "README.md").read_text()

    pages = [str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md") if path.name != "README.md"]
    assert [page for page in pages if f"({page})" not in index] == []


def test_settings_named_in_the_documents_exist() -> None:
    known = {setting.name for setting in SETTINGS} | {f"{setting.name}_FILE" for setting in SETTINGS}
    named = {name for paper in PAPERS for name in re.findall(r"\bOPSSIGHT_[A-Z_]+\b", paper.read_text())}

    assert named - known == {"OPSSIGHT_TEST_DATABASE_URL", "OPSSIGHT_X_FILE"}


def test_commands_named_in_the_documents_exist() -> None:
    known = set(re.findall(r"^#+ (.+)$", commands_page(), re.MULTILINE))
    django = {"migrate", "createsuperuser", "createcachetable", "collectstatic"}
    wrong = []
    for paper in PAPERS:
        text = paper.read_text()
        for command, word in re.findall(
            r"(?:^|[`&|] ?|bin/)opssight ([a-z]+)(?: ([a-z][a-z-]*))?", text, re.MULTILINE
        ):
            if command not in known | django:
                wrong.append(f"{paper.name}: opssight {command}")
            has_commands = any(name.startswith(f"{command} ") for name in known)
            if has_commands and word and f"{command} {word}" not in known:
                wrong.append(f"{paper.name}: opssight {command} {word}")
    assert wrong == []


def test_the_tutorial_works(tmp_path: Path, instance: Instance) -> None:
    """Its commands, one after the other, in an installation and a home of their own."""
    opssight = tmp_path / "bin" / "opssight"
    opssight.parent.mkdir()
    opssight.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m opssight "$@"\n')
    opssight.chmod(0o755)
    instance.prepare()
    path = f"{opssight.parent}:{os.environ['PATH']}"
    tutorial = (DOCS / "tutorial/first-copy-rule.md").read_text()
    steps = re.findall(r"^```sh\n(.*?)^```", tutorial, re.MULTILINE | re.DOTALL)

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(steps)],
        env=instance.env | {"PATH": path, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    promised = re.findall(r"It answers `([^`]+)`", tutorial)
    assert promised
    assert [line for line in promised if line not in done.stdout] == []
    website = tmp_path / "try-opssight/git/website.git"
    listed = ["git", "-C", str(website), "ls-tree", "-r", "--name-only", "main"]
    assert (
        subprocess.run(listed, capture_output=True, text=True, check=True).stdout == "handbook/welcome.md\n"
    )
    assert "2 repositories imported from Try it." in done.stdout

"""The deployment files name commands, settings and files that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from django.core.management import get_commands

from opssight.core.env import SETTINGS

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
FILES = [path for path in sorted(DEPLOY.rglob("*")) if path.is_file()]


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_a_unit_starts_commands_that_exist(unit: Path) -> None:
    lines = [line for line in unit.read_text().splitlines() if line.startswith("ExecStart=")]
    commands = [re.fullmatch(r"ExecStart=/opt/opssight/\.venv/bin/opssight (\w+).*", line) for line in lines]

    assert commands
    assert all(command is not None and command[1] in get_commands() for command in commands)


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_a_unit_needs_units_that_exist(unit: Path) -> None:
    needed = re.findall(r"^(?:Requires|After)=.*?(opssight-\w+\.service)", unit.read_text(), re.MULTILINE)

    assert set(needed) <= {path.name for path in UNITS}


def test_the_units_are_confined_alike() -> None:
    confinements = {
        unit.read_text().partition("User=opssight")[2].partition("[Install]")[0].strip() for unit in UNITS
    }

    assert len(confinements) == 1
    assert "ProtectSystem=strict" in confinements.pop()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_only_settings_that_exist_are_named(path: Path) -> None:
    named = set(re.findall(r"\bOPSSIGHT_\w+", path.read_text()))

    known = {setting.name for setting in SETTINGS}
    assert {name for name in named if name not in known and name.removesuffix("_FILE") not in known} == set()


def test_the_services_of_compose_run_commands_that_exist() -> None:
    compose = yaml.safe_load((DEPLOY / "container/compose.yaml").read_text())
    ours = {name: service for name, service in compose["services"].items() if name != "database"}

    assert set(ours) == {"prepare", "web", "worker"}
    for service in ours.values():
        commands = re.findall(r"\bopssight (\w+)", service["command"])
        assert commands
        assert set(commands) <= set(get_commands())
        assert (DEPLOY / "container" / service["build"]["context"] / service["build"]["dockerfile"]).is_file()


def test_the_image_copies_what_exists() -> None:
    containerfile = (DEPLOY / "container/Containerfile").read_text()

    copied = [
        word for line in re.findall(r"^COPY (.*)", containerfile, re.MULTILINE) for word in line.split()[:-1]
    ]
    assert {"opssight", "repos", "syncs", "templates", "static", "requirements"} <= set(copied)
    assert all((ROOT / name).exists() for name in copied)

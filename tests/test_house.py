"""The house keeps its own rules: every room has its place, the scan finds what it should, the locks fit."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests import scan

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("opssight", "repos", "syncs")


def rooms() -> set[str]:
    """Every second-level module: `opssight.core`, `repos.access`, …"""
    found = set()
    for package in PACKAGES:
        for path in (ROOT / package).iterdir():
            is_module = path.suffix == ".py" and path.name != "__init__.py"
            if is_module or (path / "__init__.py").exists():
                found.add(f"{package}.{path.stem}")
    return found


def contracts() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(delimiters=("=",))
    parser.read(ROOT / ".importlinter")
    return parser


def listed(contract: str, option: str) -> set[str]:
    return set(re.findall(r"[\w.]+", contracts()[f"importlinter:contract:{contract}"][option]))


def test_every_room_has_its_place_in_the_import_rule() -> None:
    assert rooms() - listed("rooms", "layers") == set()


def test_every_provider_is_listed_as_independent() -> None:
    folders = {
        f"repos.providers.{path.parent.name}" for path in (ROOT / "repos/providers").glob("*/__init__.py")
    }
    assert folders
    assert folders == listed("providers", "modules")


def test_a_planted_import_upward_is_found(tmp_path: Path) -> None:
    for package in PACKAGES:
        copy_python(ROOT / package, tmp_path / package)
    (tmp_path / ".importlinter").write_text((ROOT / ".importlinter").read_text())
    assert lint_imports(tmp_path).returncode == 0

    clock = tmp_path / "opssight/core/clock.py"
    clock.write_text(clock.read_text() + "\nimport syncs.engine.queue\n")

    done = lint_imports(tmp_path)
    assert done.returncode == 1
    assert "opssight.core.clock -> syncs.engine.queue" in done.stdout


def copy_python(source: Path, target: Path) -> None:
    for path in source.rglob("*.py"):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=folder,
        env={"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("path", "text", "what"),
    [
        ("a.py", "token = '" + "ghp_" + "Zq8LmN2vRtYw5KpXs3Bd'", "a token"),
        ("a.py", "\n\n'" + "AKIA" + "Q7ZPL2MNR5TW8XYV'", "a token"),
        ("a.md", "-----BEGIN " + "PRIVATE KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0BAQ" * 10, "a private key"),
        ("a.md", "see files.python" + "hosted.org/x", "a package index"),
        ("a.toml", "path = '/ro" + "ot/project'", "a path of one machine"),
        ("requirements/x.lock", "a @ https:" + "//example.org/a.whl", "a download address"),
    ],
)
def test_the_scan_finds_what_may_not_be_tracked(path: str, text: str, what: str) -> None:
    line = text.count("\n", 0, len(text) - len(text.lstrip())) + 1
    assert list(scan.findings(path, text)) == [f"{path}:{line}: {what}"]


def test_the_scan_leaves_made_up_tokens_alone() -> None:
    assert list(scan.findings("a.py", "'" + "ghp_" + "canary0123456789abcdef'")) == []


@pytest.mark.parametrize(("lock", "group"), [("base", None), ("dev", "dev")])
def test_each_lock_holds_each_dependency_with_hashes(lock: str, group: str | None) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = list(project["project"]["dependencies"])
    if group is not None:
        wanted += project["dependency-groups"][group]
    text = (ROOT / "requirements" / f"{lock}.lock").read_text()
    locked = set(re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==", text, re.MULTILINE))

    names = {re.split(r"[\[<>=;]", requirement)[0].lower() for requirement in wanted}

    assert names - locked == set()
    assert all("--hash=sha256:" in entry for entry in re.split(r"^(?=[\w])", text, flags=re.MULTILINE)[1:])


@pytest.fixture
def bare_machine(tmp_path: Path) -> Path:
    """A checkout's `requirements` beside a `bin` with no more than the installation script needs."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "dirname", "cat", "rm", "git"):
        found = shutil.which(name)
        assert found is not None
        (programs / name).symlink_to(found)
    (tmp_path / "requirements").mkdir()
    shutil.copy(ROOT / "requirements/install", tmp_path / "requirements")
    return tmp_path


def program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def install(machine: Path) -> tuple[int, str]:
    done = subprocess.run(
        [machine / "requirements/install", "base"],
        env={"PATH": str(machine / "bin")},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


def test_installing_without_git_says_so(bare_machine: Path) -> None:
    (bare_machine / "bin/git").unlink()

    assert install(bare_machine) == (2, "OpsSight needs git. Install it (Debian: apt install git).\n")


def test_installing_without_a_new_enough_python_says_so(bare_machine: Path) -> None:
    program(bare_machine / "bin/python3", "exit 1")

    status, said = install(bare_machine)

    assert status == 2
    assert said.startswith("OpsSight needs Python 3.11 or newer. Install it")
    assert said.count("\n") == 1


def test_installing_without_venv_names_its_package(bare_machine: Path) -> None:
    program(bare_machine / "bin/python3.11", 'case "$2" in *ensurepip*) exit 1;; esac')

    status, said = install(bare_machine)

    assert status == 2
    assert said.startswith("python3.11 cannot make virtual environments here. Install its venv package")


def test_installing_without_an_index_says_so(bare_machine: Path) -> None:
    program(bare_machine / "bin/python3", f'exec {sys.executable} "$@"')
    (bare_machine / "requirements/base.lock").write_text(f"opssight-nowhere==1 --hash=sha256:{'0' * 64}\n")
    program(bare_machine / "bin/uv", "exit 1")  # found, but not usable

    status, said = install(bare_machine)

    assert status == 2
    assert said.endswith("A package index must be reachable with pip.\n")

"""The runner counts what happened and fails when it should."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import run
from tests.run import Part, Total

pytest_plugins = ["pytester"]

TESTS = """
import pytest

def test_passes(): pass
def test_fails(): assert False
@pytest.fixture
def broken(): raise OSError
def test_errs(broken): pass
@pytest.fixture
def untidy():
    yield
    raise OSError
def test_passes_and_errs(untidy): pass
@pytest.mark.skip
def test_skipped(): pass
@pytest.mark.browser
@pytest.mark.skip
def test_needs_a_browser(): pass
@pytest.mark.xfail
def test_known(): assert False
"""


@pytest.fixture
def totals(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", str(run.ROOT))
    pytester.makeconftest("from tests.conftest import Totals, pytest_addoption, pytest_configure")
    return pytester.path / "totals.json"


@pytest.mark.parametrize("processes", ["0", "2"])
def test_each_test_counts_once(pytester: pytest.Pytester, totals: Path, processes: str) -> None:
    pytester.makepyfile(TESTS)

    pytester.runpytest_subprocess(f"--totals={totals}", "-n", processes, "-p", "no:django")

    counted = json.loads(totals.read_text())
    assert (counted["passed"], counted["failed"], counted["skipped"]) == (1, 3, 3)
    assert [name.partition("::")[2] for name in counted["skipped_required"]] == ["test_needs_a_browser"]


def test_what_the_machine_lacks_is_skipped_and_said(
    pytester: pytest.Pytester, totals: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = "Totals, pytest_addoption, pytest_collection_modifyitems, pytest_configure"
    pytester.makeconftest(f"from tests.conftest import {hooks}")
    pytester.makepyfile("import pytest\n@pytest.mark.ssh\ndef test_key(): pass\ndef test_other(): pass")
    monkeypatch.setenv("PATH", "")

    ended = pytester.runpytest_subprocess(f"--totals={totals}", "-rs", "-p", "no:django")

    ended.stdout.fnmatch_lines(["*no OpenSSH here: apt-get install openssh-client"])
    counted = json.loads(totals.read_text())
    assert (counted["passed"], counted["skipped"]) == (1, 1)
    assert [name.partition("::")[2] for name in counted["skipped_required"]] == ["test_key"]


def test_a_file_that_cannot_be_read_counts_as_failed(pytester: pytest.Pytester, totals: Path) -> None:
    pytester.makepyfile("import nowhere_to_be_found")

    pytester.runpytest_subprocess(f"--totals={totals}", "-p", "no:django")

    assert json.loads(totals.read_text())["failed"] == 1


def test_parts_are_added_up(tmp_path: Path) -> None:
    total = Total()
    for name, counted in {
        "one": {"passed": 3, "failed": 0, "skipped": 1, "skipped_required": ["test_page"]},
        "two": {"passed": 2, "failed": 1, "skipped": 0, "skipped_required": []},
    }.items():
        path = tmp_path / name
        path.write_text(json.dumps(counted))
        total.add(name, 1 if counted["failed"] else 0, path)

    assert str(total) == "5 passed, 1 failed, 1 skipped"
    assert total.skipped_required == ["test_page"]


@pytest.mark.parametrize(("status", "failed"), [(0, 0), (5, 0), (2, 1), (3, 1), (-9, 1)])
def test_a_part_that_ended_without_counting_has_failed(tmp_path: Path, status: int, failed: int) -> None:
    total = Total()

    total.add("part", status, tmp_path / "nothing")

    assert total.failed == failed


def test_a_path_is_run_by_the_part_that_it_belongs_to() -> None:
    everything, chaos = Part("sqlite", "tests"), Part("chaos", "tests/chaos")

    assert everything.paths([]) == ["tests"]
    assert everything.paths(["tests/core", "tests/chaos/test_kills.py::test_one"]) == ["tests/core"]
    assert chaos.paths(["tests/core", "tests/chaos/test_kills.py::test_one"]) == [
        "tests/chaos/test_kills.py::test_one"
    ]


def test_critical_modules_must_be_covered_completely() -> None:
    full, almost = {"summary": {"percent_covered": 100.0}}, {"summary": {"percent_covered": 99.9}}
    files = {path: full for path in run.CRITICAL if "*" not in path}
    files["repos/providers/github/webhook.py"] = almost

    assert run._critical(files) == [
        "repos/providers/github/webhook.py is covered to 99.9 %; it must be 100 %."
    ]
    del files["syncs/copy/plan/plan.py"]
    assert "syncs/copy/plan/plan.py was not measured at all." in run._critical(files)


def test_every_critical_module_exists() -> None:
    assert [pattern for pattern in run.CRITICAL if not list(run.ROOT.glob(pattern))] == []

"""The whole suite: several pytest processes, one PostgreSQL, one coverage report, one total.

``python -m tests.run [pytest arguments]``. A path among the arguments limits the run to the parts that it
belongs to; then coverage is not judged. The last line is `N passed, N failed, N skipped`. Exit status 1
when a test or a coverage gate fails or, where CI is set, when a test that needs PostgreSQL, a browser or
git over HTTP was skipped.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.postgres import Postgres

ROOT = Path(__file__).resolve().parent.parent

OVERALL = 85
CRITICAL = (
    "opssight/core/crypto.py",
    "repos/providers/*/webhook.py",
    "repos/providers/signatures.py",
    "repos/receiving.py",
    "repos/sources.py",
    "syncs/copy/rules/matching.py",
    "syncs/copy/plan/plan.py",
    "syncs/copy/plan/planned.py",
    "syncs/copy/plan/wanted.py",
    "syncs/engine/claim.py",
    "syncs/engine/retry.py",
)
"""Modules where an untested branch costs data or lets somebody in: covered completely."""

OWN_PARTS = ("tests/e2e", "tests/chaos")
_SLOWEST = ("-q", "--durations=15", "--durations-min=3")  # said at the end of each part


@dataclasses.dataclass(frozen=True)
class Part:
    """One pytest process. `folder` is what it collects; `covered` says whether it is measured."""

    name: str
    folder: str
    options: tuple[str, ...] = ()
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)
    covered: bool = True

    def paths(self, asked: Sequence[str]) -> list[str]:
        """Which of the paths asked for belong to this part; without any asked for, its folder."""
        if not asked:
            return [self.folder]
        return [path for path in asked if _folder_of(path) == self.folder]


@dataclasses.dataclass
class Total:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    skipped_required: list[str] = dataclasses.field(default_factory=list)

    def add(self, name: str, status: int, path: Path) -> None:
        """Add what a part counted; a part that ended without counting has failed."""
        counted = json.loads(path.read_text()) if path.exists() else {}
        self.passed += counted.get("passed", 0)
        self.failed += counted.get("failed", 0)
        self.skipped += counted.get("skipped", 0)
        self.skipped_required += counted.get("skipped_required", [])
        if status not in (0, 5) and not counted.get("failed"):  # 5: nothing was collected
            self.failed += 1
            _say(f"{name}: pytest ended with status {status}")

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def main(arguments: Sequence[str]) -> int:
    asked = [argument for argument in arguments if (ROOT / argument.split("::")[0]).exists()]
    options = [argument for argument in arguments if argument not in asked]
    total = Total()
    sentences: list[str] = []
    with tempfile.TemporaryDirectory(prefix="opssight-suite-") as name, Postgres() as server:
        folder = Path(name)
        for parts in _parts(server.create_database("opssight_tests")):
            wanted = [part for part in parts if part.paths(asked) and (ROOT / part.folder).is_dir()]
            shown = None if len(wanted) < 2 else subprocess.PIPE
            with ThreadPoolExecutor(len(parts)) as pool:
                begun = [pool.submit(_run, part, options, asked, folder, total, shown) for part in wanted]
            for one in begun:
                one.result()
        if not arguments:
            sentences += _coverage(folder)
    if "CI" in os.environ:
        sentences += [f"{test} was skipped; in CI it may not be" for test in total.skipped_required]
    for sentence in sentences:
        _say(sentence)
    _say(str(total))
    return 1 if total.failed or sentences else 0


def _parts(postgres_url: str) -> list[list[Part]]:
    """One after the other, those of one list side by side: they wait more than they work."""
    three = ("-n", "3")  # some wait for processes and answers
    return [
        [Part("sqlite", "tests", three)],
        [
            Part(
                "postgresql",
                "tests",
                (*three, "--database-only"),
                {"OPSSIGHT_TEST_DATABASE_URL": postgres_url},
            )
        ],
        [
            # the browser's driver keeps an event loop in the thread of the test
            Part("browser", "tests/e2e", env={"DJANGO_ALLOW_ASYNC_UNSAFE": "1"}),
            Part("chaos", "tests/chaos", covered=False),  # what is killed writes no report
        ],
    ]


def _folder_of(path: str) -> str:
    own = [folder for folder in OWN_PARTS if (path + "/").startswith(folder + "/")]
    return own[0] if own else "tests"


def _run(
    part: Part, options: Sequence[str], asked: Sequence[str], folder: Path, total: Total, shown: int | None
) -> None:
    """`shown` None: as it goes. A pipe: when it ends, so that parts side by side stay readable."""
    started = time.monotonic()
    others = [other for other in OWN_PARTS if part.folder == "tests"]
    totals = folder / f"{part.name}.json"
    measure = ["-m", "coverage", "run"] if part.covered else []
    if shown is None:
        _say(f"\n=== {part.name} ===")
    done = subprocess.run(
        [sys.executable, *measure, "-m", "pytest", *_SLOWEST, f"--totals={totals}", *part.options]
        + [f"--ignore={other}" for other in others]
        + [*options, *part.paths(asked)],
        cwd=ROOT,
        env={**_environ(), "COVERAGE_FILE": str(folder / ".coverage"), **part.env},
        stdout=shown,
        stderr=subprocess.STDOUT if shown else None,
        text=True,
        errors="replace",
        check=False,
    )
    total.add(part.name, done.returncode, totals)
    told = f"\n=== {part.name} ===\n{done.stdout}" if shown else ""
    _say(f"{told}{part.name}: {time.monotonic() - started:.0f} s")


def _environ() -> dict[str, str]:
    """This environment without settings: a test run says the same everywhere."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(("OPSSIGHT_", "DJANGO_"))
    }


def _coverage(folder: Path) -> list[str]:
    """Print the report; the answer is a sentence for each gate that is not reached."""
    env = {**os.environ, "COVERAGE_FILE": str(folder / ".coverage")}

    def coverage(*arguments: str) -> str:
        command = [sys.executable, "-m", "coverage", *arguments]
        return subprocess.run(command, cwd=ROOT, env=env, text=True, capture_output=True, check=False).stdout

    coverage("combine", "--quiet")
    report = json.loads(coverage("json", "-q", "-o", "/dev/stdout"))
    (ROOT / ".coverage").write_bytes((folder / ".coverage").read_bytes())
    _say("\n=== branch coverage ===")
    _say(coverage("report", "--skip-covered", "--show-missing").rstrip())
    sentences = []
    if (overall := report["totals"]["percent_covered"]) < OVERALL:
        sentences.append(f"Branch coverage is {overall:.1f} %; it must be {OVERALL} % or more.")
    return sentences + _critical(report["files"])


def _critical(files: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[str]:
    sentences = []
    for pattern in CRITICAL:
        found = {path: files[path] for path in files if Path(path).match(pattern)}
        if not found:
            sentences.append(f"{pattern} was not measured at all.")
        sentences += [
            f"{path} is covered to {file['summary']['percent_covered']:.1f} %; it must be 100 %."
            for path, file in found.items()
            if file["summary"]["percent_covered"] < 100
        ]
    return sentences


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

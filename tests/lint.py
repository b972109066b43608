"""Everything that can be checked without running the product: ``python -m tests.lint [name …]``.

Prints a line for each check and what a failing one said. Exit status 1 when one failed, 2 for a name that
is not a check.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent

PRODUCTION = {
    "OPSSIGHT_MODE": "production",
    "OPSSIGHT_PUBLIC_URL": "https://opssight.example.org",
    "OPSSIGHT_DATABASE_URL": "postgresql://opssight@database.example.org/opssight",
}
"""An installation as it stands behind a reverse proxy, for Django's deployment checks."""


@dataclasses.dataclass(frozen=True)
class Check:
    name: str
    command: Sequence[str | Path]
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)


def checks() -> list[Check]:
    templates = _tracked("templates/*.html")
    opssight = (sys.executable, "-m", "opssight")
    deploy = ("check", "--deploy", "--fail-level", "WARNING")
    return [
        Check("format", [BIN / "ruff", "format", "--check", "--quiet", "."]),
        Check("ruff", [BIN / "ruff", "check", "--quiet", "."]),
        Check("types", [BIN / "mypy", "--no-error-summary"]),
        Check("imports", [BIN / "lint-imports", "--no-cache"], {"PYTHONPATH": str(ROOT)}),
        Check("templates", [BIN / "djlint", "--lint", "--quiet", *templates]),
        Check("template format", [BIN / "djade", "--check", "--target-version", "5.2", *templates]),
        Check("migrations", [*opssight, "makemigrations", "--check", "--dry-run"]),
        Check("deployment", [*opssight, *deploy], PRODUCTION),
        Check("secrets", [sys.executable, "-m", "tests.scan"]),
    ]


def main(names: Sequence[str]) -> int:
    known = checks()
    if unknown := set(names) - {check.name for check in known}:
        sys.stderr.write(f"{unknown.pop()} is not a check: {', '.join(check.name for check in known)}\n")
        return 2
    asked = [check for check in known if not names or check.name in names]
    with tempfile.TemporaryDirectory(prefix="opssight-lint-") as data:
        failed = [check.name for check in asked if not _passes(check, data)]
    sys.stdout.write(f"{', '.join(failed)} failed\n" if failed else "all checks passed\n")
    return 1 if failed else 0


def _passes(check: Check, data: str) -> bool:
    started = time.monotonic()
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("OPSSIGHT_", "DJANGO_"))
    }
    done = subprocess.run(
        [str(part) for part in check.command],
        cwd=ROOT,
        env={**clean, "OPSSIGHT_DATA": data, **check.env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    passed = done.returncode == 0
    sys.stdout.write(f"{'ok  ' if passed else 'FAIL'} {check.name} ({time.monotonic() - started:.1f} s)\n")
    if not passed:
        sys.stdout.write(done.stdout)
    sys.stdout.flush()
    return passed


def _tracked(pattern: str) -> list[str]:
    done = subprocess.run(["git", "ls-files", pattern], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.split("\n")[:-1]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

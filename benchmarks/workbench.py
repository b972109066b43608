"""Typing in the copy workbench over 20,000 files: how long a keystroke takes from request to answer.

A new installation in a temporary folder, a source of 20,000 files, one target with half of them, and a
form that is sent again after each letter: of a pattern that narrows, and of patterns that take all files.
Each request is asked three times, never answered from what was planned before, and counts with its
fastest time. Prints median and slowest of both, and the size of an answer. Exit 1 when a claim does not
hold: medians at most 300 ms, and never more than 1,000 rows of files.

    python -m benchmarks.workbench [--files 20000] [--targets 1]
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

CLAIM_MS, CLAIM_ROWS = 300.0, 1_000
TYPED = "docs/section-1*/**"  # every letter of it is one request
ALL = ("**", "docs/**", "**/*.md", "docs/*/**", "docs/s*/**", "docs/se*/**", "docs/sec*/**")


def make_repository(folder: Path, paths: list[str]) -> None:
    folder.mkdir(parents=True)
    git = ["git", "-C", str(folder)]
    subprocess.run([*git, "init", "--quiet", "--bare", "--initial-branch=main"], check=True)
    lines = ["commit refs/heads/main", "committer B <b@example.org> now", "data 1", "c"]
    for path in paths:
        lines += [f"M 100644 inline {path}", f"data {len(path)}", path]
    text = "\n".join(lines).encode() + b"\n"
    subprocess.run([*git, "fast-import", "--quiet", "--date-format=now"], input=text, check=True)


def prepare(data: Path, files: int, targets: int) -> None:
    """An installation of its own with both repositories, before Django is loaded."""
    os.environ["OPSSIGHT_DATA"] = str(data)
    os.environ["DJANGO_SETTINGS_MODULE"] = "opssight.settings"
    paths = [f"docs/section-{n // 500:02d}/part-{n // 50:03d}/page-{n:05d}.md" for n in range(files)]
    make_repository(data / "served" / "source", paths)
    for number in range(targets):
        make_repository(data / "served" / f"target-{number}", paths[::2])


def connect(data: Path) -> Any:
    """A signed-in client, with everything imported."""
    import django

    django.setup()
    from django.test import Client

    from opssight.accounts.local import local_principal, local_team
    from opssight.setup import make_administrator, prepare_database
    from repos.connections import create_connection
    from repos.inventory import import_repositories

    prepare_database()
    make_administrator()
    team = local_team()
    who = local_principal(team)
    served = {"root": str(data / "served")}
    connection = create_connection(who, team, "folder", "served", served, {}, local=True)
    import_repositories(who, connection)
    client = Client(headers={"host": "localhost"})
    client.force_login(who.user)
    return client


_numbers = itertools.count()


def ask(client: Any, pattern: str, targets: int) -> tuple[float, str]:
    """Milliseconds of one request, and the answer; the form is always a new one."""
    form = {
        "name": "b", "source": "source", "branch": "main", "match": "first",
        "type": ["glob"], "pattern": [pattern], "template": ["copied/${relative_path}"],
        "exclude": [f"**/page-*7.md\nnone-{next(_numbers)}"], "exclude_syntax": ["glob"],
        "target": [f"target-{n}" for n in range(targets)], "target_branch": ["main"] * targets,
    }  # fmt: skip
    started = time.perf_counter()
    answer = client.post("/copy/new/preview/", form, headers={"HX-Request": "true"})
    taken = (time.perf_counter() - started) * 1_000
    assert answer.status_code == 200, answer.status_code
    return taken, answer.content.decode()


def fastest(client: Any, pattern: str, targets: int) -> tuple[float, str]:
    return min(ask(client, pattern, targets) for _ in range(3))


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--files", type=int, default=20_000)
    options.add_argument("--targets", type=int, default=1)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-workbench-") as name:
        data = Path(name)
        prepare(data, asked.files, asked.targets)
        client = connect(data)
        ends = time.monotonic() + 60
        while "Fetching" in ask(client, "docs/**", asked.targets)[1]:
            assert time.monotonic() < ends, "the repositories were not fetched within a minute"
            time.sleep(0.2)
        letters = [TYPED[:length] for length in range(1, len(TYPED) + 1)]
        typed = [fastest(client, pattern, asked.targets) for pattern in letters]
        whole = [fastest(client, pattern, asked.targets) for pattern in ALL]
    print(f"{asked.files:,} files, targets: {asked.targets}")
    return report({"typing a pattern": typed, "all files match": whole})


def report(measured: dict[str, list[tuple[float, str]]]) -> int:
    answers = [answer for group in measured.values() for answer in group]
    rows = max(text.count('class="row ') + text.count('class="row"') for _, text in answers)
    largest = max(len(text) for _, text in answers)
    held = rows <= CLAIM_ROWS
    for name, group in measured.items():
        times = [taken for taken, _ in group]
        middle = statistics.median(times)
        held = held and middle <= CLAIM_MS
        print(f"{name}: median {middle:.0f} ms, slowest {max(times):.0f} ms ({len(times)} requests)")
    print(f"largest answer {largest / 1_000:.0f} KB with {rows} rows of files")
    print("claims hold" if held else "claims do NOT hold")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())

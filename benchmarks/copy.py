"""Copying 1,000 changed files of 20,000: OpsSight against a clone, `git add -A`, commit and push.

Both sides talk to the same git http-backend on loopback, in one run, turn by turn. Prints the
median of five rounds for each, the ratios, and how often the server was asked. Exit 1 when a claim
does not hold: warm at least 8 times faster, cold at least 4, at most one fetch and one push.

    python -m benchmarks.copy [--rounds 5] [--files 20000] [--changed 1000]
"""

from __future__ import annotations

import argparse
import datetime as dt
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from pathlib import Path

from repos.git.remote import Remote
from repos.git.runner import Git
from repos.git.store import Stores
from syncs.copy.rules.config import Flow
from syncs.copy.rules.rule import Rule
from syncs.copy.transfer.planning import FilePlanner, Place
from syncs.copy.transfer.transfer import Author, Copier, End, Message, open_source
from tests.forges.githttp import GitServer

WARM, COLD = 8.0, 4.0  # the claims


class Counting:
    """Steps that only count."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def checkpoint(self, name: str) -> None:
        """No lease here."""

    def log(self, step: str, message: str, level: str = "info") -> None:
        """Nobody reads."""

    def count(self, what: str, n: int = 1) -> None:
        self.counts[what] += n


def git(*arguments: str, cwd: Path, data: bytes | None = None) -> str:
    done = subprocess.run(["git", *arguments], cwd=cwd, input=data, capture_output=True, check=True)
    return done.stdout.decode()


def commit(folder: Path, numbers: range, text: str, *, first: bool) -> None:
    """One commit on main of a bare repository that (re)writes the files of these numbers."""
    lines = [b"commit refs/heads/main", b"committer B <b@example.org> now", b"data 1", b"c"]
    lines += [] if first else [b"from refs/heads/main^0"]
    for n in numbers:
        body = (f"{text} {n}\n" * 40).encode()
        path = f"docs/{n // 50:03d}/page-{n:05d}.md".encode()
        lines += [b"M 100644 inline " + path, b"data %d" % len(body), body]
    git("fast-import", "--quiet", "--date-format=now", cwd=folder, data=b"\n".join(lines) + b"\n")


class Ours:
    """OpsSight's own transfer with its stores in a folder."""

    def __init__(self, folder: Path, server: GitServer) -> None:
        self.folder = folder
        self.server = server

    def forget(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def copy(self, base: str, target: str) -> Counter[str]:
        stores = Stores(self.folder, Git(self.folder / "home"), quota_bytes=10**10)
        steps = Counting()
        ends = [
            End(
                name,
                "main",
                Remote.from_url(self.server.url_of(name)),
                stores.store(uuid.uuid5(uuid.NAMESPACE_URL, name)),
            )
            for name in ("source.git", target)
        ]
        source = open_source(ends[0], steps)
        flow = Flow(
            "b", "source.git", "main", (Rule("glob", "docs/**", "docs/${relative_path}"),), target, "main"
        )
        copier = Copier(stores, steps, Author("B", "b@example.org", dt.datetime.now(dt.UTC)))
        planner = FilePlanner((flow,), base, Place(target, "main"))
        copied = copier.copy(source, planner, ends[1], Message((flow,), source.head, uuid.uuid4().hex))
        assert copied.commit, "nothing was copied"
        return steps.counts

    def warm_up(self, target: str) -> None:
        """Both stores as they are after an earlier run."""
        stores = Stores(self.folder, Git(self.folder / "home"), quota_bytes=10**10)
        for name, partial in (("source.git", False), (target, True)):
            store = stores.store(uuid.uuid5(uuid.NAMESPACE_URL, name))
            store.fetch(
                Remote.from_url(self.server.url_of(name)),
                ["+refs/heads/main:refs/heads/main"],
                partial=partial,
            )


def theirs(server: GitServer, target: str, folder: Path) -> None:
    """What a script does: clone both at depth 1, copy the files over, add, commit, push."""
    for name, place in (("source.git", "a"), (target, "b")):
        git("clone", "--quiet", "--depth=1", server.url_of(name), place, cwd=folder)
    shutil.copytree(folder / "a" / "docs", folder / "b" / "docs", dirs_exist_ok=True)
    git("add", "-A", cwd=folder / "b")
    who = ["-c", "user.name=B", "-c", "user.email=b@example.org"]
    git(*who, "commit", "--quiet", "-m", "copy", cwd=folder / "b")
    git("push", "--quiet", "origin", "main", cwd=folder / "b")


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--files", type=int, default=20_000)
    options.add_argument("--changed", type=int, default=1_000)
    asked = options.parse_args()
    times: dict[str, list[float]] = {"warm": [], "cold": [], "clone": []}
    most: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="bench-copy-") as name:
        root = Path(name)
        served = root / "served"
        served.mkdir()
        with GitServer(served) as server:
            server.create("source.git")
            commit(served / "source.git", range(asked.files), "first", first=True)
            base = git("rev-parse", "main", cwd=served / "source.git").strip()
            shutil.copytree(served / "source.git", served / "before.git")
            ours = Ours(root / "stores", server)
            for number in range(asked.rounds):
                for kind in times:
                    fresh(served, base, f"target-{kind}.git")
                ours.forget()
                ours.warm_up("target-warm.git")
                commit(served / "source.git", range(asked.changed), f"round {number}", first=False)
                for kind in times:
                    took = measure(kind, ours, server, base, root)
                    times[kind].append(took)
                    if kind == "warm":
                        most = Counter({"fetches": server.fetches, "pushes": server.pushes}) | most
                trees = {git("rev-parse", "main^{tree}", cwd=served / f"target-{kind}.git") for kind in times}
                assert len(trees) == 1, "the ways disagree about the result"
                base = git("rev-parse", "main", cwd=served / "source.git").strip()
    return report(times, most, asked)


def fresh(served: Path, base: str, name: str) -> None:
    """A target that holds what the source held before this round's change."""
    shutil.rmtree(served / name, ignore_errors=True)
    shutil.copytree(served / "source.git", served / name)
    git("update-ref", "refs/heads/main", base, cwd=served / name)


def measure(kind: str, ours: Ours, server: GitServer, base: str, root: Path) -> float:
    """Seconds for one way; `server` counts anew."""
    server.looks = server.fetches = server.pushes = 0
    target = f"target-{kind}.git"
    if kind == "cold":
        ours.forget()
    with tempfile.TemporaryDirectory(dir=root) as folder:
        started = time.perf_counter()
        if kind == "clone":
            theirs(server, target, Path(folder))
        else:
            ours.copy(base, target)
        return time.perf_counter() - started


def report(times: dict[str, list[float]], most: Counter[str], asked: argparse.Namespace) -> int:
    middle = {kind: statistics.median(values) for kind, values in times.items()}
    print(f"{asked.changed:,} changed files of {asked.files:,}, median of {asked.rounds}")
    for kind, label in (
        ("warm", "OpsSight, warm store"),
        ("cold", "OpsSight, cold store"),
        ("clone", "clone, add -A, push"),
    ):
        spread = f"{min(times[kind]):.2f}–{max(times[kind]):.2f}"
        print(
            f"{label:22} {middle[kind]:7.2f} s  ({spread})  "
            f"{middle['clone'] / middle[kind]:5.1f} times faster"
        )
    print(f"requests of a warm copy: {most['fetches']} fetch, {most['pushes']} push")
    held = [
        middle["clone"] / middle["warm"] >= WARM,
        middle["clone"] / middle["cold"] >= COLD,
        most["fetches"] <= 1 and most["pushes"] <= 1,
    ]
    print("claims hold" if all(held) else f"claims do NOT hold (warm, cold, requests: {held})")
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())

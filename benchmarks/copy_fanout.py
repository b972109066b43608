"""1,000 changed files of 20,000 to 20 targets, in pull requests: requests to the API, seconds, and the ratio
to the way of a script, which clones each target, copies the files over, adds, commits and pushes.

A whole installation (a worker, SQLite, real git over HTTP) beside a stand-in of GitHub that serves both; a
script does three of the targets in the same run. Prints opening the pull requests, bringing them up to date,
and a run without a change. Exit 1 when a claim does not hold: at most 60 requests to the API for each
run, none that writes without a change, and at least 4 times faster for each target.

    python -m benchmarks.copy_fanout [--targets 20] [--files 20000] [--changed 1000] [--by-script 3]
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from benchmarks.copy import commit, git
from tests.chaos.world import at_github, wait_for_run
from tests.forges.github import GitHubStandIn
from tests.instance import Instance

REQUESTS, TIMES = 60, 4.0  # the claims
TOKEN = "ghp_canary0123456789abcdef"  # noqa: S105 - of the stand-in
_MAKE = """
targets = [Target(found[name], "main") for name in sorted(found) if name != "acme/source"]
options = Options(strategy="pull_request", pull_request=PullRequest(labels=("docs",)))
job, run = create_rule(who, team, CopyConfig(
    name="fan out", source_repository=found["acme/source"], source_branch="main",
    rules=(Rule("glob", "docs/**", "docs/${relative_path}"),), targets=tuple(targets), options=options,
))
Job.objects.update(poll_seconds=None, next_poll_at=None)
print(json.dumps({"job": str(job.pk), "run": str(run.pk)}))
"""


@dataclass(frozen=True)
class Measured:
    """One run: how many requests of each method the API got, and the seconds between start and end."""

    requests: Counter[str]
    seconds: float

    def line(self, label: str, targets: int) -> str:
        words = ", ".join(f"{count} {method}" for method, count in sorted(self.requests.items())) or "none"
        return (
            f"{label:24} {self.seconds:6.1f} s, {self.seconds / targets:5.2f} s a target; "
            f"requests to the API: {self.requests.total()} ({words})"
        )


class Fan:
    def __init__(self, instance: Instance, forge: GitHubStandIn, job: str) -> None:
        self.instance = instance
        self.forge = forge
        self.job = job

    def run(self) -> Measured:
        self.forge.asked.clear()
        run = self.instance.json("run", "start", self.job)["id"]
        document = wait_for_run(self.instance, run, 900)
        assert document["state"] == "succeeded", document
        started, ended = (dt.datetime.fromisoformat(document[key]) for key in ("started_at", "finished_at"))
        methods = Counter(one.method for one in self.forge.asked)
        return Measured(methods, (ended - started).total_seconds())


def by_script(forge: GitHubStandIn, names: list[str], folder: Path) -> list[float]:
    """Seconds for each of the targets; the clone of the source, which all of them share, is not counted."""
    access = forge.url.replace("://", f"://x-access-token:{TOKEN}@")
    git("clone", "--quiet", "--depth=1", f"{access}/acme/source.git", "source", cwd=folder)
    times = []
    for name in names:
        started = time.perf_counter()
        git("clone", "--quiet", "--depth=1", f"{access}/{name}.git", "target", cwd=folder)
        target = folder / "target"
        shutil.copytree(folder / "source" / "docs", target / "docs", dirs_exist_ok=True)
        git("add", "-A", cwd=target)
        who = ["-c", "user.name=B", "-c", "user.email=b@example.org"]
        git(*who, "commit", "--quiet", "-m", "copy", cwd=target)
        git("push", "--quiet", "origin", "HEAD:refs/heads/script", cwd=target)
        times.append(time.perf_counter() - started)
        shutil.rmtree(target)
    return times


def made(forge: GitHubStandIn, targets: int, files: int) -> list[str]:
    """`acme/source` and the targets, all with the same files."""
    source = forge.add_repository("acme/source")
    place = forge.bare(source).path
    commit(place, range(files), "first", first=True)
    names = [f"acme/target-{number:02}" for number in range(targets)]
    for name in names:
        shutil.copytree(place, forge.root / f"{name}.git")
        forge.add_repository(name)
    return names


def rest(instance: Instance) -> None:
    """Until nothing else is at work: after an import the connection is looked at, which asks the API too."""
    ends = time.monotonic() + 120
    while instance.rows("SELECT 1 FROM syncs_run WHERE state IN ('queued', 'running')"):
        assert time.monotonic() < ends, instance.json("run", "list")
        time.sleep(0.5)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--targets", type=int, default=20)
    options.add_argument("--files", type=int, default=20_000)
    options.add_argument("--changed", type=int, default=1_000)
    options.add_argument("--by-script", type=int, default=3)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-fanout-") as name:
        root = Path(name)
        with GitHubStandIn(root / "forge") as forge, Instance(root / "installation") as instance:
            forge.add_token(TOKEN, "ana", scopes=["repo"])
            names = made(forge, asked.targets, asked.files)
            instance.prepare()
            code = at_github(forge, TOKEN) + _MAKE
            rule = json.loads(instance.python(code))
            instance.start("worker")
            assert wait_for_run(instance, rule["run"], 300)["state"] == "succeeded"
            rest(instance)
            source = forge.root / "acme" / "source.git"
            fan = Fan(instance, forge, rule["job"])
            commit(source, range(asked.changed), "round 1", first=False)
            opened = fan.run()
            commit(source, range(asked.changed), "round 2", first=False)
            updated = fan.run()
            nothing = fan.run()
            check(forge, names, asked.changed)
            (root / "script").mkdir()
            script = by_script(forge, names[: asked.by_script], root / "script")
    return report(asked, opened, updated, nothing, statistics.median(script))


def check(forge: GitHubStandIn, names: list[str], changed: int) -> None:
    """Every target has one open pull request with exactly the files that changed, as at the source."""
    source = forge.root / "acme" / "source.git"
    wanted = git("rev-parse", "main^{tree}", cwd=source)
    for name in names:
        repo = forge.named(name)
        assert repo is not None
        [pull] = repo.pulls.values()
        place = forge.bare(repo).path
        assert git("rev-parse", f"{pull['head']}^{{tree}}", cwd=place) == wanted
        paths = git("diff", "--name-only", "main", pull["head"], cwd=place).splitlines()
        assert (pull["state"], len(paths)) == ("open", changed)


def report(
    asked: argparse.Namespace, opened: Measured, updated: Measured, nothing: Measured, script: float
) -> int:
    print(f"{asked.changed:,} changed files of {asked.files:,} to {asked.targets} targets")
    for label, one in (("opened", opened), ("brought up to date", updated), ("without a change", nothing)):
        print(one.line(label, asked.targets))
    each = [one.seconds / asked.targets for one in (opened, updated)]
    print(
        f"by a script             {script:6.2f} s a target, median of {asked.by_script}: "
        f"{script / each[0]:.1f} times as long as opening, {script / each[1]:.1f} as bringing up to date"
    )
    held = [
        all(one.requests.total() <= REQUESTS for one in (opened, updated, nothing)),
        set(nothing.requests) <= {"GET"},
        min(script / one for one in each) >= TIMES,
    ]
    print("claims hold" if all(held) else f"claims do NOT hold (requests, quiet, times: {held})")
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())

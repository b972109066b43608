"""Listing 5,000 repositories of one GitHub account: OpsSight against PyGithub.

Both ask the same stand-in of GitHub, which runs in a process of its own and takes 150 ms for each answer,
in one run, turn by turn, for pages of a hundred; PyGithub's pauses between requests are off. Prints the
median of three rounds for each, the ratio, and what a second listing costs of GitHub's primary limit.
Exit 1 when a claim does not hold: at least 5 times faster, and nothing for the second listing.

    python -m benchmarks.discovery [--rounds 3] [--repositories 5000] [--latency 150]
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import github

from opssight.core.outbound import AllowedTarget, Policy
from opssight.core.outbound_http import client
from repos.git.runner import Git
from repos.providers.github.provider import GitHubProvider
from repos.providers.http import Wire
from repos.providers.types import Context
from repos.providers.wire import Stored
from tests.forges.github import GitHubStandIn

TIMES, COST = 5.0, 0  # the claims
TOKEN = "ghp_canary0123456789abcdef"  # noqa: S105 - of the stand-in


class Memory:
    """ETags in a dictionary."""

    def __init__(self) -> None:
        self.stored: dict[str, Stored] = {}

    def get_many(self, urls: Sequence[str]) -> dict[str, Stored]:
        return {url: self.stored[url] for url in urls if url in self.stored}

    def put(self, url: str, stored: Stored) -> None:
        self.stored[url] = stored


def serve(folder: Path, repositories: int, latency_ms: int, line: Connection) -> None:
    """The stand-in: tells its address, then what is left of the limit each time it is asked."""
    with GitHubStandIn(folder) as forge:
        forge.add_token(TOKEN, "ana", scopes=["repo"])
        forge.budget_limit = forge.budget_left["core"] = 1_000_000
        forge.latency = latency_ms / 1_000
        for number in range(repositories):
            forge.add_repository(f"acme/service-{number:05}", description="One of many.", on_disk=False)
        line.send(forge.url)
        while line.recv():
            line.send(forge.budget_left["core"])


class Server:
    def __init__(self, line: Connection) -> None:
        self._line = line
        self.url: str = line.recv()

    def left(self) -> int:
        self._line.send(True)
        return int(self._line.recv())


@contextmanager
def running(folder: Path, repositories: int, latency_ms: int) -> Iterator[Server]:
    here, there = multiprocessing.Pipe()
    arguments = (folder, repositories, latency_ms, there)
    process = multiprocessing.get_context("spawn").Process(target=serve, args=arguments)
    process.start()
    there.close()  # so that a stand-in that ends is noticed
    try:
        yield Server(here)
    finally:
        here.send(False)
        process.join()


def ours(url: str, folder: Path, etags: Memory) -> list[str]:
    policy = Policy([AllowedTarget("127.0.0.1", "127.0.0.0/8")])
    wire = Wire(lambda base: client(policy, timeout=30, max_bytes=32_000_000, max_redirects=0), etags=etags)
    context = Context(git=Git(folder / "home"), vet=lambda remote: remote, wire=wire)
    provider = GitHubProvider({"url": url}, {"token": TOKEN}, context)
    return [found.full_name for found in provider.repositories()]


def theirs(url: str) -> list[str]:
    listing = github.Github(
        auth=github.Auth.Token(TOKEN),
        base_url=f"{url}/api/v3",
        per_page=100,
        seconds_between_requests=None,
        seconds_between_writes=None,
    )
    return [found.full_name for found in listing.get_user().get_repos(sort="created", direction="asc")]


def timed(listing: Callable[[], list[str]]) -> tuple[float, list[str]]:
    started = time.perf_counter()
    found = listing()
    return time.perf_counter() - started, found


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--repositories", type=int, default=5_000)
    options.add_argument("--latency", type=int, default=150, help="milliseconds of each answer")
    asked = options.parse_args()
    times: dict[str, list[float]] = {"first": [], "again": [], "pygithub": []}
    costs: list[int] = []
    with tempfile.TemporaryDirectory(prefix="bench-discovery-") as name:
        folder = Path(name)
        with running(folder / "served", asked.repositories, asked.latency) as server:
            for _ in range(asked.rounds):
                etags = Memory()
                first, found = timed(lambda: ours(server.url, folder, etags))  # noqa: B023 - called at once
                before = server.left()
                again, found_again = timed(lambda: ours(server.url, folder, etags))  # noqa: B023
                costs.append(before - server.left())
                pygithub, found_there = timed(lambda: theirs(server.url))
                assert found == found_again == found_there, "the ways disagree about the result"
                assert len(found) == asked.repositories
                for kind, taken in (("first", first), ("again", again), ("pygithub", pygithub)):
                    times[kind].append(taken)
    return report(times, max(costs), asked)


def report(times: dict[str, list[float]], cost: int, asked: argparse.Namespace) -> int:
    middle = {kind: statistics.median(taken) for kind, taken in times.items()}
    print(f"{asked.repositories:,} repositories, {asked.latency} ms a page, median of {asked.rounds}")
    for kind, label in (("first", "OpsSight"), ("again", "OpsSight, again"), ("pygithub", "PyGithub")):
        spread = f"{min(times[kind]):.2f}–{max(times[kind]):.2f}"
        ratio = middle["pygithub"] / middle[kind]
        print(f"{label:16} {middle[kind]:7.2f} s  ({spread})  {ratio:5.1f} times faster")
    print(f"a second listing costs {cost} of the primary limit")
    held = [middle["pygithub"] / middle["first"] >= TIMES, cost <= COST]
    print("claims hold" if all(held) else f"claims do NOT hold (times, cost: {held})")
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())

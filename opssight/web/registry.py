"""What rooms put on every page: lines of the navigation, the worker line, parts of the overview.

A room registers in its AppConfig's `ready()`; pages take what is there. So a new room shows up
without anybody above it being changed.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from opssight.accounts.models import Team
from opssight.accounts.scope import Principal
from opssight.web.parts import Action, Chain, Entry, Need, Protection, Step, WorkerLine

Counter = Callable[[Team], int]
Badge = Callable[[Principal, Team], int]


@dataclass(frozen=True)
class NavEntry:
    """A line of the sidebar. `match` are the first parts of the addresses at which it is current."""

    group: str  # "", "Jobs", "Setup", or "You": the menu of the user
    order: int
    label: str
    url_name: str
    icon: str
    match: tuple[str, ...]
    count: Counter | None = None
    badge: Badge | None = None
    short: str = ""


@dataclass(frozen=True)
class Proof:
    """The proud line when nothing needs anybody: only what was measured."""

    lead: str
    text: str
    url: str = ""


@dataclass(frozen=True)
class Target:
    """A repository that a job writes to, and how far it is. `state` is a key of STATES."""

    name: str
    url: str
    state: str
    word: str = ""


@dataclass(frozen=True)
class JobLine:
    """A job that a repository has to do with: `reads` from it, or writes to it.

    `heard` says in words how the job comes to know of a push.
    """

    kind: str
    name: str
    url: str
    state: str
    reads: bool
    word: str = ""
    heard: str = ""
    targets: Sequence[Target] = ()


@dataclass(frozen=True)
class NextStep:
    """Something one can do with the repositories one has just imported."""

    icon: str
    title: str
    text: str
    action: Action


NeedsOf = Callable[[Principal, Team], Sequence[Need]]
ProofOf = Callable[[Principal, Team], Proof | None]
StepsOf = Callable[[Principal, object], Sequence[Step]]
ChainsOf = Callable[[Principal, object], Sequence[Chain]]
ProtectionOf = Callable[[Principal, Team], Protection | None]
JobsOf = Callable[[Principal, object], Sequence[JobLine]]
EffectsOf = Callable[[Principal, Sequence[uuid.UUID]], Mapping[uuid.UUID, Sequence[Entry]]]
NextOf = Callable[[Principal, Team], Sequence[NextStep]]

nav_entries: list[NavEntry] = []
needs: list[NeedsOf] = []  # lines of the inbox, costliest first within each room
proofs: list[ProofOf] = []
repository_steps: list[StepsOf] = []  # the strip of a repository, given the Repository
repository_chains: list[ChainsOf] = []  # its timeline
repository_jobs: list[JobsOf] = []  # the jobs that read it or write to it
protections: list[ProtectionOf] = []  # how far the work of one kind of job is
delivery_effects: list[EffectsOf] = []  # what deliveries caused, by the delivery's id, oldest first
next_steps: list[NextOf] = []  # proposed once there are repositories
_worker_line: list[Callable[[], WorkerLine]] = []


def register_nav(*entries: NavEntry) -> None:
    nav_entries.extend(entries)
    nav_entries.sort(key=lambda entry: entry.order)


def register_worker_line(line: Callable[[], WorkerLine]) -> None:
    _worker_line[:] = [line]


def worker_line() -> WorkerLine | None:
    return _worker_line[0]() if _worker_line else None

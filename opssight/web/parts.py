"""What the components are given: small frozen shapes that views fill in and templates draw.

A text field takes plain text, or HTML made with ``format_html`` where a name is to stand out.
A ``state`` is a key of ``opssight.web.states.STATES``; an ``icon`` is an id in ``static/icons.svg``.
Times are aware datetimes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Tone = Literal["ok", "run", "warn", "bad", "hold", "none"]


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do: a link, or with ``method="post"`` a form of one button.

    ``dialog`` is the id of a dialog on the page to open instead of going anywhere.
    """

    label: str
    url: str = ""
    icon: str = ""
    kind: Literal["", "primary", "danger", "quiet"] = ""
    method: Literal["get", "post"] = "get"
    fields: Mapping[str, str] = field(default_factory=dict)
    dialog: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class NavItem:
    """A line of the sidebar. ``short`` is its name in the bottom bar of a phone."""

    label: str
    url: str
    icon: str
    count: int | None = None
    current: bool = False
    badge: int = 0
    short: str = ""


@dataclass(frozen=True, slots=True)
class NavGroup:
    label: str
    items: Sequence[NavItem]


@dataclass(frozen=True, slots=True)
class Crumb:
    label: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class TeamChoice:
    """A team one may work in; `team` is its id."""

    label: str
    team: str
    current: bool = False


@dataclass(frozen=True, slots=True)
class WorkerLine:
    """The foot of the sidebar. With no worker alive ``command`` is shown in a banner on every page."""

    alive: int
    queued: int
    command: str = "opssight worker"


@dataclass(frozen=True, slots=True)
class Choice:
    """One entry of tabs, of a segmented control, of a filter. ``state`` puts its shape in front."""

    label: str
    url: str
    current: bool = False
    count: int | None = None
    state: str = ""


@dataclass(frozen=True, slots=True)
class Need:
    """A line of the inbox: what happened, what is lost by waiting, the one thing to do."""

    state: str
    sentence: str
    harm: str
    detail: str
    action: Action
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Bar:
    """One run in a lane, ``planned`` when it is still to come."""

    start: datetime
    end: datetime
    state: str
    title: str
    url: str = ""
    planned: bool = False


@dataclass(frozen=True, slots=True)
class Lane:
    label: str
    bars: Sequence[Bar]


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a whole: ``count`` things in ``state``, said as ``word`` ("at HEAD")."""

    state: str
    count: int
    word: str = ""


@dataclass(frozen=True, slots=True)
class Protection:
    icon: str
    title: str
    headline: str
    shares: Sequence[Share]
    url: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a bar chart, as amounts per tone from the bottom up; empty means not collected."""

    amounts: Sequence[tuple[Tone, float]]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Trend:
    """A figure with its history. ``points`` draw a line (None: not collected), ``columns`` draw bars.

    ``provenance`` says source, window and completeness in one line.
    """

    title: str
    figure: str
    provenance: str
    points: Sequence[float | None] = ()
    columns: Sequence[Column] = ()
    change: str = ""
    change_tone: Tone | Literal[""] = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """``done`` of ``total`` in any unit (``total`` None: not known yet), and the same in words."""

    done: float
    total: float | None
    text: str
    label: str = "Progress"


@dataclass(frozen=True, slots=True)
class Meter:
    """What is left of ``total``, with a tick at what is kept back, and the same in words."""

    left: float
    total: float
    text: str
    kept: float = 0.0


@dataclass(frozen=True, slots=True)
class Step:
    """One cell of the strip. ``behind`` is commits behind HEAD (None: not known).

    ``sha`` replaces the state in the first cell (HEAD itself).
    """

    icon: str
    title: str
    text: str
    state: str = ""
    word: str = ""
    note: str = ""
    sha: str = ""
    at: datetime | None = None
    behind: int | None = None
    progress: Progress | None = None
    actions: Sequence[Action] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the timeline. Its mark is a ``state`` or an ``icon``; ``aside`` is for where no link is."""

    at: datetime
    text: str
    note: str = ""
    state: str = ""
    icon: str = ""
    link: Action | None = None
    aside: str = ""


@dataclass(frozen=True, slots=True)
class Chain:
    """A cause and its effects, oldest first. ``day`` is set on the first chain of a day."""

    entries: Sequence[Entry]
    day: str = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """``value`` is the answer to ``label``; with ``state`` it is shown as that state's word."""

    label: str
    value: str
    state: str = ""
    note: str = ""
    provider: str = ""
    link: Action | None = None


@dataclass(frozen=True, slots=True)
class FailureCard:
    """All failures of one class in a run, with the one action that mends them."""

    title: str
    text: str
    action: Action | None = None
    state: str = "failed"


@dataclass(frozen=True, slots=True)
class LogLine:
    at: datetime
    level: Literal["debug", "info", "warning", "error"]
    step: str
    text: str


@dataclass(frozen=True, slots=True)
class TreeNode:
    """A file or folder. ``load_url`` fetches the children of a closed folder when it is opened.

    ``mark`` is what a plan does to it; ``tag`` is the number of the rule that takes it; ``note`` stands at
    the right, ``action`` beside it. Inside a form a file may be a button that submits it with ``press``
    (name, value), and a folder is known to a script by its ``key`` and loaded by POST of the form.
    """

    name: str
    folder: bool = False
    children: Sequence[TreeNode] = ()
    open: bool = False
    load_url: str = ""
    url: str = ""
    title: str = ""
    mark: Literal["", "added", "changed", "removed"] = ""
    tag: str = ""
    note: str = ""
    lit: bool = False
    dim: bool = False
    current: bool = False
    action: Action | None = None
    press: tuple[str, str] | None = None
    key: str = ""


@dataclass(frozen=True, slots=True)
class DiffLine:
    """A line of a diff; ``parts`` are (text, changed within the line). ``hunk`` lines carry only text."""

    kind: Literal["same", "added", "removed", "hunk"]
    parts: Sequence[tuple[str, bool]]
    old: int | None = None
    new: int | None = None


@dataclass(frozen=True, slots=True)
class CodeLine:
    """A line of a passage; ``parts`` are (text, is what was searched for)."""

    number: int
    parts: Sequence[tuple[str, bool]]
    hit: bool = False


@dataclass(frozen=True, slots=True)
class Reason:
    """What one rule says about one path."""

    rule: str
    state: str
    lead: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Point:
    """A short promise under an empty page, or a numbered step beside a form."""

    title: str
    text: str
    icon: str = ""


@dataclass(frozen=True, slots=True)
class Teach:
    """An empty page: what belongs here, why, the button that makes the first one."""

    title: str
    text: str
    actions: Sequence[Action]
    points: Sequence[Point] = ()
    command: str = ""
    link: Action | None = None
    art: str = ""


@dataclass(frozen=True, slots=True)
class SnapshotMark:
    """A restore point. ``note`` (with ``state``) is written above it."""

    at: datetime
    full: bool = False
    title: str = ""
    state: str = ""
    note: str = ""
    chosen: bool = False
    url: str = ""


@dataclass(frozen=True, slots=True)
class FacetOption:
    label: str
    value: str
    count: int
    checked: bool = False

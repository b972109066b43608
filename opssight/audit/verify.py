"""Finding what was tampered with: an edit, a removal, a reordering, a gap, a tail that was cut."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from opssight.audit.anchors import Anchor, default_path, read_anchors
from opssight.audit.models import AuditAnchor, AuditEvent, AuditSeal
from opssight.audit.sealer import FIRST_PREV, PURPOSE, seal_mac
from opssight.core.clock import now
from opssight.core.crypto import SecretUnreadable
from opssight.core.errors import InvalidInput
from opssight.core.keys import keyring
from opssight.core.words import count

CHUNK = 500
MAX_PROBLEMS = 50  # after these it is clear enough


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong; `seq` is the entry's place in the chain, None when it has none.

    `kind`: changed, removed, moved, cut, unsealed, key, anchor.
    """

    kind: str
    seq: int | None
    sentence: str


@dataclass(frozen=True)
class Report:
    """What was looked at, and every problem found, in the order of the chain."""

    entries: int  # sealed entries that were checked
    last_seq: int
    waiting: int  # events without a seal, however young
    anchors: int
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        return not self.problems

    @property
    def first_bad(self) -> int | None:
        """The first place in the chain where something is wrong."""
        places = [problem.seq for problem in self.problems if problem.seq is not None]
        return min(places, default=None)

    @property
    def sentence(self) -> str:
        if self.ok:
            waiting = f" {count(self.waiting, 'new event')} will be sealed." if self.waiting else ""
            return f"The audit log is whole: {count(self.entries, 'entry', 'entries')} checked.{waiting}"
        found = count(len(self.problems), "problem")
        where = f", the first at entry {self.first_bad}" if self.first_bad is not None else ""
        return f"The audit log is not as it was written: {found}{where}."


def verify(
    backlog_seconds: float = 60.0, anchor_files: Iterable[Path] = (), newest: int | None = None
) -> Report:
    """Check the log against its chain and its anchors: all of it, or only the `newest` entries.

    Anchors are those in `anchor_files`, in the default file and in the database. An event without
    a seal is a problem when it is older than `backlog_seconds`.
    """
    start = _before_newest(newest) if newest is not None else None
    chain = _Chain(_known_anchors(anchor_files), start)
    for seals in _chunks(chain.seq):
        events = AuditEvent.objects.in_bulk([seal.event_id for seal in seals])
        for seal in seals:
            chain.check(seal, events.get(seal.event_id))
    chain.check_end()
    unsealed = AuditEvent.objects.filter(seal__isnull=True)
    old = unsealed.filter(at__lt=now() - dt.timedelta(seconds=backlog_seconds)).count()
    if old:
        chain.problems.append(_unsealed(old))
    problems = tuple(chain.problems[:MAX_PROBLEMS])
    return Report(chain.entries, chain.seq, unsealed.count(), len(chain.anchors), problems)


def _before_newest(newest: int) -> AuditSeal | None:
    """The entry that the newest ones follow; None when these are all."""
    return AuditSeal.objects.order_by("-seq")[newest : newest + 1].first()


def _chunks(last: int) -> Iterator[list[AuditSeal]]:
    while seals := list(AuditSeal.objects.filter(seq__gt=last).order_by("seq")[:CHUNK]):
        yield seals
        last = seals[-1].seq


def _unsealed(old: int) -> Problem:
    words = "1 event has" if old == 1 else f"{old:,} events have"
    return Problem(
        "unsealed",
        None,
        f"{words} no seal although older than they should be. If no worker runs, start one; "
        "otherwise they were not written by OpsSight.",
    )


@dataclass
class _Known:
    """Anchors from everywhere, and what could not be read."""

    anchors: list[Anchor] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def _known_anchors(files: Iterable[Path]) -> _Known:
    known = _Known()
    for path in dict.fromkeys([*files, default_path()]):
        try:
            known.anchors += read_anchors(path)
        except InvalidInput as error:
            known.problems.append(Problem("anchor", None, error.sentence))
    known.anchors += [Anchor(row.seq, row.mac, row.exported_at) for row in AuditAnchor.objects.all()]
    return known


class _Chain:
    """Walks the chain from its start, or from behind the entry `start` which is taken as it is.

    Each entry is checked by itself and against the one before.
    """

    def __init__(self, known: _Known, start: AuditSeal | None) -> None:
        self.anchors = known.anchors
        self.problems = list(known.problems)
        self.seq = start.seq if start else 0  # the last place seen
        self.entries = 0
        self._mac = start.mac if start else FIRST_PREV
        self._keys: dict[str, bytes | None] = {}
        self._macs = {anchor.seq: "" for anchor in known.anchors}

    def check(self, seal: AuditSeal, event: AuditEvent | None) -> None:
        if seal.seq != self.seq + 1:
            self._gap(self.seq + 1, seal.seq - 1)
        elif seal.prev_mac != self._mac:
            self._add("moved", seal.seq, f"Entry {seal.seq} does not follow the entry before it.")
        if event is None:
            self._add(
                "removed", seal.seq, f"Entry {seal.seq} was removed: its seal is there, its event is not."
            )
        else:
            self._check_content(seal, event)
        self.seq, self._mac = seal.seq, seal.mac
        self.entries += 1
        if seal.seq in self._macs:
            self._macs[seal.seq] = seal.mac

    def _check_content(self, seal: AuditSeal, event: AuditEvent) -> None:
        key = self._key(seal)
        if key is not None and seal_mac(key, seal.key_id, seal.seq, seal.prev_mac, event) != seal.mac:
            self._add(
                "changed",
                seal.seq,
                f"Entry {seal.seq} ({event.action}) is not what was sealed: it was changed.",
            )

    def _key(self, seal: AuditSeal) -> bytes | None:
        """The key of a seal; a missing one is told once."""
        if seal.key_id not in self._keys:
            try:
                self._keys[seal.key_id] = keyring().derive(PURPOSE, seal.key_id)
            except SecretUnreadable as error:
                self._keys[seal.key_id] = None
                self._add("key", seal.seq, f"Entry {seal.seq} and others cannot be checked. {error.sentence}")
        return self._keys[seal.key_id]

    def _gap(self, first: int, last: int) -> None:
        words = f"Entry {first} was" if first == last else f"Entries {first} to {last} were"
        self._add("removed", first, f"{words} removed.")

    def check_end(self) -> None:
        """Compare with what was written down outside: entries that are gone, or others in their place."""
        for anchor in sorted(self.anchors, key=lambda anchor: anchor.seq):
            when = anchor.at.strftime("%Y-%m-%d %H:%M UTC")
            if anchor.seq > self.seq:
                self._add(
                    "cut",
                    self.seq + 1,
                    f"The log ends at entry {self.seq}, but entry {anchor.seq} was written down at {when}: "
                    "what came between was cut off.",
                )
            elif self._macs[anchor.seq] not in ("", anchor.mac):
                self._add(
                    "changed",
                    anchor.seq,
                    f"Entry {anchor.seq} is another one than was written down at {when}.",
                )

    def _add(self, kind: str, seq: int, sentence: str) -> None:
        self.problems.append(Problem(kind, seq, sentence))

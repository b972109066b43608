"""Everything the workbench shows of a draft: matches, both trees, the chosen file, what saving changes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from opssight.accounts.scope import Principal
from opssight.core.words import count
from opssight.web.formats import format_count
from opssight.web.parts import TreeNode
from syncs.copy.forms.rule_form import Checked, Draft
from syncs.copy.plan.planned import Refusal
from syncs.copy.preview.preview import Preview, TargetPreview, preview
from syncs.copy.rules.config import CopyConfig
from syncs.copy.rules.file_config import read_version
from syncs.copy.rules.paths import shown
from syncs.copy.views.folders import Shape, branch, path_in, tree
from syncs.copy.views.looking import Looking
from syncs.copy.views.pane import Pane, pane
from syncs.copy.views.trees import left_alone, source_shape, target_shape
from syncs.models import Job

REFUSED = 20  # sentences of refused files that are listed
_NO_CHANGE = "Saving changes nothing that is copied"


@dataclass(frozen=True)
class Tab:
    """One target above its tree. `note` is said instead of counts."""

    row: int
    name: str
    added: int
    changed: int
    removed: int
    note: str
    current: bool


@dataclass(frozen=True)
class Saving:
    """The save bar: what the draft changes against the live version, over all targets."""

    title: str
    note: str
    added: int
    changed: int


@dataclass
class Bench:
    """A draft, planned. Parts are made when a template asks for them."""

    draft: Draft
    checked: Checked
    looking: Looking
    job: Job | None
    folder_url: str
    found: Preview | None
    milliseconds: int = 0

    @property
    def config(self) -> CopyConfig | None:
        return self.checked.usable

    @cached_property
    def matches(self) -> tuple[tuple[bytes, int], ...]:
        """What the rules take, as (source path, rule from 0)."""
        config = self.config
        return self.found.matches(config.rules, config.match) if self.found and config else ()

    @cached_property
    def matched(self) -> dict[bytes, int]:
        """The first rule (from 0) that takes each source path."""
        return dict(reversed(self.matches))

    @property
    def total(self) -> int:
        return len(self.found.files) if self.found else 0

    @cached_property
    def rule_counts(self) -> list[int | None]:
        """How many files each row takes; None where that is not known."""
        counts: list[int | None] = [None] * len(self.draft.rules)
        if self.found and self.found.oid:
            taken = Counter(rule for _, rule in self.matches)
            for index, row in enumerate(self.checked.rule_rows):
                counts[row] = taken[index]
        return counts

    @property
    def targets(self) -> list[tuple[int, TargetPreview]]:
        """The targets that can be planned, with their row in the form."""
        found = self.found.targets if self.found and self.found.oid else []
        return list(zip(self.checked.target_rows, found, strict=False))

    @property
    def chosen(self) -> tuple[int, TargetPreview] | None:
        targets = self.targets
        return next(
            (pair for pair in targets if pair[0] == self.looking.tab), targets[0] if targets else None
        )

    @property
    def target(self) -> TargetPreview | None:
        return self.chosen[1] if self.chosen else None

    @property
    def tabs(self) -> list[Tab]:
        chosen = self.chosen
        return [_tab(row, one, chosen is not None and chosen[0] == row) for row, one in self.targets]

    @property
    def fetching(self) -> bool:
        """Whether something is on its way, so that the page has to ask again."""
        waits = self.found is not None and self.found.fetching
        return waits or (self.pane is not None and self.pane.fetching)

    @cached_property
    def source_tree(self) -> list[TreeNode]:
        if self.found is None or not self.found.oid:
            return []
        return tree(self._source_shape(self.found))

    def _source_shape(self, found: Preview) -> Shape:
        rows = self.checked.rule_rows
        return source_shape(found, self.matched, rows, self.looking, self.folder_url)

    @cached_property
    def target_tree(self) -> list[TreeNode]:
        if self.chosen is None or self.chosen[1].plan is None:
            return []
        row, target = self.chosen
        return tree(target_shape(target, self.checked.rule_rows, row, self.looking, self.folder_url))

    def inside(self, key: str) -> list[TreeNode]:
        """The rows of one folder, by its key."""
        if self.found is None:
            return []
        path, rows = path_in(key), self.checked.rule_rows
        if key.startswith("s:"):
            return branch(self._source_shape(self.found), path)
        target = next((pair for pair in self.targets if key.startswith(f"t{pair[0]}:")), None)
        if target is None:
            return []
        return branch(target_shape(target[1], rows, target[0], self.looking, self.folder_url), path)

    @property
    def left_alone(self) -> str:
        return left_alone(self.target) if self.target else ""

    @property
    def refused(self) -> list[Refusal]:
        plan = self.target.plan if self.target else None
        return list(plan.refused[:REFUSED]) if plan else []

    @cached_property
    def pane(self) -> Pane | None:
        if self.found is None or self.config is None or not self.looking.show:
            return None
        rows = self.checked.rule_rows
        return pane(self.looking.show, self.found, self.matched, self.target, self.config, rows)

    @property
    def shown_source(self) -> str:
        """The chosen file of the source as text, to start an example from."""
        key = self.looking.show
        return shown(path_in(key)) if key.startswith("s:") else ""

    @property
    def plan_line(self) -> str:
        if self.found is None or not self.found.oid:
            return ""
        files = f"{format_count(len(self.matched))} of {count(self.total, 'file')}"
        verb = "matches" if len(self.matched) == 1 else "match"
        return f"{files} {verb} · planned in {self.milliseconds} ms · as you type"

    @property
    def adoptable(self) -> str:
        """How many files are there already, identical, and not the rule's; empty for none."""
        number = sum(len(target.plan.adoptable) for _, target in self.targets if target.plan)
        return count(number, "identical file") if number else ""

    @cached_property
    def saving(self) -> Saving:
        return _saving(self)


def plan_draft(
    principal: Principal,
    draft: Draft,
    checked: Checked,
    looking: Looking,
    job: Job | None,
    folder_url: str,
) -> Bench:
    """Plan what stands in the form, as far as it stands."""
    started = time.perf_counter()
    found = None
    if checked.usable is not None:
        live = read_version(job.version.config) if job is not None and job.version is not None else None
        found = preview(principal, checked.usable, job, live=live)
    taken = round((time.perf_counter() - started) * 1_000)
    return Bench(draft, checked, looking, job, folder_url, found, milliseconds=taken)


def _tab(row: int, target: TargetPreview, current: bool) -> Tab:
    name = target.repository.full_name.rpartition("/")[2]
    if target.plan is None:
        note = "fetching" if target.fetching else "not readable"
        return Tab(row, name, 0, 0, 0, note, current)
    note = "nothing" if target.plan.empty else ""
    return Tab(row, name, target.added, target.changed, target.removed, note, current)


def _saving(bench: Bench) -> Saving:
    if wrong := len(bench.checked.problems):
        which, them = ("the marked field", "it") if wrong == 1 else (f"the {wrong} marked fields", "them")
        return Saving("Cannot be saved yet", f"Mend {which}. The plan leaves {them} out.", 0, 0)
    deltas = [target.delta for _, target in bench.targets]
    added, changed = sum(d.added for d in deltas), sum(d.changed for d in deltas)
    where = sum(1 for d in deltas if d.added or d.changed)
    dropped = sum(d.removed for d in deltas)
    title = f"Saving stops copying {count(dropped, 'file')}" if dropped else _NO_CHANGE
    if added or changed:
        title = f"Saving changes {count(added + changed, 'file')} at {count(where, 'target')}:"
    if bench.job is None:
        title = "Nothing to copy yet"
        if added or changed:
            title = f"Copying now writes {count(added + changed, 'file')} at {count(where, 'target')}:"
    return Saving(title, " ".join(_saving_notes(bench, dropped)), added, changed)


def _saving_notes(bench: Bench, dropped: int) -> Sequence[str]:
    notes = []
    version = bench.job.version if bench.job else None
    if version is not None:
        notes.append(f"Compared with version {version.number}, which is live.")
    plans = [target.plan for _, target in bench.targets if target.plan]
    deleted = sum(len(plan.deletes) for plan in plans)
    if dropped > deleted:
        notes.append(f"{count(dropped - deleted, 'file')} no longer copied: they stay as they are.")
    if deleted:
        notes.append(f"{count(deleted, 'file')} deleted there.")
    if overwritten := sum(plan.overwritten for plan in plans):
        notes.append(f"{count(overwritten, 'file')} changed there, and written over.")
    if refused := sum(len(plan.refused) for plan in plans):
        notes.append(f"{count(refused, 'file')} refused.")
    waiting = len(bench.targets) - len(plans)
    if waiting:
        notes.append(f"{count(waiting, 'target')} not counted: not read yet.")
    return notes

"""The third column: what would change in one file, or why no rule takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from opssight.core.errors import InvalidInput
from opssight.core.words import count
from opssight.web.parts import DiffLine, Fact, Reason
from syncs.copy.plan.planned import PlannedWrite
from syncs.copy.preview.diff import file_diff
from syncs.copy.preview.preview import Preview, TargetPreview
from syncs.copy.rules.config import DEFAULT_MESSAGE, CopyConfig
from syncs.copy.rules.matching import compile_rule
from syncs.copy.rules.messages import render_message
from syncs.copy.rules.paths import shown
from syncs.copy.rules.why import explain
from syncs.copy.views.difflines import diff_lines
from syncs.copy.views.folders import path_in

STATES = {
    "takes": "allowed",
    "left out": "skipped",
    "too late": "skipped",
    "refused": "failed",
    "no match": "not_set_up",
}


@dataclass(frozen=True)
class Fix:
    """A change of the draft that would take the file; `press` is (name, value) of its button."""

    label: str
    value: str


@dataclass(frozen=True)
class Pane:
    """`path` is the file that is shown; with `came_from` it is one that a rule writes."""

    path: str
    came_from: str = ""
    rule: str = ""
    mark: str = ""
    lines: Sequence[DiffLine] = ()
    sentence: str = ""
    fetching: bool = False
    reasons: Sequence[Reason] = ()
    fixes: Sequence[Fix] = ()
    facts: Sequence[Fact] = field(default_factory=tuple)


def pane(
    key: str,
    found: Preview,
    matched: Mapping[bytes, int],
    target: TargetPreview | None,
    config: CopyConfig,
    rows: Sequence[int],
) -> Pane | None:
    """What to show of the chosen file; None when nothing is chosen or it is not there any more.

    `matched` gives the rule of each path that one takes.
    """
    path = path_in(key)
    if key.startswith("s:"):
        if path not in found.files:
            return None
        write = _write_of(target, source=path) if path in matched else None
        if write and target:
            return _diff(found, target, write, rows, config)
        why = _why(path, found, len(matched), config, rows)
        return replace(why, sentence=_left(target, path) or why.sentence)
    if key.startswith("t:") and target:
        write = _write_of(target, target_path=path)
        return _diff(found, target, write, rows, config) if write else _untouched(path, target)
    return None


def _left(target: TargetPreview | None, path: bytes) -> str:
    """Why a file that a rule takes is not written after all."""
    plan = target.plan if target else None
    refused = [(one.source_path, one.sentence) for one in plan.refused] if plan else []
    skipped = [(one.source_path, one.sentence) for one in plan.skipped] if plan else []
    return dict([*skipped, *refused]).get(path, "")


def _write_of(
    target: TargetPreview | None, source: bytes | None = None, target_path: bytes | None = None
) -> PlannedWrite | None:
    plan = target.plan if target else None
    writes = (*plan.writes, *plan.same) if plan else ()
    return next((w for w in writes if w.source_path == source or w.path == target_path), None)


def _diff(
    found: Preview, target: TargetPreview, write: PlannedWrite, rows: Sequence[int], config: CopyConfig
) -> Pane:
    base = Pane(
        shown(write.path),
        came_from=shown(write.source_path),
        rule=str(rows[write.rule_index] + 1),
        facts=_facts(found, target, config),
    )
    if target.plan and write in target.plan.same:
        return replace(base, sentence="Already the same there: nothing to write.")
    diff = file_diff(target, write.path)
    return replace(
        base,
        mark="added" if write.old is None else "changed",
        lines=diff_lines(diff.lines),
        sentence=diff.sentence,
        fetching=diff.fetching,
    )


def _facts(found: Preview, target: TargetPreview, config: CopyConfig) -> list[Fact]:
    plan = target.plan
    values = {
        "rule_name": config.name,
        "source_repo": found.source.full_name,
        "target_repo": target.repository.full_name,
        "source_branch": found.branch,
        "target_branch": target.branch,
        "file_count": str(plan.file_count) if plan else "",
        "commit_sha": found.oid,
        "pr_number": "",
    }
    message = render_message(config.message or DEFAULT_MESSAGE, values).strip()
    return [
        Fact("Arrives as", _arrival(target, config)),
        Fact("Message", message.split("\n")[0]),
        Fact("Because of", f"this rule, when {found.source.full_name} changes on {found.branch}"),
    ]


def _arrival(target: TargetPreview, config: CopyConfig) -> str:
    if config.options.strategy == "pull_request":
        return f"a pull request to {target.branch}"
    return f"one commit on {target.branch}"


def _untouched(path: bytes, target: TargetPreview) -> Pane | None:
    refused = next((r for r in target.plan.refused if r.path == path), None) if target.plan else None
    if refused:
        return Pane(shown(path), came_from=shown(refused.source_path), sentence=refused.sentence)
    if target.plan and any(delete.path == path for delete in target.plan.deletes):
        return Pane(shown(path), mark="removed", sentence="It is deleted: its source is gone.")
    before = (*target.live.writes, *target.live.same) if target.live else ()
    if any(write.path == path for write in before):
        return Pane(
            shown(path), sentence="The live version copies this file. It stays as it is, and is not updated."
        )
    if path in target.files:
        return Pane(shown(path), sentence="No rule writes this file. It is not touched.")
    return None


def _why(path: bytes, found: Preview, matched: int, config: CopyConfig, rows: Sequence[int]) -> Pane:
    answers = explain(config.rules, path, config.match)
    reasons = []
    for answer in answers:
        lead, text = answer.sentence, ""
        if answer.verdict in ("left out", "refused"):
            lead, colon, text = answer.sentence.partition(": ")
            lead += colon.strip()
        reasons.append(Reason(str(rows[answer.rule_index] + 1), STATES[answer.verdict], lead, text))
    taken = any(answer.verdict in ("takes", "refused") for answer in answers)
    sentence = "" if reasons else "There is no complete rule yet that could take it."
    fixes = [] if taken else _fixes(path, found, matched, config, rows)
    return Pane(shown(path), reasons=reasons, fixes=fixes, sentence=sentence)


def _fixes(path: bytes, found: Preview, matched: int, config: CopyConfig, rows: Sequence[int]) -> list[Fix]:
    left_out = next((a for a in explain(config.rules, path, config.match) if a.verdict == "left out"), None)
    only = Fix("Take only this file", "only")
    if left_out is None:
        return [only] if _text(path) else []
    index = left_out.rule_index
    rule = config.rules[index]
    kept = tuple(text for text in rule.exclude if text != left_out.exclude)
    rules = (*config.rules[:index], replace(rule, exclude=kept), *config.rules[index + 1 :])
    more = len(dict(found.matches(rules, config.match))) - matched
    take = Fix(
        f"Drop this “but not” (+{count(more, 'file')})",
        f"include:{rows[index]}:{rule.exclude.index(left_out.exclude)}",
    )
    return [take, only] if _text(path) else [take]


def place_for(path: bytes, config: CopyConfig) -> str:
    """Where a rule for this one file should put it: as the rule that leaves it out would, else as here."""
    for rule in config.rules:
        compiled = compile_rule(replace(rule, exclude=()))
        if compiled.pattern.matches(path):
            try:
                return _text(compiled.target(path, compiled.variables(path))) or ""
            except InvalidInput:
                continue
    return _text(path) or ""


def _text(path: bytes) -> str | None:
    try:
        return path.decode("utf-8")
    except UnicodeDecodeError:
        return None

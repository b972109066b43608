"""Which rule takes a path, where it goes, and why the others do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from syncs.copy.rules.config import Flow
from syncs.copy.rules.rule import Rule
from syncs.copy.rules.why import Why, explain


@dataclass(frozen=True)
class RuleAnswer:
    """What one rule says. `number` counts from 1 within its flows."""

    number: int
    rule: Rule
    why: Why


@dataclass(frozen=True)
class Tested:
    """Flows that ask the same rules: what each rule says to the path. `targets` are (repository, branch)."""

    name: str
    targets: tuple[tuple[str, str], ...]
    answers: tuple[RuleAnswer, ...]

    @property
    def taken(self) -> bool:
        return any(answer.why.verdict == "takes" for answer in self.answers)


def try_path(flows: Sequence[Flow], path: bytes) -> list[Tested]:
    """What the rules of each flow say to a path, which need not exist. Flows with equal rules are one."""
    groups: dict[tuple[object, ...], list[Flow]] = {}
    for flow in flows:
        groups.setdefault((flow.rules, flow.match, flow.flavour), []).append(flow)
    return [_tested(group, path) for group in groups.values()]


def _tested(group: Sequence[Flow], path: bytes) -> Tested:
    flow = group[0]
    whys = explain(flow.rules, path, flow.match, flow.flavour)
    answers = tuple(RuleAnswer(why.rule_index + 1, flow.rules[why.rule_index], why) for why in whys)
    targets = dict.fromkeys((one.target_repo, one.target_branch) for one in group)
    return Tested(flow.name, tuple(targets), answers)

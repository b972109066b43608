"""The inputs of the workbench: what stands in each, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from syncs.copy.forms.rule_form import Draft, Problems, RuleDraft
from syncs.copy.rules.config import DEFAULT_MESSAGE
from syncs.copy.views.bench import Bench


@dataclass(frozen=True)
class Field:
    """One input of the form. The id of its problems is its own with `-note` behind."""

    id: str
    name: str
    label: str
    value: str
    errors: Sequence[str]
    placeholder: str = ""
    autofocus: bool = False


@dataclass(frozen=True)
class RuleRow:
    index: int
    type: Field
    pattern: Field
    template: Field
    exclude: Field
    exclude_syntax: Field
    count: int | None

    @property
    def fields(self) -> list[Field]:
        return [self.type, self.pattern, self.template, self.exclude, self.exclude_syntax]


@dataclass(frozen=True)
class TargetRow:
    index: int
    repository: Field
    branch: Field

    @property
    def fields(self) -> list[Field]:
        return [self.repository, self.branch]


def top_fields(draft: Draft, problems: Problems, focus: str) -> dict[str, Field]:
    def made(name: str, label: str, value: str, placeholder: str = "") -> Field:
        return Field(name, name, label, value, problems.get(name, []), placeholder, name == focus)

    return {
        "name": made("name", "Name", draft.name, "docs → sample apps"),
        "source": made("source", "From", draft.source, "owner/repository"),
        "branch": made("branch", "Branch", draft.branch, "default branch"),
        "message": made("message", "Commit message", draft.message, DEFAULT_MESSAGE),
        "match": made("match", "When several rules take a file", draft.match),
    }


def rule_rows(bench: Bench, problems: Problems, focus: str = "") -> list[RuleRow]:
    return [
        _rule_row(index, rule, bench.rule_counts[index], problems, focus)
        for index, rule in enumerate(bench.draft.rules)
    ]


def _rule_row(index: int, rule: RuleDraft, count: int | None, problems: Problems, focus: str) -> RuleRow:
    def made(name: str, label: str, value: str, placeholder: str = "") -> Field:
        id = f"rule-{index}-{name}"
        return Field(
            id, name, f"{label}, rule {index + 1}", value, problems.get(id, []), placeholder, id == focus
        )

    files = {"move": "docs/guides", "copy": "LICENSE", "regex": r"^docs/(?P<name>[^/]+)\.md$"}
    places = {"move": "guides", "copy": "LICENSE", "regex": "pages/${name}.md"}
    return RuleRow(
        index,
        made("type", "Type", rule.type),
        made("pattern", "Take these files", rule.pattern, files.get(rule.type, "docs/**")),
        made("template", "Put them here", rule.template, places.get(rule.type, "docs/${relative_path}")),
        made("exclude", "But not", rule.exclude, "nothing"),
        made("exclude_syntax", "“But not” is", rule.exclude_syntax),
        count,
    )


def target_rows(draft: Draft, problems: Problems, focus: str = "") -> list[TargetRow]:
    rows = []
    for index, target in enumerate(draft.targets):
        place, branch = f"target-{index}-repository", f"target-{index}-branch"
        label = f"target {index + 1}"
        rows.append(
            TargetRow(
                index,
                Field(
                    place, "target", f"Repository of {label}", target.repository,
                    problems.get(place, []), "owner/repository", place == focus,
                ),
                Field(
                    branch, "target_branch", f"Branch of {label}", target.branch,
                    problems.get(branch, []), "default branch", branch == focus,
                ),
            )
        )  # fmt: skip
    return rows

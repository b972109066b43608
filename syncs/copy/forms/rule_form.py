"""A copy rule as it is being written: what stands in the form, also while it is not yet complete.

The form, the YAML tab and the saved configuration are three spellings of the same thing; a `Draft` is
the form's. Fields of a rule and of a target repeat, in the order of their rows.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self, cast

from django.http import QueryDict

from opssight.accounts.models import Team
from opssight.accounts.scope import Principal, visible_to
from opssight.core.errors import InvalidInput
from repos.models import Repository
from syncs.copy.forms.listening_fields import ListeningDraft
from syncs.copy.forms.option_fields import OptionsDraft, kept, option_field_id, plain_lines, without
from syncs.copy.rules.config import CopyConfig, Target, parse_config, to_data
from syncs.copy.rules.listening import LISTEN_KEYS
from syncs.copy.rules.options import OPTION_KEYS, read_options
from syncs.copy.rules.reading import Reader
from syncs.copy.rules.rule import ExcludeSyntax, Rule, RuleType

Problems = dict[str, list[str]]  # id of a field of the page, or "" -> sentences

MAX_ROWS: Final = 200  # more than any configuration may have; the rest of a form is not read
_PLACE: Final = re.compile(r"\[(\d+)\]")
_FALLBACK_BRANCH: Final = "main"


@dataclass(frozen=True)
class Choice:
    """A repository that may be chosen; `label` is what people type and read."""

    id: str
    label: str
    full_name: str
    branch: str
    provider: str


class Names:
    """The repositories a rule of this team may speak of, by id and by label.

    A label is the full name, with the connection where two repositories share it.
    """

    def __init__(self, choices: Iterable[Choice]) -> None:
        self.choices = tuple(choices)
        self._by_id = {choice.id: choice for choice in self.choices}
        self._by_label = {choice.label: choice for choice in self.choices}
        names = Counter(choice.full_name for choice in self.choices)
        for choice in self.choices:
            if names[choice.full_name] == 1:  # one of two with the same name must be chosen by its label
                self._by_label.setdefault(choice.full_name, choice)

    @classmethod
    def of_team(cls, principal: Principal, team: Team, also: Iterable[str] = ()) -> Self:
        """What the team owns or was shown; `also` are ids that a saved rule holds already."""
        seen = visible_to(Repository.objects.select_related("connection"), principal)
        rows = {
            row.pk: row
            for row in (
                *seen.in_teams([team.pk]).exclude(state__in=_UNUSABLE).order_by("full_name", "id"),
                *seen.filter(pk__in=list(also)),
            )
        }
        names = [row.full_name for row in rows.values()]
        twice = {name for name in names if names.count(name) > 1} if len(names) != len(set(names)) else set()
        return cls(_choice(row, row.full_name in twice) for row in rows.values())

    def find(self, text: str) -> Choice | None:
        """By label, full name or id."""
        return self._by_label.get(text) or self._by_id.get(text)

    def label(self, id: str) -> str:
        choice = self._by_id.get(id)
        return choice.label if choice else id

    def id_of(self, text: str) -> str:
        """The id of what is typed; the text itself when there is no such repository."""
        choice = self.find(text)
        return choice.id if choice else text


_UNUSABLE = (Repository.State.IGNORED, Repository.State.GONE)


def _choice(row: Repository, named_twice: bool) -> Choice:
    label = row.qualified_name if named_twice else row.full_name
    return Choice(str(row.pk), label, row.full_name, row.default_branch, row.connection.provider)


@dataclass(frozen=True)
class RuleDraft:
    """One row of rules; `exclude` has a line for each."""

    type: str = "glob"
    pattern: str = ""
    template: str = ""
    exclude: str = ""
    exclude_syntax: str = "glob"

    @property
    def excludes(self) -> tuple[str, ...]:
        return tuple(line for line in self.exclude.split("\n") if line)

    @property
    def blank(self) -> bool:
        return not (self.pattern or self.template or self.exclude)


@dataclass(frozen=True)
class TargetDraft:
    repository: str = ""
    branch: str = ""


@dataclass(frozen=True)
class Draft:
    """Everything in the form, as text. Repositories are labels, see `Names`.

    `kept` are keys of the configuration that no field shows: they are saved as they are.
    """

    name: str = ""
    source: str = ""
    branch: str = ""
    rules: tuple[RuleDraft, ...] = (RuleDraft(),)
    targets: tuple[TargetDraft, ...] = (TargetDraft(),)
    message: str = ""
    match: str = "first"
    listening: ListeningDraft = field(default_factory=ListeningDraft)
    options: OptionsDraft = field(default_factory=OptionsDraft)
    kept: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_post(cls, post: QueryDict) -> Self:
        rows = zip(*(_column(post, name) for name in _RULE_FIELDS), strict=False)
        targets = zip(_column(post, "target"), _column(post, "target_branch"), strict=False)
        return cls(
            name=post.get("name", "").strip(),
            source=post.get("source", "").strip(),
            branch=post.get("branch", "").strip(),
            rules=tuple(RuleDraft(*row) for row in rows),
            targets=tuple(TargetDraft(text.strip(), branch.strip()) for text, branch in targets),
            message=plain_lines(post.get("message", "")),
            match=post.get("match", "first"),
            listening=ListeningDraft.from_post(post),
            options=OptionsDraft.from_post(post),
            kept=_kept(post.get("kept", "")),
        )

    @classmethod
    def from_config(cls, config: CopyConfig, names: Names) -> Self:
        return cls(
            name=config.name,
            source=names.label(config.source_repository),
            branch=config.source_branch,
            rules=tuple(
                RuleDraft(r.type, r.pattern, r.template, "\n".join(r.exclude), r.exclude_syntax)
                for r in config.rules
            ),
            targets=tuple(TargetDraft(names.label(t.repository), t.branch) for t in config.targets),
            message=config.message,
            match=config.match,
            listening=ListeningDraft.from_listening(config.listening),
            options=OptionsDraft.from_options(config.options, names),
            kept=_unshown(config) | kept(config.options, names),
        )

    @property
    def kept_text(self) -> str:
        """What no field shows, to be carried along in the form."""
        return json.dumps(self.kept) if self.kept else ""

    def to_data(self, names: Names) -> dict[str, Any]:
        """Plain data as `parse_config` takes it, with ids and branches filled in where they are known."""
        data: dict[str, Any] = {
            "name": self.name,
            "source": _place(names, self.source, self.branch),
            "rules": [_rule_data(rule) for rule in self.rules],
            "targets": [_place(names, target.repository, target.branch) for target in self.targets],
            "match": self.match,
            **self.options.to_data(names),
            **self.listening.to_data(),
        }
        if self.message:
            data["message"] = self.message
        return data | dict(self.kept)

    def adding(self, rule: Rule) -> Self:
        """With one rule more; an empty row gives way to it."""
        kept = tuple(row for row in self.rules if not row.blank)
        exclude = "\n".join(rule.exclude)
        new = RuleDraft(rule.type, rule.pattern, rule.template, exclude, rule.exclude_syntax)
        return replace(self, rules=(*kept, new))


_SHOWN: Final = frozenset(
    {"name", "source", "rules", "targets", "message", "match", *OPTION_KEYS, *LISTEN_KEYS}
)
MAX_KEPT: Final = 1_000_000  # characters


def _unshown(config: CopyConfig) -> dict[str, Any]:
    """The keys of a configuration that have no field; a message that a form would change is one as well."""
    data = to_data(config)
    if plain_lines(config.message) != config.message:
        return {key: value for key, value in data.items() if key not in _SHOWN or key == "message"}
    return {key: value for key, value in data.items() if key not in _SHOWN}


def _kept(text: str) -> dict[str, Any]:
    """What the form carried along; whatever else stands there is refused when the draft is checked."""
    try:
        found = json.loads(text) if text and len(text) <= MAX_KEPT else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


_RULE_FIELDS = ("type", "pattern", "template", "exclude", "exclude_syntax")


def _column(post: QueryDict, name: str) -> list[str]:
    return [plain_lines(text) for text in post.getlist(name)[:MAX_ROWS]]


def _place(names: Names, text: str, branch: str) -> dict[str, str]:
    choice = names.find(text)
    if choice is None:
        return {"repository": text, "branch": branch}
    return {"repository": choice.id, "branch": branch or choice.branch or _FALLBACK_BRANCH}


def _rule_data(rule: RuleDraft) -> dict[str, Any]:
    data: dict[str, Any] = {
        "type": rule.type,
        "pattern": rule.pattern,
        "template": rule.template,
        "exclude_syntax": rule.exclude_syntax,
    }
    return {**data, "exclude": list(rule.excludes)} if rule.excludes else data


@dataclass(frozen=True)
class Checked:
    """A draft looked through: `config` when it is complete, what is wrong, and what can be planned already.

    `usable` holds the rules and targets that stand; `rule_rows` and `target_rows` say in which row of the
    form each of them is. It is None without a source.
    """

    config: CopyConfig | None
    problems: Problems
    usable: CopyConfig | None
    rule_rows: tuple[int, ...] = ()
    target_rows: tuple[int, ...] = ()
    missing: Problems = field(default_factory=dict)  # only not filled in yet: said when saving


def check(draft: Draft, names: Names) -> Checked:
    """Every problem of the draft at its field; nothing is read but the draft."""
    data = draft.to_data(names)
    config: CopyConfig | None = None
    found: list[tuple[str, str]] = []
    try:
        config = parse_config(data)
    except InvalidInput as error:
        found += error.problems
    found += unknown_repositories(draft, names)
    wrong, missing = _sorted_problems(draft, found)
    bad_rules, bad_targets = _rows("rules", found), _rows("targets", found)
    rule_rows = tuple(index for index in range(len(draft.rules)) if index not in bad_rules)
    target_rows = tuple(index for index in range(len(draft.targets)) if index not in bad_targets)
    usable = None
    if names.find(draft.source) and not any(where.startswith("source") for where, _ in found):
        usable = _usable(data, rule_rows, target_rows, [where for where, _ in found])
    return Checked(None if found else config, wrong, usable, rule_rows, target_rows, missing)


def _usable(
    data: Mapping[str, Any], rule_rows: Sequence[int], target_rows: Sequence[int], wrong: Sequence[str]
) -> CopyConfig:
    rules, targets = data["rules"], data["targets"]
    return CopyConfig(
        name=data["name"],
        source_repository=data["source"]["repository"],
        source_branch=data["source"]["branch"],
        rules=tuple(_rule(rules[index]) for index in rule_rows),
        targets=tuple(Target(**targets[index]) for index in target_rows),
        message=data.get("message", ""),
        match="every" if data["match"] == "every" else "first",
        options=read_options(Reader(), without(data, wrong)),
    )


def _rule(data: Mapping[str, Any]) -> Rule:
    return Rule(
        cast("RuleType", data["type"]),
        data["pattern"],
        data["template"],
        tuple(data.get("exclude", ())),
        cast("ExcludeSyntax", data["exclude_syntax"]),
    )


def unknown_repositories(draft: Draft, names: Names) -> list[tuple[str, str]]:
    typed = [("source.repository", draft.source)]
    typed += [(f"targets[{index}].repository", row.repository) for index, row in enumerate(draft.targets)]
    typed += [("deletions.repository", draft.options.record_repository)]
    return [
        (where, f"There is no repository {text!r} here. Choose one from the list, or import it first.")
        for where, text in typed
        if text and names.find(text) is None
    ]


_MISSING: Final = {
    "name": "Give the rule a name.",
    "source.repository": "Choose the repository that the files come from.",
    "rules": "Add a rule: which files should be taken?",
    "targets": "Add a target: where should the files go?",
    "events": "Tick at least one.",
    "pattern": "Say which files to take.",
    "template": "Say where to put them.",
    "repository": "Choose a repository.",
    "find": "Say which text.",
    "text": "Say which text.",
}


def _sorted_problems(draft: Draft, found: Iterable[tuple[str, str]]) -> tuple[Problems, Problems]:
    """What is wrong, and what is only not filled in yet, by field."""
    wrong: Problems = {}
    missing: Problems = {}
    for where, sentence in found:
        empty = _is_empty(draft, where)
        key = where if where in _MISSING else where.rpartition(".")[2]
        said = _MISSING.get(key, sentence) if empty else sentence
        (missing if empty else wrong).setdefault(field_id(where), []).append(said)
    return wrong, missing


def _is_empty(draft: Draft, where: str) -> bool:
    row, name = _row_of(where), where.rpartition(".")[2]
    if where.startswith("rules[") and row is not None and name in ("pattern", "template"):
        return not getattr(draft.rules[row], name)
    if where.startswith("transforms[") and row is not None and name in ("find", "text"):
        return not getattr(draft.options.transforms[row], name)
    if where.startswith("targets[") and row is not None and name == "repository":
        return not draft.targets[row].repository
    values = {"name": draft.name, "source.repository": draft.source, "events": draft.listening.events}
    return where in ("rules", "targets") or (where in values and not values[where])


def _row_of(where: str) -> int | None:
    found = _PLACE.search(where)
    return int(found[1]) if found else None


def _rows(name: str, found: Iterable[tuple[str, str]]) -> set[int]:
    rows = (_row_of(where) for where, _ in found if where.startswith(f"{name}["))
    return {row for row in rows if row is not None}


def field_id(where: str) -> str:
    """The id of the field that a problem belongs to; "" when it is about the whole."""
    row, name = _row_of(where), where.rpartition(".")[2]
    if row is not None and where.startswith("rules["):
        return f"rule-{row}-{_PLACE.sub('', name) if '.' in where else 'pattern'}"
    if row is not None and where.startswith("targets["):
        return f"target-{row}-{'branch' if name == 'branch' else 'repository'}"
    known = {"source.repository": "source", "source": "source", "source.branch": "branch"}
    if where in known or where in ("name", "message", "match", "rules", "targets", *LISTEN_KEYS):
        return known.get(where, where)
    if where.startswith("events["):
        return "events"
    return option_field_id(where)

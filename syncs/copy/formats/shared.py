"""What the formats have in common: repositories, commit strategies, options, and the checks of a rule.

Beside the keys of the formats, OpsSight reads some of its own in the same places, so that a file can say
all that a rule made here can: `ADDED_TO_STRATEGY` in a commit strategy, `ADDED` beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from opssight.core.yamlsafe import KeyPath
from syncs.copy.formats.files import Part
from syncs.copy.rules.config import MAX_MESSAGE, MAX_PATTERN, MAX_REPOSITORY, add_rule_problems
from syncs.copy.rules.matching import unknown_variables
from syncs.copy.rules.options import (
    MAX_NAME,
    MAX_NAMES,
    MERGE_METHODS,
    OTHERS_COMMITS,
    RECORD_FILE,
    STRATEGIES,
    UPDATES,
    Deletions,
    Options,
    PullRequest,
    Strategy,
    check_path,
    read_options,
)
from syncs.copy.rules.reading import Reader
from syncs.copy.rules.rule import Flavour, Rule

MAX_PARTS: Final = 10_000  # rules at targets, of all files together

ADDED: Final = ("deletions", "edits", "transforms", "authors", "sign")
ADDED_TO_STRATEGY: Final = (
    "labels",
    "reviewers",
    "assignees",
    "draft",
    "merge_method",
    "update",
    "others_commits",
)
STRATEGY_KEYS: Final = (
    "type",
    "commit_message",
    "pr_title",
    "pr_body",
    "use_pr_template",
    "auto_merge",
    *ADDED_TO_STRATEGY,
)


def repository_name(
    reader: Reader, holder: Mapping[str, object], key: str, path: KeyPath, *, default: str | None = None
) -> str:
    """The name of a repository, as a file writes it: owner/name."""
    name = reader.text(holder, key, path, limit=MAX_REPOSITORY, default=default)
    if name.startswith("-"):
        reader.error((*path, key), f"{name!r} is not the name of a repository.")
    return name


def ignore_installation(reader: Reader, holder: Mapping[str, object], path: KeyPath) -> None:
    """An `installation_id` has no meaning here; say what has."""
    if holder.get("installation_id") not in (None, ""):
        message = (
            "installation_id is not used: OpsSight reaches a repository by the connection it was "
            "imported from."
        )
        reader.warning((*path, "installation_id"), message)


@dataclass(frozen=True)
class CommitStrategy:
    """What a `commit_strategy` says; an empty message is not given. `told` are the keys that it has."""

    type: Strategy
    message: str = ""
    pull_request: PullRequest = field(default_factory=PullRequest)
    told: frozenset[str] = frozenset()

    def options(self, deletions: Deletions, added: Options) -> Options:
        """All options: these, and those of `added` that are none of a strategy."""
        return replace(added, strategy=self.type, pull_request=self.pull_request, deletions=deletions)

    def filled(self, given: CommitStrategy) -> CommitStrategy:
        """This one, filled up field by field from the defaults.

        Whether it is merged by itself is never taken from there.
        """
        own, other = self.pull_request, given.pull_request

        def first(key: str) -> PullRequest:
            return own if key in self.told else other

        pull = replace(
            own,
            title=own.title or other.title,
            body=own.body or other.body,
            use_template=own.use_template or other.use_template,
            labels=own.labels or other.labels,
            reviewers=own.reviewers or other.reviewers,
            assignees=own.assignees or other.assignees,
            draft=own.draft or other.draft,
            merge_method=first("merge_method").merge_method,
            update=first("update").update,
            others_commits=first("others_commits").others_commits,
        )
        kind = self.type if "type" in self.told else given.type
        return CommitStrategy(kind, self.message or given.message, pull, self.told)


def commit_strategy(part: Part, *, default: Strategy, batch: bool = False) -> CommitStrategy:
    """How a target wants its changes. `batch` is one more word for a pull request, where it is known."""
    reader, path = part.reader, part.path
    keys = (*STRATEGY_KEYS, "batch_size") if batch else STRATEGY_KEYS
    data = reader.mapping({} if part.value is None else part.value, path, keys)

    def text(key: str) -> str:
        return reader.text(data, key, path, limit=MAX_MESSAGE, default="", lines=True)

    def names(key: str) -> tuple[str, ...]:
        return reader.texts(data.get(key), (*path, key), count=MAX_NAMES, limit=MAX_NAME)

    kinds = (*STRATEGIES, "batch") if batch else STRATEGIES
    kind = reader.choice(data, "type", path, kinds, default=default)
    if kind == "batch":
        message = (
            "batch is read as pull_request, as the original did; batch_size has no effect: all "
            "files of a target arrive in one pull request."
        )
        reader.warning((*path, "type"), message)
    elif data.get("batch_size") is not None:
        message = "batch_size has no effect: all files of a target arrive in one commit."
        reader.warning((*path, "batch_size"), message)
    pull = PullRequest(
        title=" ".join(text("pr_title").split()),
        body=text("pr_body"),
        use_template=reader.flag(data, "use_pr_template", path),
        auto_merge=reader.flag(data, "auto_merge", path),
        labels=names("labels"),
        reviewers=names("reviewers"),
        assignees=names("assignees"),
        draft=reader.flag(data, "draft", path),
        merge_method=reader.choice(data, "merge_method", path, MERGE_METHODS, default="merge"),
        update=reader.choice(data, "update", path, UPDATES, default="update"),
        others_commits=reader.choice(data, "others_commits", path, OTHERS_COMMITS, default="append"),
    )
    strategy: Strategy = "direct" if kind == "direct" else "pull_request"
    told = frozenset(key for key, value in data.items() if value not in (None, ""))
    return CommitStrategy(strategy, text("commit_message"), pull, told)


def added_options(levels: Sequence[Part]) -> Options:
    """OpsSight's own keys, each from the first level that has it; problems of the first level are told."""
    found = Options()
    for part in [part.quiet() for part in reversed(levels[1:])] + list(levels[:1]):
        if isinstance(part.value, Mapping):
            given = {key: part.value[key] for key in ADDED if part.value.get(key) is not None}
            read = read_options(part.reader, given, part.path)
            found = replace(found, **{key: getattr(read, key) for key in given})
    return found


def deletions_of(levels: Sequence[Part]) -> Deletions:
    """The nearest `deletions` or `deprecation_check`; the first level's problems are told.

    Where one level has both, `deletions`, which says more, counts.
    """
    for index, level in enumerate(levels):
        part = level if index == 0 else level.quiet()
        if level.at("deletions").value is not None:
            return added_options([part]).deletions
        check = part.at("deprecation_check")
        if check.value is not None:
            return deprecation_check(check)
    return Deletions()


def deprecation_check(part: Part) -> Deletions:
    """Whether deletions are recorded, and in which file."""
    reader, path = part.reader, part.path
    data = reader.mapping(part.value, path, ("enabled", "file"))
    file = reader.text(data, "file", path, limit=MAX_PATTERN, default=RECORD_FILE)
    check_path(reader, file, (*path, "file"))
    return Deletions(policy="record" if reader.flag(data, "enabled", path) else "ignore", file=file)


def check_rule(
    reader: Reader, rule: Rule, path: KeyPath, names: Mapping[str, KeyPath], flavour: Flavour
) -> None:
    """Reports what is wrong with a rule and which variables of its template nothing gives."""
    if not rule.pattern or not rule.template:
        return
    if add_rule_problems(reader, rule, path, names):
        for name in unknown_variables(rule, flavour):
            message = f"No match gives ${{{name}}} a value, so each file that the rule takes is refused."
            reader.warning((*path, *names["template"]), message)


def check_ends(reader: Reader, path: KeyPath, source: tuple[str, str], target: tuple[str, str]) -> None:
    if source == target and source[0]:
        reader.warning(
            path, f"{target[0]} {target[1]} is copied onto itself; each push starts the copy again."
        )

"""How a copy arrives, as fields of the workbench: what stands in the form, and back, without loss.

A value that a form cannot hold as it is (such as a lone carriage return) is kept beside it: see `kept`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Protocol, Self

from django.http import QueryDict

from syncs.copy.rules.options import (
    OPTION_KEYS,
    RECORD_FILE,
    Authors,
    Deletions,
    Options,
    PullRequest,
    options_data,
)

MAX_ROWS: Final = 200  # more transforms than any configuration may have; the rest of a form is not read
_BREAK: Final = re.compile(r"\r\n?")
_FLAGS: Final = ("use_template", "draft", "auto_merge")
_LISTS: Final = ("labels", "reviewers", "assignees")
_TEXTS: Final = ("title", "body", "merge_method", "update", "others_commits")
_TRANSFORM: Final = ("transform_type", "transform_find", "transform_text", "transform_files")


class Labels(Protocol):
    """Repositories by what people call them; see `forms.Names`."""

    def label(self, id: str) -> str: ...
    def id_of(self, text: str) -> str: ...


@dataclass(frozen=True)
class TransformDraft:
    """One row of changes to contents; `files` has a line for each glob."""

    type: str = "replace"
    find: str = ""
    text: str = ""
    files: str = ""

    def to_data(self) -> dict[str, Any]:
        told = {"type": self.type, "find": self.find, "text": self.text, "files": _split(self.files)}
        return {name: value for name, value in told.items() if value}


@dataclass(frozen=True)
class OptionsDraft:
    """Everything about how a copy arrives, as text. Lists have a line for each entry."""

    strategy: str = "direct"
    title: str = ""
    body: str = ""
    use_template: bool = False
    labels: str = ""
    reviewers: str = ""
    assignees: str = ""
    draft: bool = False
    auto_merge: bool = False
    merge_method: str = "merge"
    update: str = "update"
    others_commits: str = "append"
    deletions: str = "ignore"
    record_file: str = RECORD_FILE
    record_repository: str = ""
    record_branch: str = ""
    edits: str = "overwrite"
    transforms: tuple[TransformDraft, ...] = ()
    authors: str = "bot"
    people: str = ""  # a line for each: address = Name <address>
    sign: str = "none"

    @classmethod
    def from_post(cls, post: QueryDict) -> Self:
        given: dict[str, Any] = {}
        for one in fields(cls):
            if one.name in _FLAGS:
                given[one.name] = post.get(one.name) == "1"
            elif one.name != "transforms" and one.name in post:
                given[one.name] = plain_lines(str(post[one.name]))
        columns = [[plain_lines(text) for text in post.getlist(name)[:MAX_ROWS]] for name in _TRANSFORM]
        rows = tuple(TransformDraft(*row) for row in zip(*columns, strict=False))
        return cls(**given, transforms=rows)

    @classmethod
    def from_options(cls, options: Options, names: Labels) -> Self:
        pull, deletions = options.pull_request, options.deletions
        given: dict[str, Any] = {name: getattr(pull, name) for name in (*_TEXTS, *_FLAGS)}
        given |= {name: "\n".join(getattr(pull, name)) for name in _LISTS}
        return cls(
            **given,
            strategy=options.strategy,
            deletions=deletions.policy,
            record_file=deletions.file,
            record_repository=names.label(deletions.repository) if deletions.repository else "",
            record_branch=deletions.branch,
            edits=options.edits,
            transforms=tuple(
                TransformDraft(one.type, one.find, one.text, "\n".join(one.files))
                for one in options.transforms
            ),
            authors=options.authors.policy,
            people="\n".join(f"{address} = {author}" for address, author in options.authors.people),
            sign=options.sign,
        )

    def to_data(self, names: Labels) -> dict[str, Any]:
        """The keys that `read_options` takes; what is as in a new rule is left out."""
        told: dict[str, Any] = {
            "strategy": self.strategy,
            "pull_request": self._pull_request(),
            "deletions": self._deletions(names),
            "edits": self.edits,
            "transforms": [row.to_data() for row in self.transforms],
            "authors": self._authors(),
            "sign": self.sign,
        }
        return {key: value for key, value in told.items() if value and value != getattr(_PLAIN, key, None)}

    def _pull_request(self) -> dict[str, Any]:
        told: dict[str, Any] = {name: getattr(self, name) for name in (*_TEXTS, *_FLAGS)}
        told |= {name: _split(getattr(self, name)) for name in _LISTS}
        plain = PullRequest()
        return {key: value for key, value in told.items() if value and value != getattr(plain, key)}

    def _deletions(self, names: Labels) -> dict[str, Any]:
        repository = names.id_of(self.record_repository) if self.record_repository else ""
        told = {"policy": self.deletions, "file": self.record_file or RECORD_FILE}
        told |= {"repository": repository, "branch": self.record_branch}
        plain = Deletions()
        return {key: value for key, value in told.items() if value != getattr(plain, key)}

    def _authors(self) -> dict[str, Any]:
        rows = [line.partition("=") for line in _split(self.people)]
        people = {address.strip(): author.strip() for address, _, author in rows}
        told: dict[str, Any] = {} if self.authors == Authors().policy else {"policy": self.authors}
        return told | ({"people": people} if people else {})

    def arranged(self, do: str, row: int) -> Self:
        """With a row of changes to contents added, removed or moved up; else as it is."""
        rows = list(self.transforms)
        if do == "add-transform":
            rows.append(TransformDraft())
        elif do == "remove-transform" and 0 <= row < len(rows):
            del rows[row]
        elif do == "up-transform" and 0 < row < len(rows):
            rows[row - 1 : row + 1] = [rows[row], rows[row - 1]]
        return replace(self, transforms=tuple(rows))


_PLAIN: Final = OptionsDraft()
_CHANGED: Final = frozenset(OPTION_KEYS)


def kept(options: Options, names: Labels) -> dict[str, Any]:
    """The keys whose values a form would change: they are carried along as they are."""
    shown = _as_typed(OptionsDraft.from_options(options, names)).to_data(names)
    return {key: value for key, value in options_data(options).items() if not _equal(value, shown.get(key))}


def _equal(one: Any, other: Any) -> bool:
    """Also in the order of people, which is the order in which they are written."""
    people = [list(side.get("people", ())) if isinstance(side, dict) else [] for side in (one, other)]
    return bool(one == other and people[0] == people[1])


def _as_typed(draft: OptionsDraft) -> OptionsDraft:
    """The draft as a browser sends it back: every line break is the same one."""
    names = [one.name for one in fields(draft) if one.name not in (*_FLAGS, "transforms")]
    texts: dict[str, Any] = {name: plain_lines(getattr(draft, name)) for name in names}
    rows = tuple(
        TransformDraft(row.type, plain_lines(row.find), plain_lines(row.text), plain_lines(row.files))
        for row in draft.transforms
    )
    return replace(draft, **texts, transforms=rows)


def plain_lines(text: str) -> str:
    """Text of a form with plain line ends."""
    return _BREAK.sub("\n", text)


def _split(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if line.strip()]


def option_problem_key(where: str) -> str:
    """The option that a problem is about; empty: none of them."""
    key = re.split(r"[.\[]", where, maxsplit=1)[0]
    return key if key in _CHANGED else ""


_FIELDS: Final = {
    "deletions.file": "record_file",
    "deletions.repository": "record_repository",
    "deletions.branch": "record_branch",
    "deletions.policy": "deletions",
    "authors.policy": "authors",
}


def option_field_id(where: str) -> str:
    """The id of the field that a problem with an option belongs to; empty: none."""
    if where.startswith("transforms["):
        row, _, name = where.removeprefix("transforms[").partition("].")
        name = name.partition("[")[0]
        return f"transform-{row.partition(']')[0]}-{name or 'type'}"
    if where.startswith("pull_request."):
        return where.removeprefix("pull_request.").partition("[")[0]
    if where.startswith("authors.people"):
        return "people"
    return _FIELDS.get(where, where if where in _CHANGED else "")


def without(data: Mapping[str, Any], problems: Sequence[str]) -> dict[str, Any]:
    """The options of `data` that nothing is wrong with."""
    wrong = {option_problem_key(where) for where in problems}
    return {key: data[key] for key in OPTION_KEYS if key in data and key not in wrong}

"""“When and how it arrives” in the workbench: what can be chosen, what it means, what a provider lacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from opssight.core.words import join_words
from repos.providers.registry import provider_named
from repos.providers.types import Capability
from syncs.copy.forms.listening_fields import ListeningDraft
from syncs.copy.forms.option_fields import OptionsDraft
from syncs.copy.forms.rule_form import Draft, Names, Problems
from syncs.copy.rules.options import RECORD_FILE
from syncs.copy.views.inputs import Field

Answers = Sequence[tuple[str, str, str]]  # value, label, what it means

QUESTIONS: Final[Mapping[str, tuple[str, Answers]]] = {
    "strategy": (
        "It arrives as",
        (
            ("direct", "A commit on the branch", "Pushed to the target's branch at once."),
            (
                "pull_request",
                "A pull request",
                "One for each target, on a branch that stays the same: newer changes go into the open one.",
            ),
        ),
    ),
    "deletions": (
        "When a file goes at the source",
        (
            ("ignore", "It stays at the target", "Nothing is deleted and nothing is noted."),
            ("record", "It stays, and is put on a list", "A JSON file names what nobody updates any more."),
            (
                "delete",
                "It is deleted at the target",
                "Only files that this rule wrote or took over, and that nobody has changed there since.",
            ),
        ),
    ),
    "edits": (
        "When somebody has changed a file at the target",
        (
            ("overwrite", "It is written over", "The source decides; the change there is lost."),
            (
                "merge",
                "Both changes are kept",
                "A three-way merge. What conflicts waits for you.",
            ),
            ("hold", "It is left as it is", "The run names the file and waits for you to decide."),
        ),
    ),
    "authors": (
        "The commit is by",
        (
            ("bot", "OpsSight", "The same author for every copy."),
            (
                "source",
                "Whoever changed the source",
                "The author of the newest commit there that touches a copied file.",
            ),
            (
                "map",
                "Whom you name for them",
                "By the author's e-mail address; all others become OpsSight.",
            ),
        ),
    ),
    "sign": (
        "The commit is",
        (
            ("none", "Not signed", "As git makes it."),
            ("key", "Signed with the installation's key", "The administrator has set one up, of ssh or GPG."),
            (
                "api",
                "Made and signed by the provider",
                "Shown as verified there. It cannot carry executable files or links: those are refused.",
            ),
        ),
    ),
}

EVENTS: Final[Answers] = (
    ("push", "A push", "The source branch moves, whatever moved it."),
    ("pull_request", "A merged pull request", "Into the source branch; messages then know its number."),
    ("tag", "A tag", "The commit that it stands for is copied, not what the branch has by then."),
)
UPDATES: Final[Answers] = (
    ("update", "made again on the newest base", "Always one commit."),
    ("append", "one more commit is added", "Reviewers see what came since."),
    ("recreate", "closed, and a new one opened", "Reviews begin anew."),
)
OTHERS: Final[Answers] = (
    ("append", "ours goes on top of theirs", "Their commits are never overwritten."),
    ("hold", "it waits for you", "Their commits are never overwritten."),
)
METHODS: Final[Answers] = (
    ("merge", "with a merge commit", ""),
    ("squash", "squashed", ""),
    ("rebase", "rebased", ""),
)
TRANSFORMS: Final[Answers] = (
    ("replace", "replace text", "Each place where the first text stands becomes the second one."),
    ("header", "put a text before", "Unless the file begins with it already."),
    ("footer", "put a text after", "Unless the file ends with it already."),
    ("line_endings", "line endings", "lf or crlf."),
    ("variables", "fill in variables", "${name} of the rule and of messages get their values."),
    ("remove_blocks", "leave blocks out", "From a line with the first text to the next with the second."),
)

_SUMMARY: Final[Mapping[str, Mapping[str, str]]] = {
    "strategy": {"direct": "as a commit on the branch", "pull_request": "as a pull request"},
    "deletions": {"record": "deleted files are put on a list", "delete": "deleted files are deleted there"},
    "edits": {"merge": "changes made there are kept", "hold": "files changed there are left"},
    "authors": {"source": "by the author at the source", "map": "by the authors you name"},
    "sign": {"key": "signed", "api": "signed by the provider"},
}


@dataclass(frozen=True)
class Answer:
    value: str
    label: str
    sentence: str
    chosen: bool


@dataclass(frozen=True)
class Question:
    """Radio buttons, or boxes to tick; `field` carries the problems, `note` what a provider cannot do."""

    legend: str
    answers: Sequence[Answer]
    field: Field
    note: str = ""
    note_at: str = ""  # the answer that it is about


@dataclass(frozen=True)
class TransformRow:
    index: int
    type: Field
    answers: Sequence[Answer]
    find: Field
    text: Field
    files: Field

    @property
    def fields(self) -> list[Field]:
        return [self.type, self.find, self.text, self.files]


@dataclass(frozen=True)
class Arrival:
    """The whole section. `notes` are by field; `awaited` is what starts the rule.

    `open`: somebody is at work in it, something is wrong, or something is not shown here.
    """

    sentence: str
    open: bool
    questions: Mapping[str, Question]
    fields: Mapping[str, Field]
    lists: Mapping[str, Sequence[Answer]]
    transforms: Sequence[TransformRow]
    notes: Mapping[str, str]
    kept: Sequence[str]
    awaited: str
    draft: OptionsDraft

    @property
    def all_fields(self) -> list[Field]:
        found = [question.field for question in self.questions.values()]
        found += list(self.fields.values())
        return found + [field for row in self.transforms for field in row.fields]


def arrival(draft: Draft, names: Names, problems: Problems, *, opened: bool = False) -> Arrival:
    """The section for a draft; `opened`: somebody is at work in it."""
    options = draft.options
    notes = _notes(draft, names)
    questions = {
        name: Question(
            legend,
            _answers(answers, getattr(options, name)),
            Field(name, name, legend, getattr(options, name), problems.get(name, [])),
            notes.get(name, ""),
            {"strategy": "pull_request", "sign": "api"}.get(name, ""),
        )
        for name, (legend, answers) in QUESTIONS.items()
    }
    questions["events"] = _events(draft, problems, notes.get("events", ""))
    fields = {name: _field(name, label, options, problems) for name, label in _FIELDS.items()}
    tags = draft.listening.tags
    fields["tags"] = Field("tags", "tags", "Tags", tags, problems.get("tags", []), "every tag")
    rows = [_row(index, options, problems) for index in range(len(options.transforms))]
    made = Arrival(
        sentence=_sentence(draft),
        open=False,
        questions=questions,
        fields=fields,
        lists={
            "update": _answers(UPDATES, options.update),
            "others_commits": _answers(OTHERS, options.others_commits),
            "merge_method": _answers(METHODS, options.merge_method),
        },
        transforms=rows,
        notes=notes,
        kept=sorted(draft.kept),
        awaited=draft.listening.awaited,
        draft=options,
    )
    wrong = any(field.errors for field in made.all_fields)
    return replace(made, open=opened or wrong or bool(draft.kept))


def _events(draft: Draft, problems: Problems, note: str) -> Question:
    legend, ticked = "What starts it", draft.listening.events
    answers = [Answer(value, label, sentence, value in ticked) for value, label, sentence in EVENTS]
    field = Field("events", "events", legend, "", problems.get("events", []))
    return Question(legend, answers, field, note, "pull_request")


_FIELDS: Final = {
    "title": "Title",
    "body": "Text",
    "labels": "Labels",
    "reviewers": "Reviewers",
    "assignees": "Assignees",
    "record_file": "The list",
    "record_repository": "In the repository",
    "record_branch": "On the branch",
    "people": "Who stands for whom",
}
_PLACEHOLDERS: Final = {
    "title": "the first line of the commit message",
    "labels": "one a line",
    "reviewers": "one a line; a team as owner/team",
    "assignees": "one a line",
    "record_file": RECORD_FILE,
    "record_repository": "each target's own",
    "record_branch": "the target's branch",
    "people": "ada@example.org = Ada Lovelace <ada@work.example>",
}


def _field(name: str, label: str, options: OptionsDraft, problems: Problems) -> Field:
    value = getattr(options, name)
    return Field(name, name, label, value, problems.get(name, []), _PLACEHOLDERS.get(name, ""))


def _answers(answers: Answers, chosen: str) -> list[Answer]:
    return [Answer(value, label, sentence, value == chosen) for value, label, sentence in answers]


def _row(index: int, options: OptionsDraft, problems: Problems) -> TransformRow:
    row = options.transforms[index]

    def made(name: str, label: str, value: str, placeholder: str = "") -> Field:
        id = f"transform-{index}-{name}"
        text = f"{label}, change {index + 1}"
        return Field(id, f"transform_{name}", text, value, problems.get(id, []), placeholder)

    find, text = _TRANSFORM_WORDS.get(row.type, ("", ""))
    return TransformRow(
        index,
        made("type", "What to do", row.type),
        _answers(TRANSFORMS, row.type),
        made("find", "First text", row.find, find),
        made("text", "Second text", row.text, text),
        made("files", "Files", row.files, "all files"),
    )


_TRANSFORM_WORDS: Final = {
    "replace": ("this text", "becomes this one"),
    "header": ("not used", "the text to put before"),
    "footer": ("not used", "the text to put after"),
    "line_endings": ("not used", "lf or crlf"),
    "variables": ("not used", "not used"),
    "remove_blocks": (":remove-start:", ":remove-end:"),
}


def _sentence(draft: Draft) -> str:
    said = [] if draft.listening == ListeningDraft() else [f"after a {draft.listening.awaited}"]
    said += [words.get(getattr(draft.options, name), "") for name, words in _SUMMARY.items()]
    if draft.options.transforms:
        said.append("contents are changed")
    if draft.kept:
        said.append("more in the YAML")
    text = ", ".join(one for one in said if one)
    return text[:1].upper() + text[1:]


# --- what the providers lack -------------------------------------------------------------------


def _notes(draft: Draft, names: Names) -> dict[str, str]:
    """By field: at which repositories it does nothing, and what happens there instead; empty: at none."""
    source = names.find(draft.source)
    sources = [(source.label, source.provider)] if source else []
    targets = [choice for row in draft.targets if (choice := names.find(row.repository))]
    places = [(choice.label, choice.provider) for choice in targets]
    found = {
        "events": _said(
            sources, _lacks(Capability.PULL_REQUESTS), "has none: each move of the branch starts it."
        ),
        "strategy": _said(
            places, _lacks(Capability.PULL_REQUESTS), "has no pull requests: the change waits on a branch."
        ),
        "sign": _said(places, _lacks(Capability.SIGNED_COMMITS), "does not sign commits by itself."),
    }
    forges = [place for place in places if not _lacks(Capability.PULL_REQUESTS)(place[1])]
    for name, capability, sentence in _CAPABLE:
        found[name] = _said(forges, _lacks(capability), sentence)
    return found


_CAPABLE: Final = (
    ("draft", Capability.DRAFTS, "has no drafts: it is opened for review at once."),
    ("labels", Capability.LABELS, "has no labels."),
    ("reviewers", Capability.REVIEWERS, "has no reviewers."),
    ("assignees", Capability.ASSIGNEES, "has no assignees."),
    (
        "auto_merge",
        Capability.AUTO_MERGE,
        "does not merge by itself: OpsSight looks again until the checks are done, then merges.",
    ),
)


def _lacks(capability: Capability) -> Callable[[str], bool]:
    return lambda kind: capability not in provider_named(kind).capabilities


def _said(places: Sequence[tuple[str, str]], lacks: Callable[[str], bool], sentence: str) -> str:
    """The sentence with the providers that lack it, and the targets that are there."""
    kinds: dict[str, list[str]] = {}
    for label, kind in places:
        if lacks(kind):
            kinds.setdefault(kind, []).append(label)
    if not kinds:
        return ""
    said = [
        f"{provider_named(kind).label} ({join_words(labels)}) {sentence}" for kind, labels in kinds.items()
    ]
    return " ".join(said)

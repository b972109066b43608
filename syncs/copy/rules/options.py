"""How a copy arrives at its target, and what becomes of deletions, edits, contents and authors.

`read_options` and `options_data` turn the keys of a configuration into `Options` and back without loss;
what is left out has the default that stands in the dataclasses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal, get_args

from opssight.core.errors import InvalidInput
from opssight.core.yamlsafe import KeyPath
from syncs.copy.rules.paths import safe_target
from syncs.copy.rules.patterns import glob
from syncs.copy.rules.reading import Reader

Strategy = Literal["direct", "pull_request"]
MergeMethod = Literal["merge", "squash", "rebase"]
Update = Literal["update", "append", "recreate"]
OthersCommits = Literal["append", "hold"]
DeletionPolicy = Literal["ignore", "record", "delete"]
Edits = Literal["overwrite", "merge", "hold"]
TransformType = Literal["replace", "header", "footer", "line_endings", "variables", "remove_blocks"]
AuthorPolicy = Literal["bot", "source", "map"]
Signing = Literal["none", "key", "api"]

STRATEGIES: Final[tuple[Strategy, ...]] = get_args(Strategy)
MERGE_METHODS: Final[tuple[MergeMethod, ...]] = get_args(MergeMethod)
UPDATES: Final[tuple[Update, ...]] = get_args(Update)
OTHERS_COMMITS: Final[tuple[OthersCommits, ...]] = get_args(OthersCommits)
DELETION_POLICIES: Final[tuple[DeletionPolicy, ...]] = get_args(DeletionPolicy)
EDITS: Final[tuple[Edits, ...]] = get_args(Edits)
TRANSFORM_TYPES: Final[tuple[TransformType, ...]] = get_args(TransformType)
AUTHOR_POLICIES: Final[tuple[AuthorPolicy, ...]] = get_args(AuthorPolicy)
SIGNINGS: Final[tuple[Signing, ...]] = get_args(Signing)

RECORD_FILE: Final = "deprecated_examples.json"

MAX_TEXT: Final = 10_000  # characters of a template or of a text to put in
MAX_NAMES: Final = 50  # labels, reviewers, assignees
MAX_NAME: Final = 200
MAX_TRANSFORMS: Final = 50
MAX_PEOPLE: Final = 500
_ADDRESS: Final = re.compile(r"[^<>\n]{1,150} <[^<>\s]{3,250}>")


@dataclass(frozen=True)
class PullRequest:
    """The pull request that a target's changes arrive in, on one stable branch.

    `title` and `body` are templates; an empty title is the first line of the commit message. `update`: what
    a newer change does to the open one: its commit is made again on the newest base (`update`), one more
    commit is added (`append`), or it is closed and a new one opened (`recreate`). `others_commits`: what
    happens when a person has pushed to its branch: ours goes on top (`append`), or it waits (`hold`).
    """

    title: str = ""
    body: str = ""
    use_template: bool = False
    labels: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    assignees: tuple[str, ...] = ()
    draft: bool = False
    auto_merge: bool = False
    merge_method: MergeMethod = "merge"
    update: Update = "update"
    others_commits: OthersCommits = "append"


@dataclass(frozen=True)
class Deletions:
    """What happens when a file that was copied goes at the source.

    `record` writes it into `file`, a JSON list, of `repository` and `branch`; empty ones are the target's.
    `delete` deletes files that the rule wrote itself and nobody has changed since.
    """

    policy: DeletionPolicy = "ignore"
    file: str = RECORD_FILE
    repository: str = ""
    branch: str = ""


@dataclass(frozen=True)
class Transform:
    """One change to the contents of text files. `files` are globs of target paths; none: all.

    replace        `find` becomes `text`, everywhere
    header, footer `text` is put before or after what is there, unless it stands there already
    line_endings   `text` is `lf` or `crlf`
    variables      `${name}` of the match and of messages get their values
    remove_blocks  lines from one with `find` to the next one with `text` are left out, with both
    """

    type: TransformType
    find: str = ""
    text: str = ""
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Authors:
    """Who the commit is by: us, the author of the newest source commit, or whom `people` maps that one to.

    `people`: e-mail address of an author -> `Name <address>`; who is not in it becomes us.
    """

    policy: AuthorPolicy = "bot"
    people: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Options:
    """Everything beside which files go where.

    `edits`: what happens to a file that somebody has changed at the target since we wrote it: it is
    written over, both changes are kept by a three-way merge, or it is left and the item waits.
    `sign`: commits are not signed, signed with the installation's key, or made by the provider's API.
    """

    strategy: Strategy = "direct"
    pull_request: PullRequest = field(default_factory=PullRequest)
    deletions: Deletions = field(default_factory=Deletions)
    edits: Edits = "overwrite"
    transforms: tuple[Transform, ...] = ()
    authors: Authors = field(default_factory=Authors)
    sign: Signing = "none"


OPTION_KEYS: Final = tuple(one.name for one in fields(Options))


def read_options(reader: Reader, holder: Mapping[str, object], path: KeyPath = ()) -> Options:
    """The options in the keys of `holder`; problems go to the reader."""
    return Options(
        strategy=reader.choice(holder, "strategy", path, STRATEGIES, default="direct"),
        pull_request=_pull_request(reader, holder.get("pull_request"), (*path, "pull_request")),
        deletions=_deletions(reader, holder.get("deletions"), (*path, "deletions")),
        edits=reader.choice(holder, "edits", path, EDITS, default="overwrite"),
        transforms=_transforms(reader, holder.get("transforms"), (*path, "transforms")),
        authors=_authors(reader, holder.get("authors"), (*path, "authors")),
        sign=reader.choice(holder, "sign", path, SIGNINGS, default="none"),
    )


def options_data(options: Options) -> dict[str, object]:
    """The keys that `read_options` takes back; defaults are left out."""
    return _told(options)


def _told(value: Any) -> dict[str, object]:
    """The fields that differ from their defaults, as plain data."""
    default = type(value)("replace") if isinstance(value, Transform) else type(value)()
    told: dict[str, object] = {}
    for one in fields(value):
        given = getattr(value, one.name)
        if given != getattr(default, one.name):
            told[one.name] = _plain(given)
    if isinstance(value, Transform):
        told = {"type": value.type, **told}
    return told


def _plain(value: Any) -> object:
    if isinstance(value, PullRequest | Deletions | Authors | Transform):
        return _told(value)
    if isinstance(value, tuple):
        pairs = [one for one in value if isinstance(one, tuple)]
        return dict(pairs) if pairs else [_plain(one) for one in value]
    return value


def _pull_request(reader: Reader, value: object, path: KeyPath) -> PullRequest:
    data = reader.mapping({} if value is None else value, path, _names(PullRequest))

    def names(key: str) -> tuple[str, ...]:
        return reader.texts(data.get(key), (*path, key), count=MAX_NAMES, limit=MAX_NAME)

    return PullRequest(
        title=reader.text(data, "title", path, limit=MAX_TEXT, default=""),
        body=reader.text(data, "body", path, limit=MAX_TEXT, default="", lines=True),
        use_template=reader.flag(data, "use_template", path),
        labels=names("labels"),
        reviewers=names("reviewers"),
        assignees=names("assignees"),
        draft=reader.flag(data, "draft", path),
        auto_merge=reader.flag(data, "auto_merge", path),
        merge_method=reader.choice(data, "merge_method", path, MERGE_METHODS, default="merge"),
        update=reader.choice(data, "update", path, UPDATES, default="update"),
        others_commits=reader.choice(data, "others_commits", path, OTHERS_COMMITS, default="append"),
    )


def _deletions(reader: Reader, value: object, path: KeyPath) -> Deletions:
    """A word, or a mapping that says where they are recorded."""
    if isinstance(value, str):
        value = {"policy": value}
    data = reader.mapping({} if value is None else value, path, _names(Deletions))
    found = Deletions(
        policy=reader.choice(data, "policy", path, DELETION_POLICIES, default="ignore"),
        file=reader.text(data, "file", path, limit=1_000, default=RECORD_FILE),
        repository=reader.text(data, "repository", path, limit=300, default=""),
        branch=reader.text(data, "branch", path, limit=255, default=""),
    )
    check_path(reader, found.file, (*path, "file"))
    return found


def check_path(reader: Reader, text: str, path: KeyPath) -> None:
    """Reports a path that may not be written."""
    try:
        safe_target(text.encode("utf-8", "surrogateescape"))
    except InvalidInput as error:
        reader.error(path, error.sentence)


def _transforms(reader: Reader, value: object, path: KeyPath) -> tuple[Transform, ...]:
    items = reader.items(value, path, limit=MAX_TRANSFORMS)
    return tuple(_transform(reader, item, (*path, index)) for index, item in enumerate(items))


def _transform(reader: Reader, value: object, path: KeyPath) -> Transform:
    data = reader.mapping(value, path, _names(Transform))
    found = Transform(
        type=reader.choice(data, "type", path, TRANSFORM_TYPES),
        find=reader.text(data, "find", path, limit=MAX_TEXT, default="", lines=True),
        text=reader.text(data, "text", path, limit=MAX_TEXT, default="", lines=True),
        files=reader.texts(data.get("files"), (*path, "files"), count=100, limit=1_000),
    )
    for key in _NEEDED.get(found.type, ()):
        if isinstance(value, Mapping) and not getattr(found, key):
            reader.error((*path, key), f"A transform of type {found.type} needs {key}.")
    if found.type == "line_endings" and found.text and found.text not in ("lf", "crlf"):
        reader.error((*path, "text"), f"{found.text[:20]!r} is no kind of line ending; use lf or crlf.")
    for index, pattern in enumerate(found.files):
        try:
            glob(pattern)
        except InvalidInput as error:
            reader.error((*path, "files", index), error.sentence)
    return found


_NEEDED: Final[Mapping[TransformType, Sequence[str]]] = {
    "replace": ("find",),
    "header": ("text",),
    "footer": ("text",),
    "line_endings": ("text",),
    "remove_blocks": ("find", "text"),
}


def _authors(reader: Reader, value: object, path: KeyPath) -> Authors:
    """A word, or a mapping with the people."""
    if isinstance(value, str):
        value = {"policy": value}
    data = reader.mapping({} if value is None else value, path, _names(Authors))
    people = data.get("people")
    if people is not None and not isinstance(people, Mapping):
        reader.error((*path, "people"), "people maps an e-mail address to “Name <address>”.")
        people = None
    rows = [(str(key), str(one)) for key, one in (people or {}).items()][:MAX_PEOPLE]
    for address, author in rows:
        if not _ADDRESS.fullmatch(author):
            reader.error((*path, "people", address), f"{author[:50]!r} is not “Name <address>”.")
    return Authors(
        policy=reader.choice(data, "policy", path, AUTHOR_POLICIES, default="bot"),
        people=tuple(rows),
    )


def _names(cls: type) -> tuple[str, ...]:
    return tuple(one.name for one in fields(cls))

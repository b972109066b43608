"""The oldest format: a list of folders, each with the repository that it is copied to.

It names no source: whoever reads it says which repository it is about, and a target without an owner is
of the same owner.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from opssight.core.yamlsafe import KeyPath
from syncs.copy.formats.files import Part
from syncs.copy.formats.shared import check_ends, check_rule, repository_name
from syncs.copy.formats.translate import escaped
from syncs.copy.rules.config import MAX_MESSAGE, MAX_PATTERN, MAX_RULES, Flow, branch
from syncs.copy.rules.options import Options, PullRequest
from syncs.copy.rules.reading import Reader
from syncs.copy.rules.rule import Rule

MESSAGE: Final = "Automated PR with updated examples"
_KEYS: Final = (
    "source_directory",
    "target_repo",
    "target_branch",
    "target_directory",
    "recursive_copy",
    "copier_commit_strategy",
    "pr_title",
    "commit_message",
    "merge_without_review",
)
_STRATEGIES: Final = ("direct", "pr")


def read(part: Part, source: tuple[str, str] | None) -> tuple[list[Flow], int]:
    """One flow for each entry; without a `source` (repository, branch) the flows name none."""
    reader = part.reader
    if source is None:
        message = (
            "This format does not say which repository it copies from: say it, in a command with --source."
        )
        reader.warning((), message)
    items = reader.items(part.value, part.path, limit=MAX_RULES, needed="Give at least one folder.")
    flows: list[Flow] = []
    for index, value in enumerate(items):
        path = (*part.path, index)
        data = reader.mapping(value, path, _KEYS)
        if isinstance(value, Mapping):
            flows.append(_flow(reader, data, path, source or ("", "main")))
    return flows, len(items)


def _flow(reader: Reader, data: Mapping[str, object], path: KeyPath, source: tuple[str, str]) -> Flow:
    def text(key: str) -> str:
        return reader.text(data, key, path, limit=MAX_MESSAGE, default="", lines=True)

    name = repository_name(reader, data, "target_repo", path)
    owner = source[0].rpartition("/")[0]
    target = (
        f"{owner}/{name}" if name and owner and "/" not in name else name,
        branch(reader, data, "target_branch", path, default="main"),
    )
    check_ends(reader, path, source, target)
    rule = _rule(reader, data, path)
    kind = reader.choice(data, "copier_commit_strategy", path, _STRATEGIES, default="direct")
    pull = PullRequest(
        title=" ".join(text("pr_title").split()),
        auto_merge=reader.flag(data, "merge_without_review", path),
    )
    return Flow(
        name=rule.pattern if rule.pattern != "**" else name,
        source_repo=source[0],
        source_branch=source[1],
        rules=(rule,),
        target_repo=target[0],
        target_branch=target[1],
        match="every",
        message=text("commit_message") or MESSAGE,
        flavour="workflow",
        options=Options(strategy="pull_request" if kind == "pr" else "direct", pull_request=pull),
    )


def _rule(reader: Reader, data: Mapping[str, object], path: KeyPath) -> Rule:
    """Everything below the folder, or only the files right in it."""
    source, target = (
        _folder(reader, data, "source_directory", path),
        _folder(reader, data, "target_directory", path),
    )
    recursive = data.get("recursive_copy") is None or reader.flag(data, "recursive_copy", path)
    below = f"{target}/" if target else ""
    if not recursive:
        folder = escaped(f"{source}/") if source else ""
        rule = Rule("regex", rf"\A{folder}(?P<relative_path>[^/]+)\z", f"{below}${{relative_path}}")
    elif source:
        rule = Rule("move", source, target or ".")
    else:
        rule = Rule("glob", "**", f"{below}${{relative_path}}")
    keys: dict[str, KeyPath] = {"pattern": ("source_directory",), "template": ("target_directory",)}
    check_rule(reader, rule, path, keys, "workflow")
    return rule


def _folder(reader: Reader, data: Mapping[str, object], key: str, path: KeyPath) -> str:
    """A folder without slashes around it; empty for the whole repository."""
    name = reader.text(data, key, path, limit=MAX_PATTERN, default="").strip("/")
    return "" if name == "." else name.removeprefix("./")

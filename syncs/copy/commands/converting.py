"""`copy validate`, `copy convert` and `copy sources`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from opssight.core.command import Answer, table
from opssight.core.errors import InvalidInput
from opssight.core.words import count
from syncs.copy.commands.opening import opened, source_of, usable
from syncs.copy.formats import Loaded
from syncs.copy.formats.convert import Named, consolidated, converted
from syncs.copy.rules.config import Flow

Say = Callable[[str], None]


def validated(options: dict[str, Any]) -> tuple[Loaded, dict[str, Any]]:
    """The file, and the document about it."""
    loaded = opened(options, options["file"], source=source_of(options["source"]))
    document = {
        "valid": not loaded.errors,
        "format": loaded.format,
        "errors": [{"where": where, "message": message} for where, message in loaded.errors],
        "warnings": [{"where": where, "message": message} for where, message in loaded.warnings],
        "rules": loaded.rules,
    }
    return loaded, document


def convert(options: dict[str, Any], say: Say) -> Answer:
    """The files as one, in the other format. With `--json` the text and what the files are at odds about."""
    source = source_of(options["source"])
    names: Sequence[str] = options["files"]
    several = len(names) > 1
    files = [Named(name, usable(options, name, source=source, one_of_several=several)) for name in names]
    for file in files:
        tell(file.loaded, say, file.name if several else "")
        if file.loaded.left_out:
            raise InvalidInput(
                f"{file.name} names files that cannot be read, and their rules would be lost.",
                list(file.loaded.left_out),
            )
        if file.loaded.names_no_source:
            raise InvalidInput(f"{file.name} does not say what it copies from. Name it with --source.")
    flows, conflicts = consolidated(files)
    for sentence in conflicts:
        say(f"conflict: {sentence}")
    if not flows:
        raise InvalidInput("The files have no rule that is switched on, so there is nothing to write.")
    text = converted(flows, options["to"])
    return Answer({"yaml": text, "conflicts": conflicts}, text.rstrip("\n"))


def tell(loaded: Loaded, say: Say, name: str = "") -> None:
    """The warnings about a file."""
    before = f"warning: {name}: " if name else "warning: "
    for where, message in loaded.warnings:
        say(f"{before}{where}: {message}" if where else f"{before}{message}")


def sources(options: dict[str, Any]) -> Answer:
    """The repositories that a file copies from, with how much of it is about each."""
    loaded = usable(options, options["file"], source=source_of(options["source"]))
    groups: dict[tuple[str, str], list[Flow]] = {}
    for flow in loaded.parts:
        groups.setdefault((flow.source_repo, flow.source_branch), []).append(flow)
    rows = [_row(repo, branch, flows) for (repo, branch), flows in groups.items()]
    off = [one for one in loaded.disabled if one not in groups]
    rows += [_row(repo, branch, [], enabled=False) for repo, branch in dict.fromkeys(off)]
    text = table(rows, ["source", "branch", "rules", "targets", "enabled"])
    return Answer({"format": loaded.format, "sources": rows}, f"{text}\n{count(len(rows), 'source')}.")


def _row(repo: str, branch: str, flows: Sequence[Flow], *, enabled: bool = True) -> dict[str, object]:
    targets = sorted({flow.target_repo for flow in flows})
    return {
        "source": repo or None,
        "branch": branch,
        "rules": len({(flow.name, rule.pattern) for flow in flows for rule in flow.rules}),
        "targets": len(targets),
        "target_names": targets,
        "enabled": enabled,
    }

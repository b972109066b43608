"""The configuration file that a command is given, with the further files that it names."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opssight.core.errors import Failure, InvalidInput
from opssight.core.yamlsafe import MAX_BYTES
from repos.access import remote_typed
from repos.git.remote import Remote
from syncs.copy.commands.reads import FolderReads, read_file
from syncs.copy.formats import Loaded, Place, load
from syncs.copy.rules.config import is_branch_name


def opened(options: dict[str, Any], name: str, *, source: tuple[str, str] | None = None) -> Loaded:
    """The file `name` (`-`: standard input), as `--root` and `--repo` let it be read.

    Raises InvalidInput when it cannot be read; what stands in it is in `errors`.
    """
    remotes = remotes_of(options["repo"])
    if name == "-":
        root = Path(options["root"]) if options["root"] else None
        return load(read(name), reads=FolderReads(root, remotes), source=source)
    path = Path(name)
    data = read(name)
    root = Path(options["root"]) if options["root"] else root_of(path)
    return load(data, reads=FolderReads(root, remotes), place=_place(path, root), source=source)


def usable(
    options: dict[str, Any], name: str, *, source: tuple[str, str] | None = None, one_of_several: bool = False
) -> Loaded:
    """Like `opened`; InvalidInput with every problem when the configuration cannot be used."""
    loaded = opened(options, name, source=source)
    if loaded.errors:
        before = [name] if one_of_several else []
        problems = [(": ".join([*before, *filter(None, [where])]), text) for where, text in loaded.errors]
        raise InvalidInput(f"The configuration {name} cannot be used.", problems)
    return loaded


def read(name: str) -> bytes:
    """The file's bytes, or standard input for `-`. InvalidInput when it cannot be read or is too large."""
    if name != "-":
        return read_file(Path(name), name)
    data = sys.stdin.buffer.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise InvalidInput("The file - is larger than 1 MB. A copier configuration is smaller.")
    return data


def root_of(path: Path) -> Path:
    """The top of the checkout that a file is in, or else its folder."""
    folder = path.resolve().parent
    return next((one for one in (folder, *folder.parents) if (one / ".git").exists()), folder)


def _place(path: Path, root: Path) -> Place:
    try:
        return Place(path.resolve().relative_to(root.resolve()).as_posix())
    except ValueError:
        raise InvalidInput(f"The file {path} is not in the folder {root} that --root names.") from None


def source_of(text: str) -> tuple[str, str] | None:
    """`OWNER/NAME` or `OWNER/NAME@BRANCH` as repository and branch; None for nothing."""
    name, _, branch = text.partition("@")
    if not text:
        return None
    if not name or not is_branch_name(branch or "main"):
        raise InvalidInput(f"--source {text!r} is not OWNER/NAME or OWNER/NAME@BRANCH.")
    return name, branch or "main"


def remotes_of(pairs: list[str]) -> Mapping[str, Remote]:
    """`OWNER/NAME=URL` pairs as a mapping. InvalidInput names the pair that cannot be used."""
    remotes: dict[str, Remote] = {}
    for pair in pairs:
        name, found, url = pair.partition("=")
        if not found or not name or not url:
            raise InvalidInput(f"--repo {pair!r} is not OWNER/NAME=URL, such as acme/docs=/srv/git/docs.git.")
        if name in remotes:
            raise InvalidInput(f"--repo {name} was given twice.")
        try:
            remotes[name] = remote_typed(url, name)
        except Failure as failure:
            raise InvalidInput(failure.sentence, [(f"--repo {name}", failure.sentence)]) from None
    return remotes

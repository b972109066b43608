"""Repositories in a folder of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from opssight.core.errors import InvalidInput
from repos.git.inspect import FolderState, inspect_folder
from repos.git.remote import Remote
from repos.providers.base import Options, Provider
from repos.providers.errors import FolderMissing, FolderNotAllowed, NotOfThisConnection
from repos.providers.folder.reach import leads_out
from repos.providers.folder.walk import find_repositories
from repos.providers.types import Capability, Context, Field, Identity, Missed, RemoteRepository

_LONGEST = 380  # characters of a path that is used as an id


class FolderProvider(Provider):
    """Every git repository below one folder; its id is its path from there.

    The folder must lie below an allowed root, unless the command line named it. Links are not
    followed. A repository of another user of this machine can be used: its root was allowed.
    """

    kind = "folder"
    label = "Folder"
    mark = "Fo"
    fields = (
        Field(
            "root",
            "Folder",
            "path",
            "The full path of a folder on this machine. Every repository below it is found.",
            required=True,
        ),
    )
    capabilities = frozenset({Capability.LIST})

    def __init__(self, options: Options, secrets: Mapping[str, str], context: Context) -> None:
        super().__init__(options, secrets, context)
        given = Path(self.options["root"])
        if not given.is_absolute():
            raise _invalid(f"{given} is not a full path. Write it from the beginning, such as /srv/git.")
        self.root = _real(given)
        if not context.trusted and not _below(self.root, [_real(root) for root in context.roots]):
            raise _invalid(_not_allowed(given, context))

    def identity(self) -> Identity:
        self._check_root()
        return Identity(str(self.root), "a folder on this machine")

    def repositories(self, missed: Missed | None = None) -> Iterator[RemoteRepository]:
        self._check_root()
        for path in find_repositories(self.root):
            yield self._describe(path)

    def repository(self, external_id: str) -> RemoteRepository:
        self._check_root()
        path = self._path(external_id)
        if inspect_folder(path, self.context.git).kind == "not a repository":
            raise NotOfThisConnection(f"There is no repository {external_id} below {self.root} any more.")
        return self._describe(path)

    def remote(self, external_id: str, full_name: str) -> Remote:
        self._check_root()
        path = self._path(external_id)
        self._refuse_outside(path)
        return Remote.from_url(str(path), label=full_name)

    def foreign_folder(self, external_id: str) -> Path | None:
        """The folder, if it belongs to another user: git must be told that it may be used."""
        path = self._path(external_id)
        return None if inspect_folder(path, self.context.git).owner_ok else path

    def _check_root(self) -> None:
        try:
            with os.scandir(self.root):
                return
        except FileNotFoundError:
            raise FolderMissing(
                f"The folder {self.root} is not there. Was it moved, or not mounted?"
            ) from None
        except NotADirectoryError:
            raise FolderMissing(
                f"{self.root} is a file. Name the folder that holds the repositories."
            ) from None
        except OSError:
            raise FolderMissing(
                f"The folder {self.root} cannot be read. Let OpsSight's user read it."
            ) from None

    def _path(self, external_id: str) -> Path:
        path = self.root / external_id
        real = _real(path)
        if real != Path(os.path.normpath(path)) or not _below(real, [self.root]):
            raise FolderNotAllowed(f"{external_id} leads out of {self.root} and is not used.")
        return real

    def _describe(self, path: Path) -> RemoteRepository:
        state = inspect_folder(path, self.context.git)
        relative = _shown(path.relative_to(self.root))
        name = _shown(Path(self.root.name)) if relative == "." else relative
        problem = self._problem(path, state)
        head = state.head or b""
        return RemoteRepository(
            external_id=relative,
            full_name=name.removesuffix(".git") or name,
            default_branch=head.removeprefix(b"refs/heads/").decode("utf-8", "replace")
            if head.startswith(b"refs/heads/")
            else "",
            usable=not problem,
            reason=problem,
        )

    def _problem(self, path: Path, state: FolderState) -> str:
        """Why a repository cannot be used. Somebody else's can: the root was allowed."""
        relative = path.relative_to(self.root)
        if _shown(relative) != str(relative):
            return "The path of this folder is too long or not valid UTF-8. Rename the folder."
        if problem := replace(state, owner_ok=True).problem:
            return problem
        try:
            Remote.from_url(str(path))
            self._refuse_outside(path)
        except (InvalidInput, FolderNotAllowed) as failure:
            return failure.sentence
        return ""

    def _refuse_outside(self, path: Path) -> None:
        """A repository may point to objects elsewhere; over HTTP that must not open other folders."""
        roots = [_real(root) for root in self.context.roots]
        if not self.context.trusted and leads_out(path, roots):
            raise FolderNotAllowed(
                f"{path.name} keeps its history in a folder outside the allowed ones. "
                "An administrator adds that one to OPSSIGHT_FOLDER_ROOTS."
            )


def _real(path: Path) -> Path:
    """Where the path leads in the end. Unlike `Path.resolve` it never raises for links in a circle."""
    return Path(os.path.realpath(path))


def _below(path: Path, roots: list[Path]) -> bool:
    return any(path.is_relative_to(root) for root in roots)


def _shown(path: Path) -> str:
    """The path as text that any database takes."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _not_allowed(given: Path, context: Context) -> str:
    if not context.roots:
        return (
            f"No folder of this machine may be used in the browser or by the API. An administrator sets "
            f"OPSSIGHT_FOLDER_ROOTS, or adds {given} on the command line."
        )
    allowed = ", ".join(str(root) for root in context.roots)
    return f"{given} is not below an allowed folder. Choose one below {allowed}."


def _invalid(sentence: str) -> InvalidInput:
    return InvalidInput(sentence, [("root", sentence)])

"""Where the files of a copier's configuration come from: repositories of the inventory, or what was given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from opssight.accounts.models import Role, Team
from opssight.accounts.scope import Principal, visible_to
from opssight.core.errors import InvalidInput, NotFound
from opssight.core.yamlsafe import MAX_BYTES
from repos import access
from repos.git.store import Store
from repos.git.types import TreeEntry
from repos.models import Repository
from syncs.copy.rules.paths import as_bytes, shown

_FILES: Final = ("100644", "100755")


@dataclass(frozen=True)
class Text:
    """A file as it was read. An empty repository: it was pasted or uploaded."""

    repository: str
    branch: str
    path: str
    text: str

    def as_row(self) -> list[str]:
        return [self.repository, self.branch, self.path, self.text]


@dataclass(frozen=True)
class Tip:
    """A branch as it was when it was looked at."""

    repository: Repository
    branch: str
    oid: str


class Source(Protocol):
    """Where a repository's files are looked for; see `formats.files.Reads`."""

    def read(self, repository: str | None, branch: str | None, path: str) -> bytes: ...


def in_team(principal: Principal, team: Team) -> Principal:
    """The same person with no rights outside the team: a file may not reach further than its team."""
    role = principal.roles.get(team.pk)
    return Principal(
        user=principal.user,
        roles={team.pk: role} if role is not None else {},
        token=principal.token,
        scopes=principal.scopes,
        team=team,
        passing=principal.passing,
    )


@dataclass
class StoreReads:
    """Files at the tips of branches. Asks git servers: never within a request or a transaction.

    `own` is the repository and branch of the first file. Raises NotFound for what is not there, InvalidInput
    for what is no file or too large, and whatever a server answers.
    """

    principal: Principal
    own: tuple[Repository, str] | None = None
    tips: dict[tuple[str | None, str | None], Tip] = field(default_factory=dict)

    def read(self, repository: str | None, branch: str | None, path: str) -> bytes:
        tip = self.tip(repository, branch)
        store = access.store_of(tip.repository)
        entry = _entry(store, tip, as_bytes(path))
        if entry.mode not in _FILES:
            raise InvalidInput(f"{path} in {tip.repository.full_name} is a link or a folder; name a file.")
        store.prefetch(access.remote_of(tip.repository), [entry.oid])
        if store.size(entry.oid) > MAX_BYTES:
            raise InvalidInput(f"{path} is larger than {MAX_BYTES // 1_000_000} MB.")
        return store.blob(entry.oid, MAX_BYTES)

    def tip(self, repository: str | None, branch: str | None) -> Tip:
        key = (repository, branch)
        if key not in self.tips:
            self.tips[key] = _fetched(*self._place(repository, branch))
        return self.tips[key]

    def _place(self, repository: str | None, branch: str | None) -> tuple[Repository, str]:
        if repository is None:
            if self.own is None:
                raise NotFound("The file it names was not given with it.")
            return self.own[0], branch or self.own[1]
        rows = visible_to(Repository.objects.select_related("connection"), self.principal, Role.VIEWER)
        found = list(rows.filter(full_name=repository).order_by("id")[:2])
        if not found:
            raise NotFound(f"There is no repository {repository!r} in this team. Import it first.")
        if len(found) > 1:
            raise NotFound(f"Several repositories of this team are called {repository!r}.")
        return found[0], branch or found[0].default_branch or "main"


@dataclass
class GivenReads:
    """Files that were pasted or uploaded together; what names a repository comes from the inventory."""

    texts: Mapping[str, str]
    others: StoreReads

    def read(self, repository: str | None, branch: str | None, path: str) -> bytes:
        if repository is not None:
            return self.others.read(repository, branch, path)
        if path not in self.texts:
            raise NotFound(f"The file {path} is needed as well. Upload it together with this one.")
        return self.texts[path].encode()


@dataclass
class Noted:
    """Remembers each further file that was read."""

    source: Source
    found: list[Text] = field(default_factory=list)

    def read(self, repository: str | None, branch: str | None, path: str) -> bytes:
        data = self.source.read(repository, branch, path)
        self.found.append(Text(repository or "", branch or "", path, as_text(data, path)))
        return data


def as_text(data: bytes, path: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} is not UTF-8 text.") from None


def _fetched(repository: Repository, branch: str) -> Tip:
    ref = f"refs/heads/{branch}"
    oid = access.look(repository).refs.get(ref.encode())
    if oid is None:
        raise NotFound(f"{repository.full_name} has no branch {branch}.")
    remote = access.remote_of(repository)
    access.store_of(repository).fetch(remote, [f"+{ref}:{ref}"], partial=True, want=oid)
    return Tip(repository, branch, oid)


def _entry(store: Store, tip: Tip, path: bytes) -> TreeEntry:
    folder = tip.oid
    parts = path.split(b"/")
    for number, part in enumerate(parts, 1):
        entry = next((one for one in store.level(folder) if one.path == part), None)
        if entry is None or (number < len(parts) and entry.type != "tree"):
            break
        if number == len(parts):
            return entry
        folder = entry.oid
    raise NotFound(f"{tip.repository.full_name} has no file {shown(path)} on {tip.branch}.")

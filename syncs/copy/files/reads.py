"""Where the files of a copier's configuration come from: repositories of the inventory, or what was given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from opssight.accounts.models import Role, Team
from opssight.accounts.scope import Principal, visible_to
from opssight.core.errors import InvalidInput, NotFound
from opssight.core.yamlsafe import MAX_BYTES
from repos import access
from repos.git.errors import TooLarge
from repos.git.remote import Remote
from repos.git.store import Store
from repos.git.types import TreeEntry
from repos.models import Repository
from repos.selectors import repository_named
from syncs.copy.formats import Reads
from syncs.copy.rules.paths import as_bytes

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
        row = tip.repository
        store, remote = access.store_of(row), access.remote_of(row)
        return contents_at(store, remote, row.full_name, tip.branch, tip.oid, path)

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
        found = repository_named(rows, repository)
        if found is None:
            raise NotFound(f"There is no repository {repository!r} in this team. Import it first.")
        return found, branch or found.default_branch or "main"


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

    source: Reads
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


def contents_at(store: Store, remote: Remote, name: str, branch: str, commit: str, path: str) -> bytes:
    """A file of a commit that is here; of the contents, only its own are fetched, and never more than 1 MB.

    `name` and `branch` are for the sentences. Raises NotFound when there is no such file, InvalidInput when
    it is no plain file or too large, and another Failure when the repository cannot be read now.
    """
    entry = _entry(store, commit, as_bytes(path))
    if entry is None:
        raise NotFound(f"{name} has no file {path} on branch {branch}.")
    if entry.mode not in _FILES:
        raise InvalidInput(f"{path} in {name} is no plain file: it is a link or a folder.")
    try:
        store.prefetch(remote, [entry.oid], limit=MAX_BYTES)
        fits = store.size(entry.oid) <= MAX_BYTES  # what was packed well may still be large
    except TooLarge:
        fits = False
    if not fits:
        size = f"{MAX_BYTES // 1_000_000} MB"
        raise InvalidInput(f"{path} in {name} is larger than {size}. A copier configuration is smaller.")
    return store.blob(entry.oid, MAX_BYTES)


def _fetched(repository: Repository, branch: str) -> Tip:
    ref = f"refs/heads/{branch}"
    oid = access.look(repository).refs.get(ref.encode())
    if oid is None:
        raise NotFound(f"{repository.full_name} has no branch {branch}.")
    remote = access.remote_of(repository)
    access.store_of(repository).fetch(remote, [f"+{ref}:{ref}"], partial=True, want=oid)
    return Tip(repository, branch, oid)


def _entry(store: Store, commit: str, path: bytes) -> TreeEntry | None:
    """What stands at a path, found folder by folder; None where there is nothing."""
    here = commit
    *folders, name = path.split(b"/")
    for folder in folders:
        found = _inside(store, here, folder)
        if found is None or found.type != "tree":
            return None
        here = found.oid
    return _inside(store, here, name)


def _inside(store: Store, tree: str, name: bytes) -> TreeEntry | None:
    return next((one for one in store.level(tree) if one.path == name), None)

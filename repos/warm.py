"""Stores that a page needs, fetched beside the request.

The store's locks make sure that one fetch serves all processes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from opssight.core.errors import NotFound
from repos import access
from repos.beside import AGAIN_SECONDS, Answer, ask, forget
from repos.git.errors import TooLarge
from repos.git.types import RemoteRefs
from repos.models import Repository

_ALL = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
FRESH_SECONDS = 30.0  # how long a look at the remote counts as now


@dataclass(frozen=True)
class Tip:
    """The commit a branch is at, as far as this machine knows.

    `oid` is empty while it was never fetched; then either it is being fetched or `sentence` says why
    that failed.
    """

    oid: str = ""
    fetching: bool = False
    sentence: str = ""
    empty: bool = False  # the repository has no branch at all


def tip(repository: Repository, branch: str, *, partial: bool = False) -> Tip:
    """The branch's commit in this machine's store; starts a fetch when it is missing or old.

    `partial`: commits and trees are enough (a target of a copy).
    """
    store = access.store_of(repository)
    ref = f"refs/heads/{branch}"
    oid = store.resolve(ref) or ""
    key = ("tip", repository.pk, branch, partial)  # one without contents does not stand for one with them
    fetched = ask(
        key, FRESH_SECONDS, lambda: _fetch(repository, branch, partial=partial), owner=repository.team_id
    )
    if not oid and fetched.value is False:
        return Tip(sentence=f"{repository.full_name} is empty: it has no branch yet.", empty=True)
    return Tip(oid, fetched.pending and not oid, "" if oid else fetched.sentence)


def refs(repository: Repository, *, wait: float = 0.0) -> Answer[RemoteRefs]:
    """What the repository has at its server now; its head, default branch and health follow."""
    key, owner = ("refs", repository.pk), repository.team_id
    return ask(key, FRESH_SECONDS, lambda: access.look(repository), owner=owner, wait=wait)


def history(repository: Repository, *, wait: float = 0.0) -> Answer[bool]:
    """Bring all branches and tags with their history here, contents left out where the server can do that.

    False for a repository that has none of them.
    """
    key, owner = ("history", repository.pk), repository.team_id
    return ask(key, FRESH_SECONDS, lambda: _fetch_all(repository), owner=owner, wait=wait)


def forget_refs(repository: Repository) -> None:
    """Look anew the next time."""
    forget(("refs", repository.pk))


@dataclass(frozen=True)
class Contents:
    """Whether contents are `here`; if not, they are being fetched or too large, or `sentence` says why."""

    here: bool = False
    fetching: bool = False
    too_large: bool = False
    sentence: str = ""


def blobs(
    repository: Repository, oids: Iterable[str], *, limit: int | None = None, wait: float = 2.0
) -> Contents:
    """Make sure that contents are in a store without contents; waits a moment, then says `fetching`.

    More than `limit` bytes, packed, stay where they are.
    """
    missing = sorted(access.store_of(repository).missing(oids))
    if not missing:
        return Contents(here=True)
    key, owner = ("blobs", repository.pk, limit, *missing), repository.team_id
    fits = ask(key, AGAIN_SECONDS, lambda: _prefetch(repository, missing, limit), owner=owner, wait=wait)
    return Contents(fits.value is True, fits.pending, fits.value is False, fits.sentence)


def _fetch(repository: Repository, branch: str, *, partial: bool) -> bool:
    """Fetch the branch; False for a repository that has no branch at all."""
    store = access.store_of(repository)
    remote = access.remote_of(repository)
    refs = store.look(remote).refs
    ref = f"refs/heads/{branch}"
    oid = refs.get(ref.encode())
    if oid is None:
        if not any(name.startswith(b"refs/heads/") for name in refs):
            return False
        raise NotFound(f"{repository.full_name} has no branch {branch}.")
    # the branch moved: fetch; else ask only for what the store may lack (contents)
    want = oid if store.resolve(ref) == oid else None
    store.fetch(remote, [f"+{ref}:{ref}"], partial=partial, want=want)
    return True


def _fetch_all(repository: Repository) -> bool:
    store = access.store_of(repository)
    refs = access.look(repository).refs
    here = {**store.refs("refs/heads/"), **store.refs("refs/tags/")}
    if refs and (store.current is None or here != refs):
        size = repository.size_bytes or 0
        store.fetch(access.remote_of(repository), _ALL, partial=True, prune=True, size_hint=size)
    return bool(refs)


def _prefetch(repository: Repository, oids: list[str], limit: int | None) -> bool:
    """Fetch contents; False where they are larger than `limit`."""
    try:
        access.store_of(repository).prefetch(access.remote_of(repository), oids, limit=limit)
    except TooLarge:
        if limit is None:  # the limit of the installation has a sentence of its own
            raise
        return False
    return True

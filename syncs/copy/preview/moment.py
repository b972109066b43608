"""The state of a source that somebody wants to look at: its newest commit, any other one, or a pull request.

Reads this machine's stores; what is missing is fetched beside the request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from opssight.core.errors import Conflict, Failure, InvalidInput, NotFound
from repos import access, contents, warm
from repos.beside import ask
from repos.git.store import Store
from repos.git.types import NO_OBJECT, Change
from repos.kept import kept
from repos.models import Repository
from repos.providers.forge import Forge
from repos.providers.types import Capability
from syncs.copy.plan.planned import SourceFile
from syncs.copy.transfer.making import Origin

FRESH_SECONDS: Final = 30.0  # how long a pull request counts as it was told
MAX_NUMBER: Final = 2**31
_NO_MODE: Final = "000000"
_REF: Final = re.compile(rb"refs/(?!opssight/).+/.+")


@dataclass(frozen=True)
class Moment:
    """`oid` is empty while it is not known: it is being fetched, or `sentence` says why there is none.

    `onto` is the commit of the source branch that the pull request `pr_number` would be merged into.
    """

    oid: str = ""
    onto: str = ""
    title: str = ""
    url: str = ""
    fetching: bool = False
    sentence: str = ""
    pr_number: str = ""


def moment(repository: Repository, branch: str, at: str = "", pull: str = "") -> Moment:
    """What `at` (a commit, a tag or a branch) or `pull` (a number) stands for; without them the newest."""
    tip = warm.tip(repository, branch)
    if not tip.oid or not (at or pull):
        return Moment(tip.oid, "", "the newest commit", "", tip.fetching, tip.sentence)
    try:
        return _pull(repository, tip.oid, pull) if pull else _commit(repository, at)
    except Conflict:
        return Moment(fetching=True)
    except Failure as failure:
        return Moment(sentence=failure.sentence)


def _commit(repository: Repository, at: str) -> Moment:
    oid = contents.resolve(repository, at.encode("utf-8", "surrogateescape"))
    return Moment(oid, "", f"commit {oid[:8]}" if oid.startswith(at) else at)


def _pull(repository: Repository, tip: str, text: str) -> Moment:
    number = text.removeprefix("#").removeprefix("!")
    if not (number.isdecimal() and number.isascii() and 0 < int(number[:12]) < MAX_NUMBER):
        raise InvalidInput(f"{text[:30]!r} is not the number of a pull request.")
    key = ("copy-pull", repository.pk, int(number))
    answer = ask(key, FRESH_SECONDS, lambda: _fetched_pull(repository, int(number)), owner=repository.team_id)
    if answer.value is None:
        return Moment(fetching=answer.pending, sentence=answer.sentence)
    return replace(answer.value, onto=tip)


def _fetched_pull(repository: Repository, number: int) -> Moment:
    """Asks the provider and fetches the commit. Never in a request."""
    client = access.client_of(repository.connection)
    if not isinstance(client, Forge) or Capability.PULL_REQUESTS not in client.capabilities:
        raise InvalidInput(f"{repository.full_name} has no pull requests. Name a commit instead.")
    pull = client.pull(repository.external_id, number)
    store = access.store_of(repository)
    refs = access.look(repository).refs
    there = [ref for ref, oid in refs.items() if pull.head_oid and oid.startswith(pull.head_oid)]
    wanted = min((ref for ref in there if _REF.fullmatch(ref)), key=lambda ref: (len(ref), ref), default=None)
    if wanted is None:
        raise NotFound(
            f"The commits of pull request {number} cannot be fetched from {repository.full_name}. "
            "Does it come from another repository?"
        )
    name, oid = wanted.decode("utf-8", "surrogateescape"), refs[wanted]
    store.fetch(access.remote_of(repository), [f"+{name}:{name}"], want=oid)
    return Moment(oid, "", f"pull request {number}: {pull.title}"[:200], pull.url, pr_number=str(number))


def origin_at(store: Store, moment: Moment) -> Origin:
    """The files of the source at that moment; of a pull request as if it was merged."""
    if not moment.onto:
        return Origin.of(store, moment.oid)
    return Merged(store.folder, moment.oid, store, moment.onto)


@dataclass(frozen=True)
class Merged(Origin):
    """A pull request as if it was merged into `onto` now: what it changed, over what stands there."""

    onto: str = ""

    def files(self) -> Mapping[bytes, SourceFile]:
        return _merged_files(self)

    def changes(self, base: str) -> Sequence[Change]:
        return _changes_between(Origin.of(self.store, base).files(), self.files())


@kept(len)
def _merged_files(origin: Merged) -> Mapping[bytes, SourceFile]:
    files = dict(Origin.of(origin.store, origin.onto).files())
    fork = origin.store.merge_base(origin.onto, origin.head)
    for change in origin.store.changes(fork, origin.head):
        gone = change.path if change.status == "D" else change.old_path
        if gone is not None and change.status in ("D", "R"):
            files.pop(gone, None)
        if change.status != "D":
            files[change.path] = SourceFile(change.path, change.mode, change.oid)
    return dict(sorted(files.items()))


def _changes_between(old: Mapping[bytes, SourceFile], new: Mapping[bytes, SourceFile]) -> tuple[Change, ...]:
    changes = []
    for path in sorted({*old, *new}):
        before, after = old.get(path), new.get(path)
        if before == after:
            continue
        status = "M" if before and after else "A" if after else "D"
        changes.append(
            Change(
                status,
                path,
                None,
                after.mode if after else _NO_MODE,
                after.oid if after else NO_OBJECT,
                before.mode if before else _NO_MODE,
                before.oid if before else NO_OBJECT,
            )
        )
    return tuple(changes)

"""Reading a copier's file beside a request: whoever asks asks again while it is on its way."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Final

from opssight.accounts.models import Role, Team
from opssight.accounts.scope import Principal, visible_to
from opssight.core.errors import NotFound
from repos.beside import Answer, ask
from repos.models import Connection, Repository
from repos.selectors import named, repository_named
from syncs.copy.files.given import Given, first_of, from_repository, from_texts, names_in
from syncs.copy.files.reads import StoreReads, in_team

FRESH_SECONDS: Final = 20.0  # how long what was read counts as what is there


def asked_repository(
    principal: Principal, team: Team, repository: Repository, branch: str, path: str, *, wait: float = 0.0
) -> Answer[Given]:
    """The file in a repository. It waits `wait` seconds for it at most."""
    key = ("copy-file", team.pk, principal.user.pk, repository.pk, branch, path)
    reads = StoreReads(in_team(principal, team))
    return ask(
        key, FRESH_SECONDS, lambda: from_repository(reads, repository, branch, path), owner=team.pk, wait=wait
    )


def asked_texts(
    principal: Principal,
    team: Team,
    texts: Mapping[str, str],
    source: tuple[str, str] | None,
    *,
    wait: float = 0.0,
) -> Answer[Given]:
    """Texts that were given, with what they refer to. InvalidInput without any text."""
    first = first_of(texts)
    told = json.dumps([sorted(texts.items()), source])
    key = ("copy-texts", team.pk, principal.user.pk, hashlib.sha256(told.encode()).hexdigest())
    reads = StoreReads(in_team(principal, team))
    return ask(key, FRESH_SECONDS, lambda: from_texts(reads, texts, first, source), owner=team.pk, wait=wait)


def missing(principal: Principal, team: Team, given: Given) -> list[str]:
    """The repositories that the file names and that the team does not have."""
    names = names_in(given)
    rows = visible_to(Repository.objects.select_related("connection"), in_team(principal, team))
    found = rows.filter(named(names))
    there = {text for row in found for text in (row.full_name, row.qualified_name, str(row.pk))}
    return [name for name in names if name not in there]


def repository_of(principal: Principal, team: Team, text: str) -> Repository:
    """The repository of the team with this name. NotFound when there is none, or are several."""
    rows = visible_to(Repository.objects.all(), in_team(principal, team))
    found = repository_named(rows, text)
    if found is None:
        raise NotFound(f"This team has no repository {text[:100]!r}.")
    return found


def connections_of(principal: Principal, team: Team) -> list[Connection]:
    """Those that repositories can be imported from."""
    rows = visible_to(Connection.objects.all(), in_team(principal, team), Role.OPERATOR)
    return list(rows.order_by("name"))

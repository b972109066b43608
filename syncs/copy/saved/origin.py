"""What each item of a copy run keeps about its source: where from, where to, and whether it crosses owners.

It is kept with the item, so that history and numbers stay right when a rule is changed or deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from opssight.core.errors import InvalidInput
from repos.git.remote import Remote
from repos.models import Repository
from repos.providers.forge import Forge
from repos.providers.registry import provider_named
from syncs.copy.models import CopyTarget
from syncs.copy.plan.planned import Plan

FROM: Final = "from"
FROM_NAME: Final = "from_name"
FROM_REF: Final = "from_ref"
TO_BRANCH: Final = "to_branch"
CROSS: Final = "cross_organization"
RECORDED: Final = "recorded"
PATHS: Final = "paths"
RECORDED_PATHS: Final = "recorded_paths"
ONLY_MERGED: Final = "only_merged"  # its pull request was merged, and nothing written
ONLY_CLOSED: Final = "only_closed"  # its pull request lost its rule and was closed, and nothing written
LISTED: Final = 20  # paths that an item names
_KEYS: Final = (FROM, FROM_NAME, FROM_REF, TO_BRANCH, CROSS)


def origin_of(source: Repository, ref: str, target: CopyTarget) -> dict[str, Any]:
    """For `Item.result`. `ref` is the name of the source's branch or tag."""
    return {
        FROM: str(source.pk),
        FROM_NAME: source.full_name,
        FROM_REF: ref,
        TO_BRANCH: target.branch,
        CROSS: crosses(source, target.repository),
    }


def kept(result: Mapping[str, Any]) -> dict[str, Any]:
    """The part of an item's result that `origin_of` made."""
    return {key: result[key] for key in _KEYS if key in result}


def written(plan: Plan) -> dict[str, Any]:
    """For `Item.result`: how many deletions were recorded, and the first paths of what was written."""
    return {
        RECORDED: len(plan.records),
        PATHS: [_name(write.path) for write in plan.writes[:LISTED]],
        RECORDED_PATHS: [_name(record.path) for record in plan.records[:LISTED]],
    }


def nothing_written(result: Mapping[str, Any]) -> dict[str, Any]:
    """The result of an item with this one that has written nothing: where from and where to, and zeros."""
    return {**kept(result), **_NOTHING, PATHS: [], RECORDED_PATHS: []}


_NOTHING: Final = {"commit": "", "files": 0, "deletes": 0, "equal": 0, "refused_count": 0, RECORDED: 0}


def crosses(source: Repository, target: Repository) -> bool:
    """Whether the two belong to different owners, or live on different hosts."""
    if _owner(source.full_name) != _owner(target.full_name):
        return True
    return source.connection_id != target.connection_id and _host(source) != _host(target)


def _owner(full_name: str) -> str:
    """The outermost owner: groups within a group belong to it."""
    owner, slash, _ = full_name.partition("/")
    return owner.casefold() if slash else ""


def _host(repository: Repository) -> str:
    """The host of its server; "" for a folder of this machine."""
    connection = repository.connection
    try:
        provider = provider_named(connection.provider)
        if issubclass(provider, Forge):
            return urlsplit(provider.site_of(str(connection.options.get("url") or ""))).hostname or ""
        return Remote.from_url(repository.external_id).host if "://" in repository.external_id else ""
    except (InvalidInput, ValueError):
        return ""


def _name(path: bytes) -> str:
    return path.decode("utf-8", "replace")

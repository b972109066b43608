"""What deliveries tell beside pushes, from what an API's reader makes of the same objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar

from opssight.core.errors import Failure
from repos.providers.errors import Unreadable
from repos.providers.forge import Pipeline, Pull
from repos.providers.types import PipelineNews, PullNews, RemoteRepository, RepositoryNews

T = TypeVar("T")
What = Literal[
    "created", "renamed", "transferred", "archived", "unarchived", "visibility", "deleted", "changed"
]


def understood(read: Callable[[object], T], payload: Mapping[str, Any], name: str) -> T:
    """What a reader makes of the part of this name. Raises `Unreadable` for what it refuses."""
    try:
        return read(payload.get(name))
    except Failure:
        raise Unreadable(f"The delivery's {name} is not there, or not as its sender writes it.") from None


def repository_news(
    what: What, told: RemoteRepository, by: str, *, archived: bool | None = None
) -> RepositoryNews:
    """`archived`: where the delivery tells it."""
    return RepositoryNews(
        what=what,
        visibility="" if told.visibility == "unknown" else told.visibility,
        archived=archived,
        default_branch=told.default_branch,
        by=by,
    )


def pull_news(pull: Pull, what: str, by: str) -> PullNews:
    return PullNews(
        number=pull.number,
        state=pull.state,
        what=what,
        title=pull.title,
        url=pull.url,
        head=pull.head,
        base=pull.base,
        head_oid=pull.head_oid,
        merge_oid=pull.merge_oid,
        by=by,
    )


def pipeline_news(pipeline: Pipeline, by: str) -> PipelineNews:
    return PipelineNews(
        external_id=pipeline.external_id,
        state=pipeline.state,
        name=pipeline.name,
        ref=pipeline.ref,
        oid=pipeline.oid,
        url=pipeline.url,
        by=by,
    )

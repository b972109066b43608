"""What Bitbucket Data Center answers, read with suspicion: JSON in, plain values out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from opssight.core.errors import PermanentFailure
from repos.providers.bitbucket.reading import full_oid, object_of
from repos.providers.forge import Pull, RemoteHook
from repos.providers.types import PullState, RemoteRepository
from repos.providers.values import flags_of, lines_of, number_of, part_of, text_of, url_of

_PULLS = {"OPEN": PullState.OPEN, "MERGED": PullState.MERGED}  # else declined


def said(data: Any) -> str:
    found = data.get("errors") if isinstance(data, dict) else None
    errors = [error for error in found if isinstance(error, dict)] if isinstance(found, list) else []
    return " ".join(text_of(error.get("message")) for error in errors)


def next_start(page: Any) -> int | None:
    """Where the next page starts; None after the last one."""
    if not isinstance(page, dict) or page.get("isLastPage") is not False:
        return None
    return number_of(page.get("nextPageStart"))


def time_of(value: object) -> dt.datetime | None:
    """A time in milliseconds since 1970."""
    number = number_of(value)
    with suppress(ValueError, OverflowError, OSError):
        return dt.datetime.fromtimestamp(number / 1000, dt.UTC) if number is not None else None
    return None


def repository_id(data: Mapping[str, Any]) -> str:
    number = number_of(data.get("id"))
    return "" if number is None else str(number)


def repository_name(data: Mapping[str, Any]) -> str:
    """`PROJECT/slug`, or ""."""
    key = text_of(part_of(data, "project").get("key"), 200)
    slug = text_of(data.get("slug"), 200)
    return f"{key}/{slug}" if key and slug else ""


def repository_path(data: object) -> str:
    key, _, slug = repository_name(object_of(data, "a repository")).partition("/")
    return f"projects/{quote(key, safe='~')}/repos/{quote(slug, safe='')}"


def repository(data: object, default_branch: str) -> RemoteRepository:
    about = object_of(data, "a repository")
    external_id, full_name = repository_id(about), repository_name(about)
    if not external_id or not full_name:
        raise PermanentFailure("Bitbucket describes a repository without its id and its name.")
    public = about.get("public") is True or part_of(about, "project").get("public") is True
    reason = _reason(about)
    return RemoteRepository(
        external_id=external_id,
        full_name=full_name,
        description=text_of(about.get("description"), 2_000),
        default_branch=default_branch,
        visibility="public" if public else "private",
        archived=about.get("archived") is True,
        fork=isinstance(about.get("origin"), dict),
        usable=not reason,
        reason=reason,
        web_url=_web_url(about),
        data=flags_of(about, "forkable"),
    )


def _web_url(about: Mapping[str, Any]) -> str:
    links = part_of(about, "links").get("self")
    first = links[0] if isinstance(links, list) and links else None
    return url_of(text_of(first.get("href"), 2_000)) if isinstance(first, dict) else ""


def _reason(about: Mapping[str, Any]) -> str:
    if about.get("scmId", "git") != "git":
        return "This is not a git repository."
    if about.get("state", "AVAILABLE") != "AVAILABLE":
        return "Bitbucket says that this repository is not available. Ask its administrator."
    return ""


def branch(ref: object) -> str:
    """The short name of a branch."""
    return text_of(ref).removeprefix("refs/heads/")


def pull(data: object, web: str) -> Pull:
    """`web` is the address of the repository for people."""
    about = object_of(data, "a pull request")
    number = number_of(about.get("id"))
    if number is None:
        raise PermanentFailure("Bitbucket describes a pull request without its number.")
    source, merged = part_of(about, "fromRef"), part_of(part_of(about, "properties"), "mergeCommit")
    return Pull(
        number=number,
        url=f"{web}/pull-requests/{number}",
        state=_PULLS.get(str(about.get("state")), PullState.CLOSED),
        title=text_of(about.get("title")),
        head=branch(source.get("id")),
        base=branch(part_of(about, "toRef").get("id")),
        head_oid=full_oid(source.get("latestCommit")),
        body=lines_of(about.get("description")),
        draft=about.get("draft") is True,
        author=text_of(part_of(part_of(about, "author"), "user").get("name"), 100),
        merge_oid=full_oid(merged.get("id")),
        updated_at=time_of(about.get("updatedDate")),
    )


def version(data: object) -> int:
    """What a pull request is changed by: whoever names an old one is refused."""
    return number_of(object_of(data, "a pull request").get("version")) or 0


def reviewers(data: object) -> list[str]:
    found = object_of(data, "a pull request").get("reviewers")
    people = (
        [part_of(one, "user") for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    )
    return [name for person in people if (name := text_of(person.get("name"), 200))]


def is_between(data: object, repository_id: str, head: str, base: str) -> bool:
    """Whether a pull request goes from one branch to the other within this repository."""
    about = data if isinstance(data, dict) else {}
    source, target = part_of(about, "fromRef"), part_of(about, "toRef")
    home = number_of(part_of(source, "repository").get("id"))
    return (branch(source.get("id")), branch(target.get("id")), str(home)) == (head, base, repository_id)


def hook(data: object) -> RemoteHook:
    about = object_of(data, "a webhook")
    number = number_of(about.get("id"))
    if number is None:
        raise PermanentFailure("Bitbucket describes a webhook without its id.")
    events, active = about.get("events"), about.get("active") is True
    return RemoteHook(
        external_id=str(number),
        url=text_of(about.get("url"), 2_000),
        active=active,
        events=tuple(map(text_of, events)) if isinstance(events, list) else (),
        disabled="" if active else "It is switched off at Bitbucket.",
    )

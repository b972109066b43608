"""What providers are given and what they answer: plain values, no database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

from repos.git.remote import Remote
from repos.git.runner import Git


class Capability(StrEnum):
    """What a provider can do beside handing out git addresses; pages and API offer nothing else."""

    LIST = "list"  # finds repositories by itself; without it they are named one by one
    WEBHOOKS_IN = "webhooks_in"  # deliveries of this provider can be verified


FieldKind = Literal["text", "lines", "path", "secret", "secret_lines"]


@dataclass(frozen=True)
class Field:
    """One thing that a connection of a provider is made from; forms, API and redaction follow it.

    `lines` is a list of text, one per line. Secrets are stored encrypted and never shown again;
    `secret_lines` is one secret of several lines, such as a private key.
    """

    name: str
    label: str
    kind: FieldKind
    help: str
    required: bool = False

    @property
    def is_secret(self) -> bool:
        return self.kind in ("secret", "secret_lines")


@dataclass(frozen=True)
class Context:
    """What a provider works with.

    `vet` gives a remote its allowed addresses, or raises; nothing is contacted without. `roots` are
    the folders below which repositories may be used. `trusted`: the connection was made on the
    command line of this machine, whose user may name any folder.
    """

    git: Git
    vet: Callable[[Remote], Remote]
    roots: tuple[Path, ...] = ()
    trusted: bool = False


@dataclass(frozen=True)
class Identity:
    """Who the provider says we are, and a few words about it."""

    account: str
    detail: str = ""


@dataclass(frozen=True)
class RemoteRepository:
    """A repository as its provider describes it. None and "" mean: not told.

    `external_id` stays the same when the repository is renamed, where the provider has such an id.
    When it is not `usable`, `reason` is a sentence that says why and what to do.
    """

    external_id: str
    full_name: str
    description: str = ""
    default_branch: str = ""
    visibility: Literal["unknown", "public", "internal", "private"] = "unknown"
    archived: bool = False
    fork: bool = False
    size_bytes: int | None = None
    topics: tuple[str, ...] = ()
    pushed_at: dt.datetime | None = None
    usable: bool = True
    reason: str = ""


@dataclass(frozen=True)
class Push:
    """A branch or tag that a delivery says has moved; 40 zeros stand for "not there"."""

    ref: str
    before: str
    after: str
    by: str = ""


@dataclass(frozen=True)
class Parsed:
    """What a delivery says. `pushes` is empty for an event that is understood and not wanted.

    `delivery_id` is the sender's id for it, or ""; the repository is named by the provider's id, by
    its full name, or both.
    """

    event: str
    delivery_id: str = ""
    repository_id: str = ""
    repository_name: str = ""
    pushes: tuple[Push, ...] = ()

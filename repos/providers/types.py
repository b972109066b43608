"""What providers are given and what they answer: plain values, no database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field as dataclass_field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from repos.git.remote import Remote
from repos.git.runner import Git
from repos.providers.http import Wire


class Capability(StrEnum):
    """What a provider can do beside handing out git addresses; pages and API offer nothing else."""

    LIST = "list"  # finds repositories by itself; without it they are named one by one
    WEBHOOKS_IN = "webhooks_in"  # deliveries of this provider can be verified
    SEARCH = "search"  # finds repositories by words
    CREATE = "create"  # makes repositories
    DESCRIBE = "describe"  # changes description and visibility
    ARCHIVE = "archive"  # archives and unarchives repositories
    DELETE = "delete"  # deletes repositories
    DEFAULT_BRANCH = "default_branch"  # sets the default branch
    PULL_REQUESTS = "pull_requests"  # opens, finds, updates, merges and closes pull requests
    DRAFTS = "drafts"  # pull requests may be drafts
    LABELS = "labels"
    REVIEWERS = "reviewers"
    ASSIGNEES = "assignees"
    AUTO_MERGE = "auto_merge"  # merges by itself once the checks passed
    SIGNED_COMMITS = "signed_commits"  # makes commits by its API, and signs them
    STATUSES = "statuses"  # tells the result of a check of a commit
    PIPELINES = "pipelines"  # lists runs of the provider's CI
    HOOKS = "hooks"  # registers webhooks by itself
    HOOK_TESTS = "hook_tests"  # sends a test to a webhook when it is asked to
    REDELIVERY = "redelivery"  # tells which deliveries did not arrive, and sends them again
    RATE_LIMITS = "rate_limits"  # tells what is left of its limits


Missed = Callable[[str], None]  # told, in a sentence, what a list had to leave out

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
    wire: Wire | None = None  # for providers with an API
    installation: str = ""  # whose, when it speaks for an installation of an app: app and account


class Need(StrEnum):
    """What jobs need to be allowed."""

    READ = "read"  # see repositories and fetch them
    WRITE = "write"  # push to them
    PULL_REQUESTS = "pull_requests"
    STATUSES = "statuses"
    HOOKS = "hooks"
    CREATE = "create"


@dataclass(frozen=True)
class Identity:
    """Who the provider says we are, a few words about it, and what the token may do.

    `scopes` are the provider's own words, None where it does not tell; `may` says for each need whether
    they are enough, and leaves out what cannot be known.
    """

    account: str
    detail: str = ""
    scopes: tuple[str, ...] | None = None
    may: Mapping[Need, bool] = dataclass_field(default_factory=dict)
    expires_at: dt.datetime | None = None


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
    language: str = ""
    web_url: str = ""  # where people read it
    # what only this provider tells, as in docs/reference/providers.md: {"has_issues": true, …}
    data: Mapping[str, Any] = dataclass_field(default_factory=dict)


@dataclass(frozen=True)
class Push:
    """A branch or tag that a delivery says has moved; 40 zeros stand for "not there"."""

    ref: str
    before: str
    after: str
    by: str = ""


class PullState(StrEnum):
    OPEN = "open"
    MERGED = "merged"
    CLOSED = "closed"


class PipelineState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    WAITING = "waiting"  # for a person


@dataclass(frozen=True)
class RepositoryNews:
    """What a delivery says happened to a repository itself. None and "" mean: not told.

    The repository is the one that `Parsed` names, as it is called now.
    """

    what: Literal[
        "created", "renamed", "transferred", "archived", "unarchived", "visibility", "deleted", "changed"
    ]
    visibility: Literal["", "public", "internal", "private"] = ""
    archived: bool | None = None
    default_branch: str = ""
    former_id: str = ""  # where a transfer gives it another id
    by: str = ""


@dataclass(frozen=True)
class PullNews:
    """A pull request was opened, changed or ended; `merge_oid` is the commit that a merge made."""

    number: int
    state: PullState
    what: str  # the provider's word, such as "opened" or "synchronize"
    title: str = ""
    url: str = ""
    head: str = ""
    base: str = ""
    head_oid: str = ""
    merge_oid: str = ""
    by: str = ""


@dataclass(frozen=True)
class PipelineNews:
    """A run of the provider's CI began, went on or ended."""

    external_id: str
    state: PipelineState
    name: str = ""
    ref: str = ""
    oid: str = ""
    url: str = ""
    by: str = ""


@dataclass(frozen=True)
class InstallationNews:
    """An installation of our GitHub App came, went, or sees other repositories now.

    `appeared` are (id, full name) of what it sees now, `vanished` the ids of what it sees no more.
    """

    what: Literal["added", "removed", "suspended", "unsuspended", "repositories"]
    account: str = ""
    appeared: tuple[tuple[str, str], ...] = ()
    vanished: tuple[str, ...] = ()
    by: str = ""


News = RepositoryNews | PullNews | PipelineNews | InstallationNews


@dataclass(frozen=True)
class Parsed:
    """What a delivery says. No `pushes` and no `news`: an event that is understood and not wanted.

    `delivery_id` is the sender's id for it, or ""; the repository is named by the provider's id, by
    its full name, or both.
    """

    event: str
    delivery_id: str = ""
    repository_id: str = ""
    repository_name: str = ""
    repository_url: str = ""  # for people; its host tells instances with the same ids apart
    pushes: tuple[Push, ...] = ()
    news: tuple[News, ...] = ()
    installation_id: str = ""  # of a GitHub App, whose deliveries all come to one address

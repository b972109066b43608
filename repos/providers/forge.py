"""The interface of providers that are more than a git server: their API beside git.

A method whose capability a provider does not have is not called by pages, API and jobs; it raises
`NotOffered` all the same. Repositories are named by the provider's own id. A `Failure` is raised
for whatever the provider refuses.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Literal, NoReturn

from opssight.core.errors import PermanentFailure
from repos.providers.base import Provider
from repos.providers.oauth import OAuth
from repos.providers.types import Capability, Need, PipelineState, PullState, RemoteRepository
from repos.providers.wire import Budget

Visibility = Literal["public", "internal", "private"]
MergeMethod = Literal["merge", "squash", "rebase"]


class NotOffered(PermanentFailure):
    """The provider cannot do this at all."""


@dataclass(frozen=True)
class NewRepository:
    """`owner` is an organization, group or workspace by its path; "" is the account itself."""

    name: str
    owner: str = ""
    description: str = ""
    visibility: Visibility = "private"


@dataclass(frozen=True)
class RepositoryChange:
    """What is to change; None leaves it."""

    description: str | None = None
    visibility: Visibility | None = None
    archived: bool | None = None
    default_branch: str | None = None


@dataclass(frozen=True)
class NewPull:
    """A pull request to open, between branches of one repository. People are named by their logins."""

    head: str
    base: str
    title: str
    body: str = ""
    draft: bool = False
    labels: Sequence[str] = ()
    reviewers: Sequence[str] = ()
    assignees: Sequence[str] = ()


@dataclass(frozen=True)
class NewCommit:
    """A commit to make on `parent`, at which `branch` points then, wherever it did before.

    Contents are those of plain files (mode 100644) by their paths: of new ones, and of those that are there.
    """

    branch: str
    parent: str
    message: str
    added: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    changed: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    deleted: Sequence[str] = ()


@dataclass(frozen=True)
class PullChange:
    """What is to change; None leaves it."""

    title: str | None = None
    body: str | None = None
    draft: bool | None = None
    labels: Sequence[str] | None = None
    reviewers: Sequence[str] | None = None
    assignees: Sequence[str] | None = None


@dataclass(frozen=True)
class Pull:
    """A pull request as it is there. `number` is what people call it, `url` where they read it."""

    number: int
    url: str
    state: PullState
    title: str
    head: str
    base: str
    head_oid: str = ""
    body: str = ""
    draft: bool = False
    author: str = ""
    labels: tuple[str, ...] = ()
    merge_oid: str = ""
    updated_at: dt.datetime | None = None


class CheckState(StrEnum):
    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"


@dataclass(frozen=True)
class Check:
    """The result of one check of a commit."""

    name: str
    state: CheckState
    description: str = ""
    url: str = ""


@dataclass(frozen=True)
class Pipeline:
    """One run of the provider's CI."""

    external_id: str
    name: str
    state: PipelineState
    ref: str
    oid: str
    url: str
    created_at: dt.datetime | None = None
    started_at: dt.datetime | None = None
    finished_at: dt.datetime | None = None


@dataclass(frozen=True)
class RemoteHook:
    """A webhook as it stands at the provider. `disabled`: why it sends nothing, or ""."""

    external_id: str
    url: str
    active: bool = True
    events: tuple[str, ...] = ()
    disabled: str = ""


@dataclass(frozen=True)
class FailedDelivery:
    """A delivery that was not answered well; `delivery_id` is the one that it comes with each time.

    `attempt_id` is what the provider calls its newest attempt, `at` when that was.
    """

    attempt_id: str
    delivery_id: str
    at: dt.datetime


@dataclass(frozen=True)
class Person:
    """Who allowed us in. `external_id` never changes; `emails` are verified by the provider, the main one
    first.
    """

    external_id: str
    login: str
    name: str = ""
    emails: tuple[str, ...] = ()


@dataclass(frozen=True)
class HookSpec:
    """A webhook as it should be: the events that the inventory and the jobs understand."""

    url: str
    secret: str = field(repr=False)


class Forge(Provider):
    """A provider with an API. Implement what `capabilities` names."""

    pull_word: ClassVar[str] = "pull request"  # what people call it there
    # what a webhook must send, in the words of `RemoteHook.events`
    hook_events: ClassVar[frozenset[str]] = frozenset()
    delivery_header: ClassVar[str] = ""  # the one with `FailedDelivery.delivery_id`, in lower case
    commit_bytes: ClassVar[int] = 0  # the most contents that one `commit_files` takes
    public: ClassVar[str] = ""  # the web address of the instance that is for everybody
    oauth: ClassVar[OAuth | None] = None  # where people can connect by a button
    asks: ClassVar[Mapping[Need, str]] = {}  # the scope of a token that each need asks for
    credentials_page: ClassVar[str] = ""  # where people make one: a path there, or an address

    @classmethod
    def site_of(cls, url: str) -> str:
        """The web address of an instance; `url` is "" for the public one."""
        return url.strip().rstrip("/") or cls.public

    def person(self) -> Person:
        """Whose token it is, for signing in; where `oauth` is offered."""
        raise NotOffered(f"{self.label} cannot tell who signs in.")

    def search(self, words: str) -> Iterator[RemoteRepository]:
        """Repositories that the connection sees and whose name has the words. Capability SEARCH."""
        self._not_offered(Capability.SEARCH)

    def create_repository(self, new: NewRepository) -> RemoteRepository:
        """Conflict when there is one of this name. Capability CREATE."""
        self._not_offered(Capability.CREATE)

    def change_repository(self, external_id: str, change: RepositoryChange) -> RemoteRepository:
        """Capabilities DESCRIBE, ARCHIVE and DEFAULT_BRANCH, each for its fields."""
        self._not_offered(Capability.DESCRIBE)

    def delete_repository(self, external_id: str) -> None:
        """Capability DELETE."""
        self._not_offered(Capability.DELETE)

    def open_pull(self, external_id: str, new: NewPull) -> Pull:
        """Open a pull request; the one that is open already for the same branches is answered as it is.

        Capability PULL_REQUESTS; DRAFTS, LABELS, REVIEWERS and ASSIGNEES for what it names.
        """
        self._not_offered(Capability.PULL_REQUESTS)

    def pull(self, external_id: str, number: int) -> Pull:
        self._not_offered(Capability.PULL_REQUESTS)

    def find_pull(self, external_id: str, head: str, base: str) -> Pull | None:
        """The open pull request between two branches."""
        self._not_offered(Capability.PULL_REQUESTS)

    def pulls(self, external_id: str, state: PullState = PullState.OPEN) -> Iterator[Pull]:
        """The newest first."""
        self._not_offered(Capability.PULL_REQUESTS)

    def change_pull(self, external_id: str, number: int, change: PullChange) -> Pull:
        self._not_offered(Capability.PULL_REQUESTS)

    def close_pull(self, external_id: str, number: int) -> Pull:
        self._not_offered(Capability.PULL_REQUESTS)

    def merge_pull(
        self, external_id: str, number: int, method: MergeMethod, *, head_oid: str = "", message: str = ""
    ) -> Pull:
        """Merge now. Conflict when it cannot be merged, or its head is not `head_oid` any more."""
        self._not_offered(Capability.PULL_REQUESTS)

    def auto_merge(self, external_id: str, number: int, method: MergeMethod) -> None:
        """Merge it once the checks passed. Capability AUTO_MERGE."""
        self._not_offered(Capability.AUTO_MERGE)

    def cancel_auto_merge(self, external_id: str, number: int) -> bool:
        """Merge it by hand only; whether it would have merged itself. Capability AUTO_MERGE."""
        self._not_offered(Capability.AUTO_MERGE)

    def commit_files(self, external_id: str, new: NewCommit) -> str:
        """Make a commit, signed by the provider; its oid. Conflict when somebody moved the branch meanwhile.

        Author and committer are as the provider sets them. At most `commit_bytes` of contents. Capability
        SIGNED_COMMITS.
        """
        self._not_offered(Capability.SIGNED_COMMITS)

    def set_check(self, external_id: str, oid: str, check: Check) -> None:
        """Capability STATUSES."""
        self._not_offered(Capability.STATUSES)

    def checks(self, external_id: str, oid: str) -> list[Check]:
        """Results of all checks of a commit, one for each name. Capability STATUSES."""
        self._not_offered(Capability.STATUSES)

    def pipelines(
        self, external_id: str, *, ref: str = "", since: dt.datetime | None = None
    ) -> Iterator[Pipeline]:
        """The newest first; `ref` is a branch. Capability PIPELINES."""
        self._not_offered(Capability.PIPELINES)

    def hooks(self, external_id: str) -> list[RemoteHook]:
        """Capability HOOKS."""
        self._not_offered(Capability.HOOKS)

    def create_hook(self, external_id: str, hook: HookSpec) -> RemoteHook:
        self._not_offered(Capability.HOOKS)

    def update_hook(self, external_id: str, hook_id: str, hook: HookSpec) -> RemoteHook:
        """Make it as it should be, in its place, active again. NotFound when it is gone."""
        self._not_offered(Capability.HOOKS)

    def delete_hook(self, external_id: str, hook_id: str) -> None:
        """Done also when it is gone already."""
        self._not_offered(Capability.HOOKS)

    def test_hook(self, external_id: str, hook_id: str) -> None:
        """Have the provider send something harmless to it. Capability HOOK_TESTS."""
        self._not_offered(Capability.HOOK_TESTS)

    def failed_deliveries(self, external_id: str, hook_id: str, since: dt.datetime) -> list[FailedDelivery]:
        """Deliveries since then that did not arrive in any attempt. Capability REDELIVERY."""
        self._not_offered(Capability.REDELIVERY)

    def redeliver(self, external_id: str, hook_id: str, attempt_id: str) -> None:
        """Send a delivery once more."""
        self._not_offered(Capability.REDELIVERY)

    def budgets(self) -> list[Budget]:
        """What is left of the limits, asked without spending any. Capability RATE_LIMITS."""
        self._not_offered(Capability.RATE_LIMITS)

    def _not_offered(self, capability: Capability) -> NoReturn:
        raise NotOffered(f"{self.label} does not offer this ({capability.value.replace('_', ' ')}).")

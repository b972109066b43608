"""What every provider with an API must do, against its stand-in. Runs without a database.

A provider's test makes a `ForgeCase` over a running stand-in with a token that may do everything, the
repositories `acme/site` (files, branch `main`, public) and `acme/empty` (nothing in it), and somebody
called `bea` who can be asked for reviews. Checks of a capability that the provider does not have are
left out.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from typing import Any

import pytest

from opssight.core.errors import AuthFailure, Conflict, Failure, InvalidInput, NotFound, PermanentFailure
from repos.providers.forge import (
    Check,
    CheckState,
    NewPull,
    NewRepository,
    NotOffered,
    PullChange,
    RepositoryChange,
)
from repos.providers.registry import provider_named
from repos.providers.types import Capability, Need, PipelineState, PullState
from tests.forges.standin import Reply
from tests.repos.git.work import git as plain_git
from tests.repos.providers.commit_contract import makes_commits_of_files
from tests.repos.providers.forge_case import ForgeCase, site_of, with_branch
from tests.repos.providers.hook_contract import (
    a_push_sends_what_the_scheme_accepts,
    hooks_are_made_mended_and_removed,
    sends_a_test_when_asked,
    sends_again_what_did_not_arrive,
)

__all__ = ["EXERCISED", "FORGE_CONTRACT", "NEEDED", "ForgeCase", "checks_of"]


def tells_who_and_what_it_may(case: ForgeCase) -> None:
    identity = case.client().identity()
    assert set(identity.may) <= set(Need)
    assert identity.may.get(Need.READ) is not False


def says_that_a_token_is_refused(case: ForgeCase) -> None:
    client = case.with_token("not-a-token-of-anybody").client()
    with pytest.raises(AuthFailure) as refused:
        client.identity()
    assert "not-a-token-of-anybody" not in refused.value.sentence
    assert "token" in refused.value.sentence


def a_revoked_token_is_refused_while_it_lists(case: ForgeCase) -> None:
    client = case.client()
    client.identity()
    for token in case.forge.tokens.values():
        token.revoked = True
    with pytest.raises(AuthFailure):
        list(client.repositories())


def waits_for_no_limit(case: ForgeCase) -> None:
    case.forge.next_replies = [case.limited()]
    started = time.monotonic()
    with pytest.raises(Failure) as limited:
        case.client().identity()
    assert limited.value.error_class == "rate_limited"
    assert limited.value.retry_at is not None
    assert time.monotonic() - started < 20


def survives_odd_answers(case: ForgeCase) -> None:
    """Whatever a server says, nothing but a `Failure` with a sentence comes of it."""
    odd: list[Any] = [None, [], {}, "text", 7, [None], [7], [[]], [{}]]
    odd += [{"values": 7}, [{"id": {}}], {"id": []}]
    said: list[str] = []
    replies = [Reply(200, value) for value in odd]
    replies += [Reply(200, raw=b"<html>"), Reply(200, raw=b'{"a": '), Reply(200, raw=b"[" * 100_000)]
    replies += [Reply(status, {"message": 7}) for status in (300, 302, 400, 402, 404, 409, 418, 422)]
    for reply in replies:
        for ask in (lambda c: c.identity(), lambda c: list(c.repositories()), lambda c: c.repository("1")):
            case.forge.next_replies = [reply] * 12
            try:
                ask(case.client())
            except Failure as failure:
                said.append(failure.sentence)
    case.forge.next_replies = []
    assert [sentence for sentence in said if not sentence.endswith((".", "!", "?"))] == []


def sends_no_token_elsewhere(case: ForgeCase) -> None:
    """A redirect or a next page at another host ends with a sentence, and nobody there is asked."""
    for status in (301, 302, 307, 308):
        case.forge.next_replies = [Reply(status, headers={"Location": "http://169.254.169.254/latest/"})]
        with pytest.raises(PermanentFailure):
            case.client().identity()


def keeps_the_id_when_renamed(case: ForgeCase) -> None:
    repo = site_of(case)
    client, external_id = case.client(), case.id_of(case.site)
    case.forge.rename(repo, "acme/website")
    assert client.repository(external_id).full_name == "acme/website"
    assert "acme/website" in {one.full_name for one in client.repositories()}
    remote = client.remote(external_id, "acme/website")
    assert "acme/website" in remote.url


def pages_to_the_end(case: ForgeCase) -> None:
    for number in range(230):
        case.forge.add_repository(f"acme/many-{number:03}", on_disk=False)
    names = [one.full_name for one in case.client().repositories()]
    assert len(names) == len(set(names)) == 230 + len(case.expected)


def searches(case: ForgeCase) -> None:
    found = [one.full_name for one in case.forge_client().search("sit")]
    assert "acme/site" in found
    assert "acme/empty" not in found


def creates_changes_and_deletes(case: ForgeCase) -> None:
    client = case.forge_client()
    name = f"{case.prefix}fresh"
    made = client.create_repository(NewRepository(name, case.owner, "New here", "private"))
    shown = (made.full_name, made.description, made.visibility)
    assert shown == (f"{case.owner}/{name}", "New here", "private")
    with pytest.raises(Conflict):
        client.create_repository(NewRepository(name, case.owner))
    if Capability.DESCRIBE in client.capabilities:
        changed = client.change_repository(made.external_id, RepositoryChange(description="Other words"))
        assert changed.description == "Other words"
    if Capability.ARCHIVE in client.capabilities:
        assert client.change_repository(made.external_id, RepositoryChange(archived=True)).archived
        assert not client.change_repository(made.external_id, RepositoryChange(archived=False)).archived
    if Capability.DELETE in client.capabilities:
        client.delete_repository(made.external_id)
        with pytest.raises(NotFound):
            client.repository(made.external_id)


def sets_the_default_branch(case: ForgeCase) -> None:
    client, site = case.forge_client(), case.id_of(case.site)
    repo = site_of(case)
    case.forge.bare(repo).commit({b"x": b"1"}, branch="next")
    assert client.change_repository(site, RepositoryChange(default_branch="next")).default_branch == "next"
    with pytest.raises(Failure):
        client.change_repository(site, RepositoryChange(default_branch="nowhere"))


def opens_one_pull_request_and_no_second(case: ForgeCase) -> None:
    client, site = case.forge_client(), with_branch(case, "change")
    new = NewPull("change", "main", "A change", "Because.")
    opened = client.open_pull(site, new)
    assert (opened.state, opened.title, opened.head, opened.base) == ("open", "A change", "change", "main")
    assert opened.body == "Because."
    assert opened.url.startswith("http")
    assert client.open_pull(site, new).number == opened.number
    found = client.find_pull(site, "change", "main")
    assert found is not None
    assert found.number == opened.number
    assert client.find_pull(site, "other", "main") is None
    assert [one.number for one in client.pulls(site)] == [opened.number]
    assert client.pull(site, opened.number) == found


def changes_and_closes_a_pull_request(case: ForgeCase) -> None:
    client, site = case.forge_client(), with_branch(case, "change")
    number = client.open_pull(site, NewPull("change", "main", "A change")).number
    changed = client.change_pull(site, number, PullChange(title="Better", body="More words"))
    assert (changed.title, changed.body) == ("Better", "More words")
    assert client.close_pull(site, number).state == PullState.CLOSED
    assert client.find_pull(site, "change", "main") is None
    assert client.open_pull(site, NewPull("change", "main", "Again")).number != number


def merges_what_it_saw_and_nothing_else(case: ForgeCase) -> None:
    client, site = case.forge_client(), with_branch(case, "change")
    number = client.open_pull(site, NewPull("change", "main", "A change")).number
    head = client.pull(site, number).head_oid
    with pytest.raises(Conflict):
        client.merge_pull(site, number, "merge", head_oid="1" * 40)
    merged = client.merge_pull(site, number, "merge", head_oid=head)
    assert merged.state == PullState.MERGED
    assert [one.number for one in client.pulls(site, PullState.MERGED)] == [number]
    repo = site_of(case)
    assert "change.txt" in plain_git("ls-tree", "--name-only", "main", cwd=case.forge.bare(repo).path)


def says_that_a_branch_is_missing(case: ForgeCase) -> None:
    client, site = case.forge_client(), case.id_of(case.site)
    with pytest.raises((NotFound, InvalidInput)):
        client.open_pull(site, NewPull("no-such-branch", "main", "A change"))
    with pytest.raises(NotFound):
        client.pull(site, 4711)


def drafts_become_ready(case: ForgeCase) -> None:
    client, site = case.forge_client(), with_branch(case, "change")
    opened = client.open_pull(site, NewPull("change", "main", "A change", draft=True))
    assert (opened.draft, opened.title) == (True, "A change")
    ready = client.change_pull(site, opened.number, PullChange(draft=False))
    assert (ready.draft, ready.title) == (False, "A change")


def labels_are_set(case: ForgeCase) -> None:
    client, site = case.forge_client(), with_branch(case, "change")
    opened = client.open_pull(site, NewPull("change", "main", "A change", labels=["sync"]))
    assert "sync" in client.pull(site, opened.number).labels


def people_are_asked(case: ForgeCase) -> None:
    """A reviewer or assignee that is not there is an error that names them; the pull request stays."""
    client, site = case.forge_client(), with_branch(case, "change")
    reviewers = ["bea"] if Capability.REVIEWERS in client.capabilities else []
    assignees = ["bea"] if Capability.ASSIGNEES in client.capabilities else []
    opened = client.open_pull(
        site, NewPull("change", "main", "A change", reviewers=reviewers, assignees=assignees)
    )
    repo = site_of(case)
    assert "bea" in repr(repo.pulls[opened.number])


def checks_are_told_and_read(case: ForgeCase) -> None:
    client, site = case.forge_client(), case.id_of(case.site)
    repo = site_of(case)
    oid = case.forge.bare(repo).oid("refs/heads/main")
    for state in (CheckState.PENDING, CheckState.SUCCESS):
        client.set_check(site, oid, Check("opssight/copy", state, "2 files", "https://ops.example.org/1"))
    [check] = [one for one in client.checks(site, oid) if one.name == "opssight/copy"]
    assert (check.state, check.description) == (CheckState.SUCCESS, "2 files")


def merges_by_itself_later(case: ForgeCase) -> None:
    client, site = case.forge_client(), with_branch(case, "change")
    number = client.open_pull(site, NewPull("change", "main", "A change")).number
    case.forge.prepare_auto_merge(site_of(case), "change")
    client.auto_merge(site, number, "squash")
    assert client.pull(site, number).state == PullState.OPEN
    with pytest.raises(NotFound):
        client.auto_merge(site, 4711, "squash")
    assert client.cancel_auto_merge(site, number)
    assert not client.cancel_auto_merge(site, number)
    with pytest.raises(NotFound):
        client.cancel_auto_merge(site, 4711)


def runs_of_the_ci_are_listed(case: ForgeCase) -> None:
    client, site = case.forge_client(), with_branch(case, "change")
    repo = site_of(case)
    numbers = [case.forge.add_run(repo, branch) for branch in ("main", "change")]
    found = list(client.pipelines(site))
    assert {one.external_id for one in found} == set(numbers)
    assert {one.state for one in found} == {PipelineState.SUCCEEDED}
    [run] = client.pipelines(site, ref="change")
    assert (run.external_id, run.ref) == (numbers[1], "change")
    assert run.oid == case.forge.bare(repo).oid("refs/heads/change")
    assert run.url.startswith("http")


def tells_what_is_left(case: ForgeCase) -> None:
    budgets = case.forge_client().budgets()
    assert budgets
    assert all(0 <= one.remaining <= one.limit for one in budgets)


def what_is_not_offered_says_so(case: ForgeCase) -> None:
    client = case.forge_client()
    asked = {
        Capability.SEARCH: lambda: list(client.search("x")),
        Capability.CREATE: lambda: client.create_repository(NewRepository("x")),
        Capability.DELETE: lambda: client.delete_repository("1"),
        Capability.PULL_REQUESTS: lambda: client.find_pull("1", "a", "b"),
        Capability.AUTO_MERGE: lambda: client.auto_merge("1", 1, "merge"),
        Capability.STATUSES: lambda: client.checks("1", "0" * 40),
        Capability.PIPELINES: lambda: list(client.pipelines("1")),
        Capability.HOOKS: lambda: client.hooks("1"),
        Capability.HOOK_TESTS: lambda: client.test_hook("1", "1"),
        Capability.REDELIVERY: lambda: client.failed_deliveries("1", "1", dt.datetime.now(dt.UTC)),
        Capability.RATE_LIMITS: client.budgets,
    }
    for capability, ask in asked.items():
        if capability not in client.capabilities:
            with pytest.raises(NotOffered, match="does not offer this"):
                ask()


NEEDED: dict[str, tuple[Capability, ...]] = {
    "searches": (Capability.SEARCH,),
    "creates_changes_and_deletes": (Capability.CREATE,),
    "sets_the_default_branch": (Capability.DEFAULT_BRANCH,),
    "opens_one_pull_request_and_no_second": (Capability.PULL_REQUESTS,),
    "changes_and_closes_a_pull_request": (Capability.PULL_REQUESTS,),
    "merges_what_it_saw_and_nothing_else": (Capability.PULL_REQUESTS,),
    "says_that_a_branch_is_missing": (Capability.PULL_REQUESTS,),
    "drafts_become_ready": (Capability.DRAFTS,),
    "labels_are_set": (Capability.LABELS,),
    "people_are_asked": (Capability.PULL_REQUESTS,),
    "makes_commits_of_files": (Capability.SIGNED_COMMITS,),
    "checks_are_told_and_read": (Capability.STATUSES,),
    "merges_by_itself_later": (Capability.AUTO_MERGE,),
    "runs_of_the_ci_are_listed": (Capability.PIPELINES,),
    "hooks_are_made_mended_and_removed": (Capability.HOOKS,),
    "a_push_sends_what_the_scheme_accepts": (Capability.HOOKS,),
    "sends_a_test_when_asked": (Capability.HOOK_TESTS,),
    "sends_again_what_did_not_arrive": (Capability.REDELIVERY,),
    "tells_what_is_left": (Capability.RATE_LIMITS,),
}
FORGE_CONTRACT: list[Callable[[ForgeCase], None]] = [
    tells_who_and_what_it_may,
    says_that_a_token_is_refused,
    a_revoked_token_is_refused_while_it_lists,
    waits_for_no_limit,
    survives_odd_answers,
    sends_no_token_elsewhere,
    keeps_the_id_when_renamed,
    pages_to_the_end,
    searches,
    creates_changes_and_deletes,
    sets_the_default_branch,
    opens_one_pull_request_and_no_second,
    changes_and_closes_a_pull_request,
    merges_what_it_saw_and_nothing_else,
    says_that_a_branch_is_missing,
    drafts_become_ready,
    labels_are_set,
    people_are_asked,
    makes_commits_of_files,
    checks_are_told_and_read,
    merges_by_itself_later,
    runs_of_the_ci_are_listed,
    hooks_are_made_mended_and_removed,
    a_push_sends_what_the_scheme_accepts,
    sends_a_test_when_asked,
    sends_again_what_did_not_arrive,
    tells_what_is_left,
    what_is_not_offered_says_so,
]


EXERCISED: dict[Capability, str] = {
    Capability.LIST: "pages_to_the_end",
    Capability.WEBHOOKS_IN: "a_push_sends_what_the_scheme_accepts",
    Capability.SEARCH: "searches",
    Capability.CREATE: "creates_changes_and_deletes",
    Capability.DESCRIBE: "creates_changes_and_deletes",
    Capability.ARCHIVE: "creates_changes_and_deletes",
    Capability.DELETE: "creates_changes_and_deletes",
    Capability.DEFAULT_BRANCH: "sets_the_default_branch",
    Capability.PULL_REQUESTS: "opens_one_pull_request_and_no_second",
    Capability.DRAFTS: "drafts_become_ready",
    Capability.LABELS: "labels_are_set",
    Capability.REVIEWERS: "people_are_asked",
    Capability.ASSIGNEES: "people_are_asked",
    Capability.AUTO_MERGE: "merges_by_itself_later",
    Capability.SIGNED_COMMITS: "makes_commits_of_files",
    Capability.STATUSES: "checks_are_told_and_read",
    Capability.PIPELINES: "runs_of_the_ci_are_listed",
    Capability.HOOKS: "hooks_are_made_mended_and_removed",
    Capability.HOOK_TESTS: "sends_a_test_when_asked",
    Capability.REDELIVERY: "sends_again_what_did_not_arrive",
    Capability.RATE_LIMITS: "tells_what_is_left",
}
"""The check that shows each capability; tests/repos/providers/test_contract.py compares."""


def checks_of(kind: str) -> list[Callable[[ForgeCase], None]]:
    """The checks of what the provider of this kind offers."""
    has = provider_named(kind).capabilities
    return [check for check in FORGE_CONTRACT if set(NEEDED.get(check.__name__, ())) <= has]

"""Which runs an event asks for: pushes, merged pull requests, tags."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from typing import Any

import pytest
from django.test import Client

from repos.events import PullRequestChanged, Pushed, publish
from repos.models import Repository, Webhook
from syncs import triggers
from syncs.engine.request import GATHERING
from syncs.models import Job, Run, Trigger
from tests.factories import make_connection, make_job, make_repository, make_team
from tests.repos.deliveries import SECRET
from tests.repos.providers.deliveries import DELIVERIES, IDS, NAMES, Sent, signed

pytestmark = pytest.mark.django_db


@pytest.fixture
def source() -> Repository:
    return make_repository(make_connection(make_team()), "acme/docs")


def listens(source: Repository, *waits: tuple[str, str], kind: str = "copy", **extra: Any) -> Job:
    job = make_job(source.team, kind=kind, **extra)
    for event, ref in waits:
        Trigger.objects.create(job=job, repository=source, event=event, ref=ref)
    return job


def push(source: Repository, ref: str = "refs/heads/main", **more: Any) -> list[str]:
    return publish(Pushed(repository_id=source.pk, ref=ref, **{"heard": "webhook", "by": "ada", **more}))


def merge(source: Repository, number: int = 12, **more: Any) -> list[str]:
    said: dict[str, Any] = {"state": "merged", "what": "closed", "base": "main", "heard": "webhook", **more}
    return publish(PullRequestChanged(repository_id=source.pk, number=number, **said))


PUSH, MERGE = (triggers.PUSHED, "main"), (triggers.PULL_REQUEST, "main")


def tags(pattern: str) -> tuple[str, str]:
    return triggers.PUSHED, f"refs/tags/{pattern}"


# --- merged pull requests ---------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["closed", "merge", "merged", "fulfilled"])
def test_a_merged_pull_request_asks_for_a_run_that_knows_its_number(source: Repository, what: str) -> None:
    job = listens(source, MERGE)
    assert merge(source, 12, what=what, by="ada") == []
    run = Run.objects.get()
    assert (run.job_id, run.trigger, run.input) == (job.pk, "webhook", {"pull_request": 12})
    assert run.because == "pull request #12 merged into acme/docs main by ada"
    assert run.repository == source


@pytest.mark.parametrize(
    "said",
    [
        {"state": "closed"},
        {"state": "open", "what": "opened"},
        {"what": "labeled"},  # after it was merged
        {"what": "edited"},
        {"base": "next"},
    ],
)
def test_other_news_of_pull_requests_ask_for_nothing(source: Repository, said: dict[str, Any]) -> None:
    listens(source, MERGE)
    merge(source, **said)
    assert not Run.objects.exists()


def test_a_merge_and_its_push_are_one_run_whichever_comes_first(source: Repository) -> None:
    listens(source, PUSH, MERGE)
    push(source)
    waiting = Run.objects.get()
    assert (waiting.wait_reason, waiting.input) == (GATHERING, {})
    merge(source, 12)
    run = Run.objects.get()
    assert (run.pk, run.input) == (waiting.pk, {"pull_request": 12})
    run.delete()
    merge(source, 13)
    push(source)
    assert Run.objects.get().input == {"pull_request": 13}


def test_of_merges_in_one_moment_the_newest_is_named(source: Repository) -> None:
    listens(source, PUSH, MERGE)
    for number in (12, 13):
        merge(source, number)
    assert Run.objects.get().input == {"pull_request": 13}


def test_who_waits_for_pushes_only_does_not_wait_for_more(source: Repository) -> None:
    listens(source, PUSH)
    push(source)
    merge(source)
    run = Run.objects.get()
    assert (run.wait_reason, run.input) == ("", {})


def test_a_push_alone_is_no_merge(source: Repository) -> None:
    listens(source, MERGE)
    push(source)
    assert not Run.objects.exists()


def test_who_looks_takes_a_branch_that_moved_for_a_merge(source: Repository) -> None:
    looking = listens(source, MERGE, poll_seconds=60)
    listens(source, MERGE)  # is told
    push(source, heard="poll")
    assert [run.job_id for run in Run.objects.all()] == [looking.pk]


# --- as each forge tells it -------------------------------------------------------------------------


def said(scheme: str, name: str) -> Sent:
    [sent] = [one for one in DELIVERIES if (one.scheme, one.name) == (scheme, name)]
    return sent


def merged(scheme: str) -> Sent:
    """A merged pull request as the forge delivers it."""
    if scheme in ("bitbucket", "bitbucket_dc"):
        return said(scheme, "merged")
    opened = said(scheme, "merge request" if scheme == "gitlab" else "pull request")
    payload = dict(opened.payload)
    if scheme == "gitlab":
        payload["object_attributes"] = {**payload["object_attributes"], "state": "merged", "action": "merge"}
    else:
        payload |= {"action": "closed"}
        payload["pull_request"] = {**payload["pull_request"], "state": "closed", "merged": True}
    return replace(opened, payload=payload)


def posted(source: Repository, sent: Sent) -> int:
    hook = Webhook.objects.create(
        team=source.team, scheme=sent.scheme, secret=SECRET, connection=source.connection
    )
    body = json.dumps(sent.payload).encode()
    headers = signed(sent, body, SECRET)
    kind = headers.pop("content-type")
    return Client().post(hook.path, body, content_type=kind, headers=headers).status_code


def of_forge(scheme: str) -> Repository:
    external_id = IDS[scheme] if scheme != "github" else "7"
    connection = make_connection(make_team(), scheme)
    return make_repository(connection, NAMES.get(scheme, "acme/site"), external_id=external_id)


@pytest.mark.parametrize("scheme", ["github", "gitlab", "bitbucket", "bitbucket_dc", "gitea"])
def test_a_merge_at_each_forge_starts_the_run(scheme: str) -> None:
    source = of_forge(scheme)
    job = listens(source, MERGE)
    assert posted(source, merged(scheme)) == 202
    run = Run.objects.get()
    assert (run.job, run.input) == (job, {"pull_request": 4})
    opened = "merge request" if scheme == "gitlab" else "pull request"
    assert posted(source, said(scheme, opened)) == 202
    assert Run.objects.count() == 1


@pytest.mark.parametrize("scheme", ["gitlab", "gitea"])
def test_a_tag_at_a_forge_starts_the_run(scheme: str) -> None:
    source = of_forge(scheme)
    listens(source, tags("v*"))
    sent = said(scheme, "tag")
    assert posted(source, replace(sent, payload={**sent.payload, "ref": "refs/tags/v1"})) == 202
    assert [run.input for run in Run.objects.all()] == [{"tag": "v1"}]


# --- tags -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "name", "taken"),
    [
        ("v*", "v1.2", True),
        ("v*", "w1", False),
        ("v*", "v/1", False),
        ("**", "release/1", True),
        ("release/**", "release/1", True),
        ("v[0-9]*", "v1", True),
        ("{v,r}*", "r1", True),
        ("[", "[", False),
    ],
)
def test_a_tag_is_taken_by_its_glob(source: Repository, pattern: str, name: str, taken: bool) -> None:
    listens(source, tags(pattern))
    push(source, f"refs/tags/{name}", after="a" * 40)
    assert [run.input for run in Run.objects.all()] == ([{"tag": name}] if taken else [])


def test_each_tag_has_a_run_of_its_own_and_says_why(source: Repository) -> None:
    listens(source, tags("v*"), PUSH)
    for name in ("v1", "v2", "v1"):
        push(source, f"refs/tags/{name}")
    assert sorted(run.because for run in Run.objects.all()) == [
        "the tag v1 of acme/docs by ada",
        "the tag v2 of acme/docs by ada",
    ]


def test_a_tag_is_no_branch_and_a_branch_no_tag(source: Repository) -> None:
    listens(source, tags("**"))
    push(source)
    assert not Run.objects.exists()
    Trigger.objects.all().delete()
    listens(source, PUSH, MERGE)
    push(source, "refs/tags/main")
    assert not Run.objects.exists()
    listens(source, tags("v1"))
    push(source, "refs/heads/refs/tags/v1")
    assert not Run.objects.exists()


def test_a_deleted_tag_asks_for_nothing(source: Repository) -> None:
    listens(source, tags("**"))
    push(source, "refs/tags/v1", after="0" * 40)
    assert not Run.objects.exists()


def test_a_kind_without_globs_takes_the_tag_of_that_name(source: Repository) -> None:
    listens(source, tags("v1"), kind="probe")
    for name in ("v1", "v2"):
        push(source, f"refs/tags/{name}")
    assert [run.input for run in Run.objects.all()] == [{"tag": "v1"}]


@pytest.mark.parametrize("name", ["x" * 5_000, "ü", "a\nb", "%s{}", "refs/heads/main"])
def test_a_hostile_tag_costs_nobody_anything(source: Repository, name: str) -> None:
    listens(source, tags("v*"))
    assert push(source, f"refs/tags/{name}") == []
    assert not Run.objects.exists()


# --- for whom ---------------------------------------------------------------------------------------


def test_disabled_jobs_and_other_repositories_are_left_alone(source: Repository) -> None:
    listens(source, PUSH, MERGE, tags("**"), enabled=False)
    listens(make_repository(source.connection, "acme/site"), PUSH, MERGE, tags("**"))
    push(source)
    merge(source)
    push(source, "refs/tags/v1")
    assert not Run.objects.exists()


def test_nobody_listens_to_a_repository_that_is_not_here() -> None:
    event = PullRequestChanged(
        repository_id=uuid.uuid4(), number=1, state="merged", what="closed", heard="webhook"
    )
    assert publish(event) == []

"""`/webhook` and `/events` answer as the examples-copier did, and do what the webhook itself does."""

from __future__ import annotations

import json
import threading
import uuid
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from pytest_django import Settings

from opssight.accounts.models import Role, Team, User
from opssight.accounts.scope import Principal
from opssight.core import env
from opssight.core.env_kinds import Rate
from opssight.health import Check
from opssight.management.commands.doctor import check_copier_webhook, diagnose
from repos.models import Delivery, Repository, Webhook
from repos.webhooks import create_hook, update_hook
from syncs import triggers
from syncs.models import Job, Run, RunCause, Trigger
from tests.factories import make_connection, make_job, make_repository, make_team, make_user
from tests.repos.deliveries import PUSH, SECRET, github_headers

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner() -> User:
    return make_user()


@pytest.fixture
def team(owner: User) -> Team:
    return make_team(owner, Role.ADMIN)


@pytest.fixture
def principal(owner: User, team: Team) -> Principal:
    return Principal.of_user(owner)


@pytest.fixture
def hook(principal: Principal, team: Team, settings: Settings) -> Webhook:
    hook, _ = create_hook(principal, team, "github", secret=SECRET)
    settings.COPIER_WEBHOOK = hook.pk
    return hook


@pytest.fixture
def source(team: Team) -> Repository:
    return make_repository(make_connection(team), "acme/docs")


@pytest.fixture
def job(source: Repository) -> Job:
    job = make_job(source.team, kind="copy")
    for event in (triggers.PUSHED, triggers.PULL_REQUEST):
        Trigger.objects.create(job=job, repository=source, event=event, ref="main")
    return job


def pull_request(**changes: Any) -> dict[str, Any]:
    """A merged pull request as GitHub delivers it."""
    pull = {
        "number": 12,
        "state": "closed",
        "merged": True,
        "merge_commit_sha": "b" * 40,
        "title": "New page",
        "html_url": "https://github.example/acme/docs/pull/12",
        "head": {"ref": "page", "sha": "a" * 40},
        "base": {"ref": "main", "sha": "c" * 40},
        "user": {"login": "ada"},
    }
    payload = {
        "action": "closed",
        "number": 12,
        "pull_request": pull | changes.pop("pull", {}),
        "repository": {"id": 1, "full_name": "acme/docs"},
        "sender": {"login": "ada"},
    }
    return payload | changes


def send(
    body: object, *, path: str = "/webhook", event: str = "pull_request", secret: str = SECRET, **more: str
) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = github_headers(raw, event=event, secret=secret, id=str(uuid.uuid4())) | more
    kind = headers.pop("content-type")
    kept = {name: value for name, value in headers.items() if value}
    return Client(enforce_csrf_checks=True).post(path, raw, content_type=kind, headers=kept)


@pytest.mark.parametrize("path", ["/webhook", "/events"])
def test_a_merged_pull_request_is_accepted_and_starts_the_run(hook: Webhook, job: Job, path: str) -> None:
    answer = send(pull_request(), path=path)
    assert (answer.status_code, answer.json()) == (202, {"status": "accepted"})
    run = Run.objects.get()
    assert (run.job, run.input, run.trigger) == (job, {"pull_request": 12}, "webhook")
    delivery = Delivery.objects.get()
    assert (delivery.webhook_id, delivery.verdict) == (hook.pk, "accepted")
    assert RunCause.objects.get().delivery == delivery


@pytest.mark.parametrize(
    ("payload", "event"),
    [
        (pull_request(pull={"merged": False}), "pull_request"),
        (pull_request(action="opened", pull={"merged": False, "state": "open"}), "pull_request"),
        (pull_request(action="labeled"), "pull_request"),
        ({"zen": "Keep it simple."}, "ping"),
        ({"action": "created"}, "star"),
    ],
)
def test_other_events_and_unmerged_pull_requests_are_204(
    hook: Webhook, job: Job, payload: dict[str, Any], event: str
) -> None:
    answer = send(payload, event=event)
    assert (answer.status_code, answer.content) == (204, b"")
    assert not Run.objects.exists()


def test_a_push_is_204_and_does_what_a_push_does(hook: Webhook, source: Repository, job: Job) -> None:
    Repository.objects.filter(pk=source.pk).update(full_name="acme-widgets/docs-site")
    answer = send(PUSH, event="push")
    assert (answer.status_code, answer.content) == (204, b"")
    assert Run.objects.get().job == job


def test_a_missing_event_header_is_400(hook: Webhook, job: Job) -> None:
    answer = send(pull_request(), **{"x-github-event": ""})
    assert answer.status_code == 400
    assert "X-GitHub-Event" in answer.json()["detail"]
    assert not Delivery.objects.exists()


@pytest.mark.parametrize("signature", ["", "sha256=00", "sha1=" + "0" * 40])
def test_a_bad_or_missing_signature_is_401(hook: Webhook, job: Job, signature: str) -> None:
    answer = send(pull_request(), **{"x-hub-signature-256": signature})
    assert answer.status_code == 401
    assert not Run.objects.exists()
    assert send(pull_request(), secret="another").status_code == 401


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"\xff\xfe", b'{"action": "closed"}', b'{"pull_request": []}']
)
def test_what_cannot_be_read_is_400(hook: Webhook, job: Job, body: bytes) -> None:
    answer = send(body)
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    assert not Run.objects.exists()


@pytest.mark.parametrize("repository", [None, {}, [], {"full_name": ""}, {"full_name": 7}])
def test_a_merged_pull_request_without_a_repository_is_400(
    hook: Webhook, job: Job, repository: object
) -> None:
    answer = send(pull_request(repository=repository))
    assert answer.status_code == 400
    assert "does not name the repository" in answer.json()["detail"]
    assert not Run.objects.exists()


def test_an_unknown_repository_and_another_branch_are_204(hook: Webhook, job: Job) -> None:
    assert send(pull_request(repository={"id": 9, "full_name": "acme/other"})).status_code == 204
    assert send(pull_request(pull={"base": {"ref": "next"}})).status_code == 204
    assert not Run.objects.exists()


def test_a_disabled_source_is_204(hook: Webhook, job: Job) -> None:
    Job.objects.update(enabled=False)
    assert send(pull_request()).status_code == 204
    assert not Run.objects.exists()


def test_a_paused_webhook_is_204_and_keeps_the_delivery(
    hook: Webhook, job: Job, principal: Principal
) -> None:
    update_hook(principal, hook, paused=True)
    assert send(pull_request()).status_code == 204
    assert "Resume it" in Delivery.objects.get().sentence
    assert not Run.objects.exists()


def test_the_same_delivery_again_is_accepted_and_does_nothing(hook: Webhook, job: Job) -> None:
    answers = [send(pull_request(), **{"x-github-delivery": "72d3"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert Run.objects.count() == RunCause.objects.count() == 1
    unknown = pull_request(repository={"id": 9, "full_name": "acme/other"})
    again = [send(unknown, **{"x-github-delivery": "72d4"}) for _ in range(2)]
    assert [answer.status_code for answer in again] == [204, 204]


def test_more_than_a_mebibyte_is_413(hook: Webhook, job: Job) -> None:
    large = pull_request(filler="x" * (1 << 20))
    assert send(large).status_code == 413
    assert not Delivery.objects.exists()
    fits = pull_request(filler="x" * ((1 << 20) - 2_000))
    assert send(fits).status_code == 202


def test_too_many_that_are_not_authentic_are_429(hook: Webhook, job: Job, settings: Settings) -> None:
    settings.HOOK_REFUSED_RATE = Rate(1, 60)
    assert [send(pull_request(), secret="no").status_code for _ in range(2)] == [401, 429]


def test_a_job_that_cannot_be_asked_leaves_the_delivery_to_be_replayed(
    hook: Webhook, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise ValueError("the database is tired")

    monkeypatch.setattr(triggers, "RunRequest", fail)
    assert send(pull_request()).status_code == 202
    assert Delivery.objects.get().verdict == "error"


def test_without_a_setting_nothing_is_received(hook: Webhook, job: Job, settings: Settings) -> None:
    for value in (None, uuid.uuid4()):
        settings.COPIER_WEBHOOK = value
        answer = send(pull_request())
        assert answer.status_code == 404
        assert "OPSSIGHT_COPIER_WEBHOOK" in answer.json()["detail"]
    assert not Delivery.objects.exists()


def test_a_webhook_of_another_forge_is_not_used(
    principal: Principal, team: Team, job: Job, settings: Settings
) -> None:
    settings.COPIER_WEBHOOK = create_hook(principal, team, "gitlab", secret=SECRET)[0].pk
    assert send(pull_request()).status_code == 404


def test_only_post_is_answered(hook: Webhook) -> None:
    assert Client().get("/webhook").status_code == 405


def test_the_doctor_says_where_the_addresses_lead(hook: Webhook, settings: Settings) -> None:
    assert check_copier_webhook() == Check("copier_webhook", True, f"/webhook and /events lead to {hook}.")
    assert "copier_webhook" in {check.name for check in diagnose()}
    settings.COPIER_WEBHOOK = uuid.uuid4()
    check = check_copier_webhook()
    assert (check.ok, "opssight hook list" in check.detail) == (False, True)
    settings.COPIER_WEBHOOK = None
    assert "copier_webhook" not in {check.name for check in diagnose()}


def test_the_setting_is_an_id() -> None:
    one = uuid.uuid4()
    assert env.load({"OPSSIGHT_COPIER_WEBHOOK": str(one)}).copier_webhook == one
    assert env.load({}).copier_webhook is None
    with pytest.raises(env.SettingsError) as error:
        env.load({"OPSSIGHT_COPIER_WEBHOOK": "github"})
    assert "an id such as" in error.value.problems[0][1]


@pytest.mark.django_db(transaction=True)
def test_deliveries_at_the_same_moment_ask_for_one_run(hook: Webhook, job: Job) -> None:
    statuses: list[int] = []

    def post(number: int) -> None:
        statuses.append(send(pull_request(pull={"number": number})).status_code)
        connections.close_all()

    threads = [threading.Thread(target=post, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [202] * 8
    assert Run.objects.count() == 1
    assert RunCause.objects.count() == 8
    assert Run.objects.get().input["pull_request"] in range(1, 9)

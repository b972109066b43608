from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.html import escape

from opssight.accounts.models import Role, User
from opssight.accounts.scope import Principal
from opssight.core.clock import now
from opssight.web.parts import FailureCard
from repos.models import Delivery, Webhook
from syncs.jobs import delete_job
from syncs.models import Job, Run, RunCause, RunState
from syncs.views.run import RunView
from tests.factories import make_connection, make_job, make_repository, make_team, make_worker
from tests.syncs.runs import add_log, make_item, make_run, make_runs, signed_in

pytestmark = pytest.mark.django_db


def page(client: Client, name: str, *args: Any, **query: str) -> str:
    answer = client.get(reverse(name, args=args), query)
    assert answer.status_code == 200
    return answer.content.decode()


def queries(client: Client, url: str) -> int:
    with CaptureQueriesContext(
        connection,
    ) as found:
        assert client.get(url).status_code == 200
    return len(found)


# --- the list -----------------------------------------------------------------------------------------


def test_without_a_run_the_list_says_what_belongs_there() -> None:
    client, _ = signed_in()
    text = page(client, "runs")
    assert "What happened, and because of what" in text
    assert reverse("copy_new") in text


def test_the_list_says_what_happened_and_because_of_what() -> None:
    client, team = signed_in()
    make_run(
        make_job(team, name="docs to site"),
        "partial",
        sentence="Copied 14 files to 3 of 4 targets in 2.1 s.",
        because="a push to acme/docs main by ana",
    )
    text = page(client, "runs")
    for words in ("docs to site", "Copied 14 files", "a push to acme/docs main by ana", "partial", "2.1 s"):
        assert words in text


def test_the_states_are_counted_within_the_other_filters() -> None:
    client, team = signed_in()
    docs, site = make_job(team, name="docs"), make_job(team, name="site")
    for job, state in ((docs, "failed"), (docs, "dead"), (docs, "queued"), (site, "succeeded")):
        make_run(job, state)
    context = client.get(reverse("runs"), {"q": "docs"}).context
    assert {choice.label: choice.count for choice in context["states"]} == {
        "All": 3,
        "Going on": 1,
        "Not well": 2,
        "Succeeded": 0,
    }


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"state": "bad"}, ["docs"]),
        ({"state": "cancelled"}, ["site"]),
        ({"trigger": "schedule"}, ["site"]),
        ({"kind": "copy"}, ["site"]),
        ({"q": "tulips"}, ["docs"]),
        ({"q": "by ana"}, ["site"]),
        ({"job": "nonsense"}, ["docs", "site"]),
        ({"sort": "job"}, ["docs", "site"]),
        ({"sort": "-took"}, ["site", "docs"]),
        ({"page": "99"}, ["site", "docs"]),
    ],
)
def test_the_list_is_narrowed_and_sorted(query: dict[str, str], found: list[str]) -> None:
    client, team = signed_in()
    make_run(make_job(team, name="docs"), "failed", sentence="No tulips.")
    long_ago = now() - dt.timedelta(hours=1)
    make_run(
        make_job(team, kind="copy", name="site"),
        "cancelled",
        trigger="schedule",
        because="a push by ana",
        started_at=long_ago,
    )
    rows = client.get(reverse("runs"), query).context["rows"]
    titles = [row.run.title for row in rows]
    assert titles == found or ("job" in query and sorted(titles) == found)


def test_the_runs_of_one_job() -> None:
    client, team = signed_in()
    job = make_job(team, name="docs")
    make_run(job)
    make_run(make_job(team, name="site"))
    text = page(client, "runs", job=str(job.pk))
    assert "docs" in text
    assert "site" not in text


def test_runs_of_another_team_are_not_there() -> None:
    client, _ = signed_in()
    other = make_run(make_job(make_team(), name="secret"))
    assert "secret" not in page(client, "runs")
    for name in ("run", "run_live", "run_log", "run_log_file"):
        assert client.get(reverse(name, args=[other.pk])).status_code == 404
    for name in ("run_retry", "run_cancel"):
        assert client.post(reverse(name, args=[other.pk])).status_code == 404
    assert client.get(reverse("run", args=[uuid.uuid4()])).status_code == 404


def test_only_the_team_one_works_in() -> None:
    client, _ = signed_in()
    user_id = client.session["_auth_user_id"]
    second = make_team(name="second")
    second.memberships.create(user_id=user_id, role=Role.OWNER)
    run = make_run(make_job(second, name="of the second"))
    assert "of the second" not in page(client, "runs")
    assert client.get(reverse("run", args=[run.pk])).status_code == 404


def test_the_list_asks_as_much_for_thirty_rows_as_for_three() -> None:
    client, team = signed_in()
    make_runs(team, 3)
    few = queries(client, reverse("runs"))
    make_runs(team, 27)
    assert queries(client, reverse("runs")) == few


def test_the_table_is_polled_only_while_something_goes_on() -> None:
    client, team = signed_in()
    job = make_job(team)
    run = make_run(job, "queued")
    answer = client.get(reverse("runs"))
    assert "every 4s" in answer.content.decode()
    seen = {"seen": answer.context["seen"]}
    assert client.get(reverse("runs"), seen, headers={"HX-Request": "true"}).status_code == 204
    Run.objects.filter(pk=run.pk).update(state=RunState.CANCELLED, finished_at=now())
    changed = client.get(reverse("runs"), seen, headers={"HX-Request": "true"})
    assert changed.status_code == 200
    assert b"every 4s" not in changed.content
    assert b"<html" not in changed.content


# --- one run -------------------------------------------------------------------------------------------


def test_a_run_opens_with_its_sentence_and_the_trouble_in_red() -> None:
    client, team = signed_in()
    sentence = "Copied 14 files to 3 of 4 targets in 2.1 s; docs-site refused: branch protected."
    run = make_run(make_job(team), "partial", sentence=sentence, because="a push to acme/docs main")
    text = page(client, "run", run.pk)
    assert "Copied 14 files to 3 of 4 targets in 2.1 s;" in text
    assert '<span class="trouble">docs-site refused: branch protected.</span>' in text
    assert "because of a push to acme/docs main" in text


@pytest.mark.parametrize(
    ("error_class", "title", "action"),
    [
        ("transient", "Did not get through, 1 target", "Retry 1 target"),
        ("rate_limited", "Asked to wait, 1 target", "Retry 1 target"),
        ("conflict", "Changed meanwhile, 1 target", "Retry 1 target"),
        ("permanent", "Refused, 1 target", "See the rule"),
        ("not_found", "Not found, 1 target", "See the rule"),
    ],
)
def test_each_class_of_failure_has_its_one_action(error_class: str, title: str, action: str) -> None:
    client, team = signed_in()
    run = make_run(make_job(team, kind="copy"), "failed", sentence="Copied nothing.")
    make_item(run, "docs-site", "failed", error_class=error_class, sentence="It did not work.")
    (card,) = _cards(client, run)
    assert (card.title, card.text) == (title, "docs-site: It did not work.")
    assert card.action is not None
    assert card.action.label == action
    assert escape(action) in page(client, "run", run.pk)


def _cards(client: Client, run: Run) -> list[FailureCard]:
    principal = Principal.of_user(User.objects.get(pk=client.session["_auth_user_id"]))
    request: Any = RequestFactory().get("/")
    request.principal, request.team = principal, run.team
    view = RunView()
    view.setup(request, run_id=run.pk)
    cards: list[FailureCard] = view.parts()["cards"]
    return cards


def test_many_failures_of_a_class_are_one_card() -> None:
    client, team = signed_in()
    run = make_run(make_job(team, kind="copy"), "failed", sentence="Copied nothing.")
    for n in range(5):
        make_item(run, f"target-{n}", "failed", error_class="transient", sentence="The server hung up.")
    make_item(run, "other", "failed", error_class="permanent", sentence="Branch protected.")
    assert [card.text for card in _cards(client, run)] == [
        "target-0, target-1, target-2 and 2 more: The server hung up.",
        "other: Branch protected.",
    ]


def test_a_viewer_sees_no_button() -> None:
    client, team = signed_in(role=Role.VIEWER)
    run = make_run(make_job(team), "failed", sentence="It did not work.")
    text = page(client, "run", run.pk)
    assert "It did not work." in text
    assert reverse("run_retry", args=[run.pk]) not in text
    assert client.post(reverse("run_retry", args=[run.pk])).status_code == 404
    assert client.post(reverse("run_cancel", args=[run.pk])).status_code == 404


def test_the_items_stand_failures_first_with_what_was_planned_and_done() -> None:
    client, team = signed_in()
    run = make_run(make_job(team, kind="copy"), "partial", sentence="Copied 1 file; b: refused.")
    make_item(run, "a", planned={"add": 2, "change": 1}, result={"commit": "4be1d20" + "0" * 33})
    make_item(run, "b", "failed", sentence="Branch protected.", planned={"add": 3})
    text = page(client, "run", run.pk)
    assert text.index("Branch protected.") < text.index("4be1d20")
    assert "nothing</span>" in text
    assert "Failed 1" in text
    only = page(client, "run", run.pk, items="failed")
    assert "4be1d20" not in only


def test_an_item_leads_to_its_pull_request_and_names_the_files_that_were_left_out() -> None:
    client, team = signed_in()
    run = make_run(make_job(team, kind="copy"), "partial", sentence="Copied 1 file; a: 51 files left out.")
    pull = {"number": 7, "url": "https://forge.example/acme/a/pull/7", "state": "open"}
    left = [{"path": "a.md", "sentence": "a.md is left as it is."}]
    make_item(run, "a", result={"pull_request": pull, "refused": left, "refused_count": 51})
    make_item(run, "b", result={"pull_request": {**pull, "url": "javascript:alert(1)"}})
    text = page(client, "run", run.pk)
    assert '<a class="nowrap" href="https://forge.example/acme/a/pull/7">pull request #7</a>' in text
    assert "javascript:" not in text
    assert "51 files left out" in text
    assert "a.md is left as it is." in text
    assert "the preview of the rule lists them" in text
    assert "something was left out" in text
    assert reverse("run_retry", args=[run.pk]) not in text, "it would be left out again"
    assert client.post(reverse("run_retry", args=[run.pk])).status_code == 302
    assert Run.objects.filter(parent=run).count() == 0


def test_a_page_of_items_costs_the_same_whatever_their_number() -> None:
    client, team = signed_in()
    run = make_run(make_job(team), "partial", sentence="Partly.")
    repository = make_repository(make_connection(team))
    for n in range(3):
        make_item(run, f"item {n}", "failed", repository=repository)
    few = queries(client, reverse("run", args=[run.pk]))
    for n in range(3, 30):
        make_item(run, f"item {n}", "failed", repository=repository)
    assert queries(client, reverse("run", args=[run.pk])) == few


def test_a_queued_run_says_why_it_waits_and_when_it_starts() -> None:
    client, team = signed_in()
    later = now() + dt.timedelta(minutes=4, seconds=5)
    run = make_run(make_job(team), "queued", wait_reason="GitHub asks to wait.", run_after=later)
    text = page(client, "run", run.pk)
    assert "GitHub asks to wait. Starts in 4 min." in text
    assert "Stop…" in text


def test_a_running_run_shows_how_far_it_is() -> None:
    client, team = signed_in()
    run = make_run(
        make_job(team), "running", progress_text="Receiving objects", progress_done=38, progress_total=61
    )
    make_item(run, "acme/site", "planned")
    text = page(client, "run", run.pk)
    assert 'value="38"' in text
    assert "Receiving objects: 38 of 61" in text
    assert "every 2s" in text


def test_the_live_part_brings_what_changed_and_nothing_else() -> None:
    client, team = signed_in()
    job = make_job(team)
    make_run(job)
    run = make_run(job, "running", progress_text="Looking")
    seen = client.get(reverse("run", args=[run.pk])).context["seen"]
    live = reverse("run_live", args=[run.pk])
    assert client.get(live, {"seen": seen}).status_code == 204
    make_item(run, "acme/site", "done")
    changed = client.get(live, {"seen": seen}).content.decode()
    assert "innerHTML:#run-items" in changed
    assert "innerHTML:#run-aside" not in changed
    Run.objects.filter(pk=run.pk).update(state="succeeded", finished_at=now(), sentence="Done it.")
    ended = client.get(live, {"seen": seen}).content.decode()
    assert "Done it." in ended
    assert "every 2s" not in ended


def test_the_log_is_followed_searched_and_downloaded() -> None:
    client, team = signed_in()
    run = make_run(make_job(team, name="Docs to site"), "running")
    add_log(run, ("info", "push", "node: main <moved>"), ("error", "push", "docs-site: rejected"))
    text = page(client, "run", run.pk)
    assert "node: main &lt;moved&gt;" in text
    assert "Errors 1" in text
    assert "node: main" not in page(client, "run", run.pk, level="error")
    assert "docs-site: rejected" not in page(client, "run", run.pk, find="MOVED")

    more = reverse("run_log", args=[run.pk])
    assert client.get(more, {"after": "1"}).status_code == 204
    add_log(run, ("info", "push", "python: main"))
    fresh = client.get(more, {"after": "1"}).content.decode()
    assert "python: main" in fresh
    assert "node: main" not in fresh
    assert "after=2" in fresh

    file = client.get(reverse("run_log_file", args=[run.pk]))
    assert file.content.decode().count("\n") == 3
    assert f'filename="docs-to-site-{run.short_id}.log"' in file["Content-Disposition"]


def test_a_long_log_shows_its_end_and_says_so() -> None:
    client, team = signed_in()
    run = make_run(make_job(team))
    add_log(run, *(("info", "step", f"line number {n}.") for n in range(620)))
    text = page(client, "run", run.pk)
    assert "The newest 500 of 620 lines." in text
    assert "line number 119." not in text
    assert "line number 619." in text


def test_the_deliveries_the_retried_run_and_the_cost_stand_beside() -> None:
    client, team = signed_in()
    job = make_job(team)
    first = make_run(job, "failed", sentence="No.")
    worker = make_worker(host="ops-2")
    stats = {"fetches": 1, "pushes": 3, "bytes": 39_100_000}
    run = make_run(job, parent=first, worker=worker, stats=stats)
    hook = Webhook.objects.create(team=team, scheme="github", secret="s")
    delivery = Delivery.objects.create(
        webhook=hook, team=team, delivery_key="1", verdict="accepted", body_sha256="0" * 64
    )
    RunCause.objects.create(run=run, delivery=delivery)
    text = page(client, "run", run.pk)
    for words in (
        "1 fetch, 3 pushes",
        "39.1 MB",
        "ops-2",
        f"run {first.short_id}",
        "1 of 5",
        "Duration of the last 2",
    ):
        assert words in text
    assert f"delivery {delivery.pk.hex[-4:]}" in text
    assert f"run {run.short_id}" in page(client, "run", first.pk)


def test_retrying_makes_a_run_for_what_failed() -> None:
    client, team = signed_in()
    run = make_run(make_job(team), "partial", sentence="Partly.")
    make_item(run, "a")
    make_item(run, "b", "failed")
    answer = client.post(reverse("run_retry", args=[run.pk]), follow=True)
    again = Run.objects.get(parent=run)
    assert answer.redirect_chain == [(reverse("run", args=[again.pk]), 302)]
    assert again.input["only"] == ["b"]
    assert again.because.startswith("a retry by user")
    assert "What is done stays done." in answer.content.decode()


def test_what_went_well_is_not_retried() -> None:
    client, team = signed_in()
    run = make_run(make_job(team))
    text = client.post(reverse("run_retry", args=[run.pk]), follow=True).content.decode()
    assert "there is nothing to retry" in text
    assert Run.objects.count() == 1


def test_stopping_a_queued_run_ends_it() -> None:
    client, team = signed_in()
    run = make_run(make_job(team), "queued")
    text = client.post(reverse("run_cancel", args=[run.pk]), follow=True).content.decode()
    assert "The run is cancelled." in text
    run.refresh_from_db()
    assert run.state == "cancelled"
    assert run.cancel_by.startswith("user")


def test_stopping_a_running_run_asks_it_to() -> None:
    client, team = signed_in()
    run = make_run(make_job(team), "running")
    text = client.post(reverse("run_cancel", args=[run.pk]), follow=True).content.decode()
    assert "The run stops within seconds." in text
    assert "Asked to stop." in text
    assert "Stop…" not in text


def test_a_job_whose_kind_is_not_installed_any_more_can_be_deleted() -> None:
    job = make_job(signed_in()[1], kind="bygone", name="old")
    delete_job(job)
    assert not Job.objects.filter(name="old").exists()


def test_a_run_of_a_deleted_job_or_kind_is_still_there() -> None:
    client, team = signed_in()
    run = make_run(make_job(team, kind="bygone", name="old"), "dead", sentence="Given up.")
    assert "Given up." in page(client, "run", run.pk)
    Run.objects.filter(pk=run.pk).update(job=None)
    assert "which was deleted" in page(client, "run", run.pk)


def test_a_job_leads_to_its_kind_or_to_its_runs() -> None:
    client, team = signed_in()
    copy, probe = make_job(team, kind="copy"), make_job(team)
    assert client.get(reverse("job", args=[copy.pk])).headers["Location"] == reverse(
        "copy_rule", args=[copy.pk]
    )
    assert client.get(reverse("job", args=[probe.pk])).headers["Location"].endswith(f"?job={probe.pk}")
    stranger = make_job(make_team())
    assert client.get(reverse("job", args=[stranger.pk])).status_code == 404

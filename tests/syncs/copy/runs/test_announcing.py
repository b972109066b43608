"""What Slack and others are told of copies: the labels of the copier's messages, once for each run."""

from __future__ import annotations

from typing import Any

import pytest

from opssight.notices.channels.slack import payload
from opssight.notices.manage import add_rule, save_channel
from opssight.notices.message import Message
from opssight.notices.models import Channel, NoticeState, Outbox, Severity
from opssight.pages.notices import topics
from repos.models import Repository
from syncs.models import Job, Run
from syncs.signals import run_finished
from tests.factories import make_connection, make_job, make_repository, make_team
from tests.syncs.runs import make_item, make_run

pytestmark = pytest.mark.django_db


@pytest.fixture
def source() -> Repository:
    return make_repository(make_connection(make_team()), "acme/docs")


@pytest.fixture
def job(source: Repository) -> Job:
    return make_job(source.team, kind="copy", name="docs")


def channel(job: Job, *wanted: str, severity: Severity = Severity.INFO, scheme: str = "slack") -> Channel:
    number = Channel.objects.count()
    made = save_channel(
        None, team_id=job.team_id, name=f"{scheme} {number}", scheme=scheme,
        secret="https://hooks.slack.example/services/T/B/X",
    )  # fmt: skip
    add_rule(made, wanted, severity)
    return made


def ran(job: Job, source: Repository, state: str = "succeeded", /, **more: Any) -> Run:
    return make_run(job, state, repository=source, **{"sentence": "Copied 3 files.", **more})


def copied(run: Run, label: str = "acme/site", state: str = "done", /, **result: Any) -> None:
    known: dict[str, Any] = {"from_name": "acme/docs", "from_ref": "main", "to_branch": "main"}
    known |= {"files": 0, "equal": 0, "refused_count": 0, "recorded": 0}
    planned = result.pop("planned", {})
    make_item(run, label, state, result={**known, **result}, planned=planned, sentence="Written.")


def end(run: Run) -> None:
    run_finished.send(sender=Run, run=run)


def messages() -> list[dict[str, Any]]:
    return [entry.message for entry in Outbox.objects.order_by("id")]


def said(message: dict[str, Any]) -> dict[str, str]:
    return {field["label"]: field["value"] for field in message["fields"]}


# --- how a run ended --------------------------------------------------------------------------------


def test_the_end_of_a_run_has_the_numbers_of_the_copier(job: Job, source: Repository) -> None:
    channel(job, "run.copy")
    run = ran(job, source, "partial", input={"pull_request": 12}, because="pull request #12 merged")
    copied(run, files=3, equal=2, refused_count=1)
    copied(run, "acme/other", files=4)
    copied(run, "acme/same", "skipped", equal=5)
    copied(run, "acme/broken", "failed", planned={"add": 2, "delete": 1})
    end(run)
    [message] = messages()
    assert message["title"] == "docs: partial"
    assert said(message) == {
        "Repository": "acme/docs",
        "Files Matched": "18",
        "Files Copied": "7",
        "Files Failed": "4",
        "Processing Time": "2.1 s",
        "PR Number": "#12",
        "Job": "docs",
        "Because": "pull request #12 merged",
    }
    assert next(iter(said(message))) == "Repository"


def test_an_error_says_operation_error_repository_and_number(job: Job, source: Repository) -> None:
    channel(job, "run")
    end(ran(job, source, "failed", input={"pull_request": 7}, sentence="acme/docs has no branch main."))
    [message] = messages()
    assert list(said(message).items())[:4] == [
        ("Operation", "copy by docs"),
        ("Error", "acme/docs has no branch main."),
        ("Repository", "acme/docs"),
        ("PR Number", "#7"),
    ]
    assert message["severity"] == "error"


def test_what_a_failed_target_would_have_got_is_not_made_up(job: Job, source: Repository) -> None:
    channel(job, "run.copy")
    run = ran(job, source, "partial")
    copied(run, files=3)
    copied(run, "acme/broken", "failed")
    end(run)
    [message] = messages()
    assert said(message)["Files Matched"] == said(message)["Files Failed"] == "not known"
    assert said(message)["Files Copied"] == "3"
    assert "PR Number" not in said(message)


def test_a_run_that_somebody_started_names_its_source_as_well(job: Job, source: Repository) -> None:
    channel(job, "run.copy")
    run = make_run(job, "succeeded", sentence="Done.")
    copied(run, files=1)
    end(run)
    assert said(messages()[0])["Repository"] == "acme/docs"


# --- what was copied, each time ---------------------------------------------------------------------


def test_each_change_is_told_to_who_asked_for_it(job: Job, source: Repository) -> None:
    channel(job, "copy.processed", severity=Severity.ERROR)  # each time counts, whatever the severity
    channel(job)  # everything: states only
    for number in (12, 13):
        run = ran(job, source, input={"pull_request": number})
        copied(run, files=3)
        end(run)
        end(run)  # told once
    told = [message for message in messages() if message["topic"] == "copy.processed"]
    assert [message["title"] for message in told] == [
        "docs: pull request #12 processed",
        "docs: pull request #13 processed",
    ]
    assert said(told[0])["Files Copied"] == "3"
    assert [message["topic"] for message in messages()].count("run.copy") == 1
    assert NoticeState.objects.filter(subject__startswith="run:").count() == 0


def test_files_are_named_for_each_target(job: Job, source: Repository) -> None:
    channel(job, "copy.files")
    run = ran(job, source, input={"pull_request": 12})
    paths = [f"copied/{number}.md" for number in range(20)]
    copied(run, files=25, paths=paths)
    copied(run, "acme/two", files=1, paths=["a.md"])
    copied(run, "acme/same", "skipped", files=4)
    end(run)
    first, second = messages()
    assert first["title"] == "docs: 25 files copied"
    assert said(first)["Repository"] == "acme/docs main"
    assert said(first)["Target"] == "acme/site main"
    assert said(first)["Files"].splitlines() == [*paths[:10], "and 15 more"]
    assert said(second)["Files"] == "a.md"


def test_deletions_that_were_recorded_are_named(job: Job, source: Repository) -> None:
    channel(job, "copy.deprecated")
    run = ran(job, source)
    copied(run, files=1, recorded=2, recorded_paths=["old.md", "older.md"])
    copied(run, "acme/two", files=1)
    end(run)
    [message] = messages()
    assert (message["title"], message["sentence"]) == (
        "docs: 2 files recorded as gone",
        "2 files recorded as gone.",
    )
    assert said(message)["Files"] == "old.md\nolder.md"


def test_one_who_names_the_room_gets_all_of_it(job: Job, source: Repository) -> None:
    channel(job, "copy")
    run = ran(job, source)
    copied(run, files=1, recorded=1, paths=["a"], recorded_paths=["b"])
    end(run)
    assert {message["topic"] for message in messages()} == {"copy.processed", "copy.files", "copy.deprecated"}


def test_a_pull_request_that_was_merged_later_is_not_announced_again(job: Job, source: Repository) -> None:
    channel(job, "copy")
    run = ran(job, source)
    copied(run, only_merged=True)
    end(run)
    assert messages() == []


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled"])
def test_a_run_that_wrote_nothing_is_not_announced(job: Job, source: Repository, state: str) -> None:
    channel(job, "copy")
    run = ran(job, source, state)
    copied(run, "acme/site", "skipped", files=3)
    end(run)
    assert messages() == []


def test_what_a_cancelled_run_wrote_is_told(job: Job, source: Repository) -> None:
    channel(job, "copy.files", "run.copy")
    run = ran(job, source, "cancelled")
    copied(run, files=2)
    end(run)
    assert [message["topic"] for message in messages()] == ["copy.files"]


def test_other_teams_and_switched_off_channels_are_not_told(job: Job, source: Repository) -> None:
    other = make_job(make_team(), kind="copy")
    channel(other, "copy")
    off = channel(job, "copy")
    Channel.objects.filter(pk=off.pk).update(enabled=False)
    run = ran(job, source)
    copied(run, files=1)
    end(run)
    assert messages() == []


def test_slack_gets_the_fields_and_names_make_no_mentions(job: Job, source: Repository) -> None:
    channel(job, "copy.files")
    run = ran(job, source)
    copied(run, files=1, paths=["<!channel> & <https://evil.example|names>.md"])
    end(run)
    [attachment] = payload(Message.from_json(messages()[0]))["attachments"]
    assert attachment["color"] == "#2e7d32"
    assert attachment["title_link"].endswith(f"/runs/{run.pk}/")
    fields = {field["title"]: field for field in attachment["fields"]}
    assert fields["Repository"] == {"title": "Repository", "value": "acme/docs main", "short": True}
    assert fields["Files"]["value"] == "&lt;!channel&gt; &amp; &lt;https://evil.example|names&gt;.md"
    assert fields["Files"]["short"] is False


def test_the_page_offers_these_topics() -> None:
    offered = dict(topics())
    assert {"copy.processed", "copy.files", "copy.deprecated", "run.copy", "connection"} <= set(offered)


def test_a_trouble_with_one_does_not_keep_the_other_from_being_told(
    job: Job, source: Repository, caplog: pytest.LogCaptureFixture
) -> None:
    """An item whose paths cannot be read: what a hand in the database, or another version, may leave."""
    channel(job, "copy.files", "run.copy")
    run = ran(job, source)
    copied(run, files=1, paths=7)
    end(run)
    assert f"the end of run {run.pk} could not be told" in caplog.text
    assert [message["topic"] for message in messages()] == ["run.copy"]

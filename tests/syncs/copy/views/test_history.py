"""The page of what was copied: day by day, rule by rule and target by target, of one team only."""

from __future__ import annotations

import datetime as dt
import html
import re
import uuid
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from opssight.accounts.models import Role
from opssight.core.clock import now
from repos.models import Repository
from syncs.copy.models import CopyRule
from syncs.jobs import delete_job
from syncs.models import Item, Job
from tests.factories import make_connection, make_job, make_repository, make_team
from tests.syncs.runs import make_run, signed_in

pytestmark = pytest.mark.django_db
URL = "/copy/history/"


class Archive:
    """A viewer's browser in a team with the rule `docs`, which copies from acme/docs."""

    def __init__(self) -> None:
        self.client, self.team = signed_in(role=Role.VIEWER)
        self.docs = make_repository(make_connection(self.team), "acme/docs")
        self.job = self.rule("docs", self.docs)

    def rule(self, name: str, source: Repository) -> Job:
        job = make_job(self.team, kind="copy", name=name)
        CopyRule.objects.create(job=job, source=source, source_branch="main")
        return job

    def copied(self, label: str, state: str = "done", /, job: Job | None = None, **more: Any) -> Item:
        """One target of a run of its own, which took a second."""
        job = job or self.job
        source = job.copy_rule.source
        run = make_run(job, repository=source)
        at: dt.datetime = more.pop("at", now())
        sentence = more.pop("sentence", "")
        known = {"from": str(source.pk), "from_name": source.full_name, "from_ref": "main"}
        return Item.objects.create(
            run=run, key=uuid.uuid4().hex, label=label, state=state, sentence=sentence,
            started_at=at - dt.timedelta(seconds=1), finished_at=at,
            result={**known, "to_branch": "next", "cross_organization": False, **more},
        )  # fmt: skip

    def get(self, query: str = "") -> Any:
        answer = self.client.get(f"{URL}?{query}")
        assert answer.status_code == 200
        return answer

    def listed(self, query: str = "") -> list[str]:
        """The targets that are shown, newest first."""
        return [row.item.label for row in self.get(query).context["rows"]]


@pytest.fixture
def archive() -> Archive:
    return Archive()


def words(answer: Any) -> str:
    """What the page says: without tags, and with one space between words."""
    main = answer.content.decode().partition('id="main"')[2]
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", main)).split())


# --- what it shows ----------------------------------------------------------------------------------


def test_an_entry_says_what_came_from_where_and_links_to_all_of_it(archive: Archive) -> None:
    pull = {"number": 3, "url": "https://forge.example/acme/site/pull/3", "state": "open"}
    item = archive.copied(
        "other/site", sentence="2 files written.", commit="c" * 40, source="a" * 40,
        pull_request=pull, cross_organization=True, files=2,
    )  # fmt: skip
    answer = archive.get()
    text = words(answer)
    for said in ("written other/site next", "other organization", "2 files written.", "acme/docs main"):
        assert said in text
    for link in (f"/runs/{item.run_id}/", f"/copy/{archive.job.pk}/", pull["url"]):
        assert f'href="{link}"' in answer.content.decode()
    for commit in ("ccccccc", "aaaaaaa", "pull request #3"):
        assert commit in text


@pytest.mark.parametrize(
    ("state", "result", "word"),
    [
        ("done", {}, "written"),
        ("skipped", {}, "unchanged"),
        ("failed", {}, "failed"),
        ("conflict", {}, "failed"),
        ("skipped", {"shadow": True}, "shadow"),
        ("done", {"only_merged": True}, "merged"),
        ("done", {"only_closed": True}, "closed"),
    ],
)
def test_each_outcome_has_its_word_and_is_found_by_it(
    archive: Archive, state: str, result: dict[str, Any], word: str
) -> None:
    archive.copied("acme/site", state, **result)
    assert f"{word} acme/site" in words(archive.get())
    assert archive.listed(f"outcome={word}") == ["acme/site"]
    others = {"written", "unchanged", "failed", "shadow", "merged", "closed"} - {word}
    assert [one for one in others if archive.listed(f"outcome={one}")] == []


def test_days_and_rules_are_summed_in_words_and_columns(archive: Archive) -> None:
    quiet = archive.rule("quiet", archive.docs)
    with time_machine.travel("2026-03-10T12:00:00Z", tick=False):
        archive.copied("a", files=3)
        archive.copied("b", files=1_204)
        archive.copied("c", "failed")
        archive.copied("d", "skipped", job=quiet)
        archive.copied("e", files=1, at=now() - dt.timedelta(days=2))
        archive.copied("f", at=now() - dt.timedelta(days=7))
        answer = archive.get("days=7")
    text = words(answer)
    assert "3 succeeded 1 failed 1,208 files written 1 target needed nothing" in text
    shown = (
        "4 Mar 2026 to 10 Mar 2026: 4 copies on 2 days, most on 10 Mar 2026: 2 succeeded, 1 failed. "
        "Days are in UTC."
    )
    assert shown in text
    assert f'role="img" aria-label="{shown}"' in answer.content.decode(), "the chart says what it shows"
    columns = answer.context["volume"].columns
    assert len(columns) == 7
    assert columns[-1].amounts == (("ok", 2), ("bad", 1))
    assert columns[-1].title == "10 Mar 2026: 2 succeeded, 1 failed"
    assert columns[-2].amounts == (("ok", 0), ("bad", 0)), "a day without copies is no gap in what is known"
    assert "docs 4 3 1 0 1,208 1.0 s" in text
    assert f'href="?days=7&amp;rule={archive.job.pk}">docs</a>' in answer.content.decode()
    assert "quiet 0 0 0 1 0" in text


def test_only_so_many_rules_are_summed_and_the_rest_is_told(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("syncs.copy.views.history.RULES", 1)
    archive.copied("a")
    archive.copied("b")
    archive.copied("c", job=archive.rule("less", archive.docs))
    answer = archive.get()
    assert [row.stats.rule_name for row in answer.context["sums"]] == ["docs"]
    assert "and 1 rule that copied less" in words(answer)
    assert "3 succeeded" in words(answer), "the sums are of all of them"


def test_a_rule_that_was_deleted_is_shown_and_found_by_its_name(archive: Archive) -> None:
    archive.copied("acme/site")
    archive.copied("acme/web", job=archive.rule("other", archive.docs))
    delete_job(archive.job)
    answer = archive.get()
    assert "docs deleted" in words(answer)
    assert 'href="?rule=docs"' in answer.content.decode()
    alone = archive.get("rule=docs")
    assert archive.listed("rule=docs") == ["acme/site"]
    assert '<option value="docs" selected>docs</option>' in alone.content.decode()


def test_what_an_earlier_version_kept_is_shown_as_far_as_it_is_known(archive: Archive) -> None:
    run = make_run(archive.job, repository=archive.docs)
    Item.objects.create(
        run=run, key="1", label="acme/site", state="done", result={"files": 3, "pull_request": None},
        finished_at=now(),
    )  # fmt: skip
    assert "written acme/site docs acme/docs" in words(archive.get())


def test_entries_are_paged_and_keep_what_was_asked(archive: Archive) -> None:
    run = make_run(archive.job, repository=archive.docs)
    Item.objects.bulk_create(
        Item(run=run, key=str(n), label=f"acme/site{n}", state="done", finished_at=now()) for n in range(51)
    )
    first = archive.get("outcome=written&days=7")
    assert "1 to 50 of 51 targets" in words(first)
    assert "?outcome=written&amp;days=7&amp;page=2" in first.content.decode()
    assert archive.listed("outcome=written&days=7&page=2") == ["acme/site0"]


# --- what narrows it --------------------------------------------------------------------------------


def test_it_is_narrowed_as_the_api_is(archive: Archive) -> None:
    api = make_repository(archive.docs.connection, "acme/api")
    other = archive.rule("api docs", api)
    with time_machine.travel("2026-03-10T12:00:00Z", tick=False):
        archive.copied("plain")
        archive.copied("failed", "failed")
        archive.copied("across", job=other, cross_organization=True)
        archive.copied("yesterday", at=now().replace(hour=23, minute=59) - dt.timedelta(days=1))
        archive.copied("old", at=now() - dt.timedelta(days=40))
        for query, wanted in {
            "": ["yesterday", "across", "failed", "plain"],
            f"rule={archive.job.pk}": ["yesterday", "failed", "plain"],
            "rule=api docs": ["across"],
            "rule=nothing": [],
            "source=acme/api": ["across"],
            f"source={archive.docs.pk}": ["yesterday", "failed", "plain"],
            "outcome=failed": ["failed"],
            "cross_organization=true": ["across"],
            "cross_organization=false": ["yesterday", "failed", "plain"],
            "days=90": ["old", "yesterday", "across", "failed", "plain"],
            "days=1": ["across", "failed", "plain"],
            "since=2026-03-10": ["across", "failed", "plain"],
            "until=2026-03-09": ["yesterday"],
            "since=2026-01-01&until=2026-03-09": ["old", "yesterday"],
            "days=7&until=2026-01-30": ["old"],
            f"rule={archive.job.pk}&outcome=failed&days=7": ["failed"],
        }.items():
            assert archive.listed(query) == wanted, query
        columns = archive.get("since=2026-01-01&until=2026-03-09").context["volume"].columns
        assert len(columns) == 68
        assert columns[-1].title == "9 Mar 2026: 1 succeeded, 0 failed"


def test_what_is_chosen_is_kept_by_every_part_of_the_page(archive: Archive) -> None:
    archive.copied("acme/site", cross_organization=True)
    query = f"rule={archive.job.pk}&source={archive.docs.pk}&outcome=written&cross_organization=true&days=90"
    answer = archive.get(query)
    text = answer.content.decode()
    chosen = re.findall(r'<option value="([^"]*)" selected>', text)
    assert chosen == [str(archive.job.pk), str(archive.docs.pk), "written", "true"]
    assert '<input type="hidden" name="days" value="90">' in text
    assert [one.label for one in answer.context["windows"] if one.current] == ["90 days"]
    week = answer.context["windows"][0].url
    assert [row.item.label for row in archive.client.get(URL + week).context["rows"]] == ["acme/site"]
    assert f'of <a href="/copy/{archive.job.pk}/">docs</a>' in text
    assert "all rules" in text
    spanned = archive.get("days=7&since=2026-03-01&until=2026-03-02")
    assert 'name="since" value="2026-03-01"' in spanned.content.decode()
    assert [one.label for one in spanned.context["windows"] if one.current] == []
    assert all("since" not in one.url for one in spanned.context["windows"])


def test_sources_of_the_same_name_are_told_apart(archive: Archive) -> None:
    twin = make_repository(make_connection(archive.team, name="Elsewhere"), "acme/docs")
    archive.copied("one")
    archive.copied("two", job=archive.rule("twin", twin))
    answer = archive.get(f"source={twin.pk}")
    assert [row.item.label for row in answer.context["rows"]] == ["two"]
    assert "Elsewhere:acme/docs" in words(answer)
    assert archive.listed("source=acme/docs") == ["two", "one"]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("outcome=odd", "An outcome is written, unchanged, failed, shadow, merged or closed."),
        ("cross_organization=maybe", "Across organizations is true or false."),
        ("days=0", "Days are a number from 1 to 366."),
        ("days=367", "Days are a number from 1 to 366."),
        ("days=many", "Days are a number from 1 to 366."),
        ("since=yesterday", "The first day is given as 2026-11-21."),
        ("since=0001-01-01", "The first day is given as 2026-11-21."),
        ("until=9999-12-31", "The last day is given as 2026-11-21."),
        ("until=2026-02-30", "The last day is given as 2026-11-21."),
        ("rule=a%00b", "A rule is given by its name or its id."),
        (f"source={'s' * 301}", "A source is given by its name or its id."),
        ("since=2026-03-02&until=2026-03-01", "The first day is after the last one."),
        ("since=2000-01-01", "The page shows 366 days at most: these are the last of those asked for."),
    ],
)
def test_what_cannot_be_asked_is_said_and_narrows_nothing(
    archive: Archive, query: str, sentence: str
) -> None:
    archive.copied("acme/site")
    answer = archive.get(query)
    assert sentence in words(answer)
    assert [row.item.label for row in answer.context["rows"]] == ["acme/site"]


def test_the_longest_span_has_a_column_for_each_day(archive: Archive) -> None:
    archive.copied("acme/site")
    assert len(archive.get("since=2000-01-01").context["volume"].columns) == 366
    answer = archive.get("until=2000-01-01&days=366")
    assert (answer.context["asked"].first, answer.context["asked"].days) == (dt.date(1999, 1, 1), 366)


# --- when there is nothing --------------------------------------------------------------------------


def test_an_empty_history_says_what_will_be_here(archive: Archive) -> None:
    text = words(archive.get())
    assert "Nothing was copied yet." in text
    assert "opssight copy history" in text
    archive.copied("acme/site", "planned")
    assert "Nothing was copied yet." in words(archive.get()), "what is going on has no outcome yet"


def test_a_span_without_copies_says_so_and_leads_on(archive: Archive) -> None:
    archive.copied("acme/site", at=now() - dt.timedelta(days=40))
    answer = archive.get()
    assert "nothing was copied. Days are in UTC." in words(answer)
    assert "Nothing fits in these days." in words(answer)
    assert 'href="/copy/history/?days=366"' in answer.content.decode()
    assert archive.listed("days=366") == ["acme/site"]


# --- how it is reached, for whom, and at what cost --------------------------------------------------


def test_it_is_reached_from_the_rules_and_from_the_runs_of_one(archive: Archive) -> None:
    item = archive.copied("acme/site")
    link = '<a href="/copy/history/">History</a>'
    assert link in archive.client.get("/copy/").content.decode()
    assert '<a href="/copy/">Rules</a>' in archive.get().content.decode()
    runs = archive.client.get(f"/copy/{archive.job.pk}/runs/").content.decode()
    assert f'href="/copy/history/?rule={archive.job.pk}"' in runs
    delete_job(archive.job)
    assert Item.objects.filter(pk=item.pk).exists()
    assert 'href="/copy/history/">What was copied before</a>' in archive.client.get("/copy/").content.decode()


def test_a_team_without_a_history_is_not_sent_to_it() -> None:
    client, _ = signed_in()
    assert "/copy/history/" not in client.get("/copy/").content.decode()


def test_another_team_sees_nothing_of_it(archive: Archive) -> None:
    archive.copied("acme/secret", sentence="told")
    stranger, _ = signed_in()
    for query in ("", f"rule={archive.job.pk}", f"source={archive.docs.pk}", "rule=docs&days=366"):
        text = words(stranger.get(f"{URL}?{query}"))
        assert not re.search(r"acme|told", text), query
    assert Client().get(URL).status_code == 302


def test_a_member_of_two_teams_sees_the_one_they_work_in(archive: Archive) -> None:
    user = archive.team.memberships.get().user
    other = make_team(user)
    job = make_job(other, kind="copy", name="theirs")
    source = make_repository(make_connection(other), "other/docs")
    CopyRule.objects.create(job=job, source=source, source_branch="main")
    Item.objects.create(run=make_run(job), key="1", label="other/site", state="done", finished_at=now())
    assert "Nothing was copied yet." in words(archive.get())
    archive.copied("acme/site")
    assert archive.listed() == ["acme/site"]
    assert not re.search(r"theirs|other/", words(archive.get()))


def test_the_page_takes_the_same_queries_however_much_was_copied(archive: Archive) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as seen:
            archive.get("days=90")
        return len(seen)

    def copy(number: int) -> None:
        for n in range(number):
            source = make_repository(make_connection(archive.team))
            at = now() - dt.timedelta(days=n)
            archive.copied(f"site{n}", job=archive.rule(f"rule {source.pk}", source), at=at)

    copy(2)
    few = cost()
    copy(30)
    assert cost() == few

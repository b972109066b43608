"""The list of rules, their text, versions, runs and settings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from opssight.accounts.models import Role
from opssight.audit.models import AuditEvent
from opssight.web.parts import Protection
from repos.models import Repository, RepositoryStatus
from syncs.copy.formats import load
from syncs.copy.forms.rule_form import Names
from syncs.copy.forms.yaml_text import config_to_yaml, read_yaml
from syncs.copy.models import CopyRule, CopyState
from syncs.copy.views.overview import protection, rule_count, steps
from syncs.models import Job, Run, RunState
from tests.factories import make_team, make_user
from tests.syncs.copy.desk import Desk, form

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def queries(desk: Desk, url: str) -> int:
    with CaptureQueriesContext(connection) as seen:
        assert desk.client.get(url).status_code == 200
    return len(seen)


def test_the_empty_page_teaches(desk: Desk) -> None:
    text = desk.client.get("/copy/").content.decode()
    assert "When files change here, change them there" in text
    assert 'href="/copy/new/"' in text
    assert "Found in your repositories" not in text


def test_the_list_says_from_to_and_how_far(desk: Desk) -> None:
    job = desk.rule()
    assert "queued" in desk.client.get("/copy/").content.decode()
    Run.objects.update(state=RunState.SUCCEEDED, sentence="Copied 2 files to 1 of 1 target.")
    desk.docs.head_oid = "a" * 40
    desk.docs.save()
    text = desk.client.get("/copy/").content.decode()
    assert "0 of 1 target at HEAD" in text
    assert "Copied 2 files" in text
    CopyState.objects.create(target=job.copy_rule.targets.get(), source_oid="a" * 40)
    assert "at HEAD" in desk.client.get("/copy/").content.decode()
    CopyState.objects.update(source_oid="", proposed_oid="a" * 40)
    assert "1 of 1 target to be merged" in desk.client.get("/copy/").content.decode()
    CopyRule.objects.update(shadow=True)
    assert "writes nothing" in desk.client.get("/copy/").content.decode()
    Run.objects.update(state=RunState.FAILED)
    assert "failed" in desk.client.get("/copy/?sort=-run").content.decode()


def test_the_list_is_filtered_and_keeps_its_page_when_nothing_fits(desk: Desk) -> None:
    desk.rule("alpha")
    desk.rule("beta")
    text = desk.client.get("/copy/?q=alpha").content.decode()
    assert "alpha" in text
    assert ">beta<" not in text
    assert "No rule fits" in desk.client.get("/copy/?state=off").content.decode()


def test_a_list_takes_the_same_queries_however_long_it_is(desk: Desk) -> None:
    for number in range(3):
        desk.rule(f"rule {number}")
    few = queries(desk, "/copy/")
    for number in range(3, 30):
        desk.rule(f"rule {number}")
    assert queries(desk, "/copy/") == few


def test_other_teams_rules_are_not_listed(desk: Desk, tmp_path: Path) -> None:
    Desk(tmp_path).rule("theirs")
    assert "theirs" not in desk.client.get("/copy/").content.decode()


def test_the_yaml_tab_shows_and_takes_the_same_configuration(desk: Desk) -> None:
    job = desk.rule()
    page = desk.client.get(f"/copy/{job.pk}/yaml/")
    text = page.context["text"]
    assert "repository: docs" in text
    desk.client.post(f"/copy/{job.pk}/yaml/", {"text": text, "do": "save-next"})
    first, second = job.versions.order_by("number")
    assert first.config == second.config


def test_yaml_is_lossless(desk: Desk) -> None:
    names = Names.of_team(desk.principal, desk.team)
    config = desk.config("yes: 1.10 # 'quoted' “€”")
    assert read_yaml(config_to_yaml(config, names), names) == config


def test_problems_of_the_text_name_their_line(desk: Desk) -> None:
    job = desk.rule()
    url = f"/copy/{job.pk}/yaml/"
    text = desk.client.get(url).context["text"]
    wrong = desk.client.post(
        url, {"text": text.replace("repository: site", "repository: gone"), "do": "save-next"}
    )
    assert re.search(r"There is no repository .*gone.* \(line \d+\)", wrong.content.decode())
    broken = desk.client.post(url, {"text": "a: [", "do": "save-next"}).content.decode()
    assert "Line 1, column " in broken
    assert "a: [" in broken
    assert job.versions.count() == 1


def test_an_unfinished_form_becomes_text(desk: Desk) -> None:
    page = desk.client.post("/copy/new/yaml/", form(template=[""]))
    assert "pattern: docs/**" in page.context["text"]
    assert "repository: site" in page.context["text"]


def test_versions_show_what_each_changed(desk: Desk) -> None:
    job = desk.rule()
    text = desk.client.get(f"/copy/{job.pk}/yaml/").context["text"]
    desk.client.post(f"/copy/{job.pk}/yaml/", {"text": text.replace("docs/**", "more/**"), "do": "save-next"})
    page = desk.client.get(f"/copy/{job.pk}/versions/").content.decode()
    assert "What version 2 changed" in page
    assert "more" in page
    assert desk.client.get(f"/copy/{job.pk}/versions/?version=1").status_code == 200
    assert desk.client.get(f"/copy/{job.pk}/versions/?version=9").status_code == 404
    assert desk.client.get(f"/copy/{job.pk}/versions/?version=x").status_code == 404


def test_an_earlier_version_is_made_current_again(desk: Desk) -> None:
    job = desk.rule()
    text = desk.client.get(f"/copy/{job.pk}/yaml/").context["text"]
    desk.client.post(f"/copy/{job.pk}/yaml/", {"text": text.replace("docs/**", "more/**"), "do": "save-next"})
    url = f"/copy/{job.pk}/versions/"
    assert "Make version 1 current" in desk.client.get(f"{url}?version=1").content.decode()
    assert "Make version 2 current" not in desk.client.get(f"{url}?version=2").content.decode()
    desk.client.post(url, {"version": "1"})
    first, _, third = job.versions.order_by("number")
    assert (third.config, third.note) == (first.config, "As version 1.")
    job.refresh_from_db()
    assert job.version == third
    assert AuditEvent.objects.filter(action="job.version").count() == 3
    assert desk.client.post(url, {"version": "9"}).status_code == 404
    Repository.objects.filter(pk=desk.site.pk).update(team=make_team(make_user()))
    told = desk.client.post(url, {"version": "1"}, follow=True).content.decode()
    assert "There is no repository" in told
    assert job.versions.count() == 3


def test_runs_of_a_rule_ask_again_only_while_one_is_open(desk: Desk) -> None:
    job = desk.rule()
    url = f"/copy/{job.pk}/runs/"
    assert "every 2s" in desk.client.get(url).content.decode()
    Run.objects.update(state=RunState.SUCCEEDED, sentence="Ready.")
    text = desk.client.get(url, headers={"HX-Request": "true"}).content.decode()
    assert "every 2s" not in text
    assert "Ready." in text
    desk.client.post(f"/copy/{job.pk}/start/")
    assert Run.objects.count() == 2


def test_switching_scheduling_and_deleting(desk: Desk) -> None:
    job = desk.rule()
    url = f"/copy/{job.pk}/settings/"
    for state, enabled, shadow in (("disabled", False, False), ("shadow", True, True), ("magic", True, True)):
        desk.client.post(url, {"do": "state", "state": state})
        job = Job.objects.get()
        assert (job.enabled, job.copy_rule.shadow) == (enabled, shadow)
    assert "writes nothing" in desk.client.get(url).content.decode()
    assert ">docs to site<" in desk.client.get("/copy/?state=shadow").content.decode()
    desk.client.post(url, {"do": "state", "state": "enabled"})
    assert not CopyRule.objects.get().shadow
    assert AuditEvent.objects.filter(action="copy.shadow").count() == 2
    desk.client.post(url, {"do": "times", "cron": "0 3 * * *", "tz": "Europe/Berlin", "minutes": "5"})
    job.refresh_from_db()
    assert (job.cron, job.tz, job.poll_seconds) == ("0 3 * * *", "Europe/Berlin", 300)
    wrong = desk.client.post(
        url, {"do": "times", "cron": "never", "tz": "UTC", "minutes": ""}
    ).content.decode()
    assert "cannot be read" in wrong
    assert "Its versions are lost" in desk.client.get(url).content.decode()
    desk.client.post(url, {"do": "delete"})
    assert not Job.objects.exists()


def test_rules_are_exported_as_a_copiers_file(desk: Desk) -> None:
    one, two = desk.rule("one"), desk.rule("two")
    answer = desk.client.get(f"/copy/workflows.yaml?job={one.pk}&job={two.pk}")
    assert answer["Content-Disposition"] == 'attachment; filename="workflows.yaml"'
    loaded = load(answer.content)
    assert [(flow.name, flow.source_repo, flow.target_repo) for flow in loaded.flows] == [
        ("one", "docs", "site"),
        ("two", "docs", "site"),
    ]
    assert f"job={one.pk}&amp;job={two.pk}" in desk.client.get("/copy/").content.decode()
    assert desk.client.get("/copy/workflows.yaml?job=x").status_code == 404


def test_the_strip_step_says_how_far_the_copies_are(desk: Desk) -> None:
    [none] = steps(desk.principal, desk.docs)
    assert none.state == "not_set_up"
    assert none.actions[0].url == f"/copy/new/?source={desk.docs.pk}"
    desk.rule()
    assert steps(desk.principal, desk.docs)[0].state == "pending"
    RepositoryStatus.objects.create(
        repository=desk.docs, lane="copy", state="behind", behind=2, sentence="0 of 1 target at HEAD"
    )
    step = steps(desk.principal, desk.docs)[0]
    assert (step.state, step.word, step.behind) == ("behind", "2 behind", 2)
    assert steps(desk.principal, desk.site)[0].text == "Written to by 1 rule"


def test_protection_counts_every_target_once(desk: Desk) -> None:
    assert protection(desk.principal, desk.team) is None
    job = desk.rule()
    assert rule_count(desk.team) == 1
    assert states(protection(desk.principal, desk.team)) == {"unknown": 1}
    desk.docs.head_oid = "a" * 40
    desk.docs.save()
    target = job.copy_rule.targets.get()
    CopyState.objects.create(target=target, source_oid="b" * 40)
    assert states(protection(desk.principal, desk.team)) == {"behind": 1}
    run = Run.objects.get()
    run.items.create(key=str(target.pk), label="site", state="failed")
    Run.objects.update(state=RunState.FAILED)
    assert states(protection(desk.principal, desk.team)) == {"failed": 1}


def states(found: Protection | None) -> dict[str, int]:
    assert found is not None
    return {share.state: share.count for share in found.shares}


def test_a_viewer_sees_no_way_to_change_a_rule(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    job = desk.rule()
    desk.team.memberships.update(role=Role.VIEWER)
    text = desk.client.get(f"/copy/{job.pk}/settings/").content.decode()
    assert "Delete the rule" not in text
    assert desk.client.post(f"/copy/{job.pk}/settings/", {"do": "delete"}).status_code == 404
    assert desk.client.post(f"/copy/{job.pk}/start/").status_code == 404

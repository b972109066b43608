"""Copiers' files that are imported, kept up with and gone back to; a broken one changes nothing."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from opssight.accounts.models import Membership, Role
from opssight.audit.models import AuditEvent
from opssight.core.errors import Conflict, InvalidInput, NotFound
from repos.events import Imported, Pushed, publish
from repos.models import Repository
from syncs.copy.files import following as config_files, watch as file_watch
from syncs.copy.files.asked import missing
from syncs.copy.files.given import first_of, from_texts
from syncs.copy.files.inbox import needs
from syncs.copy.formats import load
from syncs.copy.models import ConfigFile, CopyRule
from syncs.copy.saved import states
from syncs.copy.saved.export import as_workflows
from syncs.models import Job
from tests.factories import make_connection, make_repository, make_team, make_user
from tests.repos.git.work import Bare
from tests.syncs.copy.desk import Desk
from tests.syncs.copy.followed import pasted, reads, reload_due, taken_in, workflow, workflows

pytestmark = pytest.mark.django_db(transaction=True)


def push(bare: Bare, desk: Desk, text: str, path: bytes = b"copier/main.yaml") -> None:
    """A commit, and the event that a webhook makes of it."""
    bare.commit({path: text.encode()})
    row = Repository.objects.get(team=desk.team, full_name="config")
    publish(Pushed(repository_id=row.pk, heard="webhook", ref="refs/heads/main"))


def only() -> Any:
    return ConfigFile.objects.select_related("version").get()


def target_of(job: Job) -> str:
    assert job.version is not None
    return str(job.version.config["flows"][0]["rules"][0]["template"])


def test_a_file_makes_one_rule_for_each_source(desk: Desk) -> None:
    make_repository(desk.connection, "code")
    file = pasted(desk, workflow(name="a"), workflow(to="b", name="b"), workflow("code", name="c"))

    rules: dict[str, Any] = {
        rule.source.full_name: rule for rule in file.rules.select_related("source", "job__version")
    }
    assert set(rules) == {"docs", "code"}
    assert rules["docs"].job.name == "copier: docs"
    assert len(rules["docs"].job.version.config["flows"]) == 2
    assert not rules["docs"].shadow
    assert file.version is not None
    assert (file.version.number, file.version.format, len(file.version.jobs)) == (1, "workflows", 2)
    assert AuditEvent.objects.filter(action="configfile.create").count() == 1


def test_a_file_that_cannot_be_used_makes_nothing(desk: Desk) -> None:
    with pytest.raises(InvalidInput, match=r"no repository 'away'.* 1 more problem"):
        pasted(desk, workflow(), workflow("gone"), workflow("docs", "away"))
    with pytest.raises(InvalidInput):
        pasted(desk, "- name: w\n")
    pasted(desk, workflow())
    with pytest.raises(InvalidInput, match="already a file called 'copier'"):
        pasted(desk, workflow("docs", "site", "x"))
    assert (ConfigFile.objects.count(), Job.objects.filter(kind="copy").count()) == (1, 1)


def test_every_repository_that_is_missing_is_named(desk: Desk) -> None:
    with pytest.raises(InvalidInput) as failure:
        pasted(desk, workflow("gone"), workflow("lost"), workflow("docs", "away"))

    assert [where for where, _ in failure.value.problems] == ["gone", "lost", "docs"]


def test_a_name_that_several_have_is_written_with_its_connection(desk: Desk) -> None:
    twin = make_repository(make_connection(desk.team, name="Elsewhere"), "site")
    entries = workflow(), workflow(target="Elsewhere:site", name="v")
    given = from_texts(reads(desk), {"rules.yaml": workflows(*entries)}, "rules.yaml")
    with pytest.raises(InvalidInput, match="or Elsewhere:site, whichever you mean"):
        pasted(desk, *entries)

    assert missing(desk.principal, desk.team, given) == []
    pasted(desk, entries[1])

    job = Job.objects.get(kind="copy")
    assert job.copy_rule.targets.get().repository == twin
    [flow] = load(as_workflows(desk.principal, [job])).flows
    assert flow.target_repo == "Elsewhere:site"


def test_a_push_puts_the_new_file_in_force(desk: Desk, kept: Bare) -> None:
    taken_in(desk)
    [job] = Job.objects.filter(kind="copy")
    assert (target_of(job), states.state_of(job)) == ("copied", "shadow")
    reload_due()
    assert only().version.number == 1  # nothing new was pushed

    push(kept, desk, workflows(workflow(to="elsewhere")))
    assert only().version.number == 1  # the event only makes it due
    reload_due()

    file = only()
    assert (file.version.number, file.version.oid, file.sentence) == (2, kept.oid("refs/heads/main"), "")
    job.refresh_from_db()
    assert target_of(job) == "elsewhere"
    event = AuditEvent.objects.filter(action="configfile.version").latest("id")
    assert event.diff["version"] == [1, 2]


def test_a_broken_push_leaves_the_last_good_one_in_force(desk: Desk, kept: Bare) -> None:
    taken_in(desk)
    [job] = Job.objects.filter(kind="copy")
    push(kept, desk, "workflows: [{name: x")
    reload_due()

    file = only()
    assert file.version.number == 1
    assert "1:" in file.sentence
    job.refresh_from_db()
    assert target_of(job) == "copied"
    [need] = needs(desk.principal, desk.team)
    assert "is not in force" in need.sentence
    assert need.detail == "as version 1 says."
    assert AuditEvent.objects.filter(action="configfile.broken").count() == 1
    config_files.look_again(desk.principal, file)
    reload_due()
    assert AuditEvent.objects.filter(action="configfile.broken").count() == 1

    push(kept, desk, workflows(workflow(to="mended")))
    reload_due()
    assert (only().version.number, only().sentence, needs(desk.principal, desk.team)) == (2, "", [])


@pytest.mark.parametrize("what", ["deleted", "link", "binary", "large", "branch"])
def test_what_is_no_file_any_more_is_said(desk: Desk, kept: Bare, what: str) -> None:
    taken_in(desk)
    if what == "deleted":
        kept.commit({b"copier/main.yaml": None})
    elif what == "link":
        kept.commit({b"copier/main.yaml": b"other"}, modes={b"copier/main.yaml": "120000"})
    elif what == "binary":
        kept.commit({b"copier/main.yaml": b"\xff\xfe"})
    elif what == "large":
        kept.commit({b"copier/main.yaml": b"#" * 1_100_000})
    else:
        kept.git("update-ref", "-d", "refs/heads/main")
    config_files.look_again(desk.principal, only())
    reload_due()

    wanted = {"deleted": "has no file", "link": "is a link", "binary": "UTF-8", "large": "larger than"}
    assert wanted.get(what, "has no branch main") in only().sentence
    assert only().version.number == 1


def test_a_source_that_is_left_out_rests_and_comes_back(desk: Desk, kept: Bare) -> None:
    make_repository(desk.connection, "code")
    taken_in(desk)
    push(kept, desk, workflows(workflow(), workflow("code")))
    reload_due()
    code = Job.objects.get(name="copier: code")
    assert states.state_of(code) == "shadow"  # a new source begins as the file does

    push(kept, desk, workflows(workflow()))
    reload_due()
    code.refresh_from_db()
    assert states.state_of(code) == "disabled"
    assert code.copy_rule.config_file_id == only().pk

    push(kept, desk, workflows(workflow(), workflow("code")))
    reload_due()
    code.refresh_from_db()
    assert states.state_of(code) == "shadow"


def test_a_rule_that_somebody_switched_off_stays_off(desk: Desk, kept: Bare) -> None:
    taken_in(desk)
    [job] = Job.objects.filter(kind="copy")
    states.set_state(desk.principal, job, "disabled")
    push(kept, desk, workflows(workflow(to="new")))
    reload_due()
    job.refresh_from_db()
    assert (states.state_of(job), target_of(job)) == ("disabled", "new")


def test_what_a_file_refers_to_is_read_with_it(desk: Desk, kept: Bare, tmp_path: Path) -> None:
    shared = Bare(tmp_path / "shared")
    shared.commit({b"moves.yaml": b"- move: {from: docs, to: one}\n"})
    make_repository(desk.connection, "acme/shared", external_id="shared")
    text = workflows(workflow()).replace(
        "transformations:\n  - move: {from: docs, to: copied}",
        "transformations: {$ref: 'repo://acme/shared/moves.yaml@main'}",
    )
    kept.commit({b"copier/main.yaml": text.encode()})
    taken_in(desk)
    file = only()
    assert [row[:3] for row in file.version.texts] == [
        ["", "", "copier/main.yaml"],
        ["acme/shared", "main", "moves.yaml"],
    ]
    [job] = Job.objects.filter(kind="copy")
    assert target_of(job) == "one"

    shared.commit({b"moves.yaml": b"- move: {from: docs, to: two}\n"})
    row = Repository.objects.get(team=desk.team, full_name="acme/shared")
    publish(Pushed(repository_id=row.pk, heard="webhook", ref="refs/heads/main"))
    reload_due()
    job.refresh_from_db()
    assert target_of(job) == "two"

    config_files.roll_back(desk.principal, file, 1)  # with what it referred to then
    job.refresh_from_db()
    assert target_of(job) == "one"


def test_going_back_stays_until_the_file_changes(desk: Desk, kept: Bare) -> None:
    taken_in(desk)
    push(kept, desk, workflows(workflow(to="two")))
    reload_due()
    config_files.roll_back(desk.principal, only(), 1)
    [job] = Job.objects.filter(kind="copy")
    assert (only().version.number, only().version.note, target_of(job)) == (3, "As version 1.", "copied")
    file_watch.answer(Pushed(repository_id=only().repository_id, heard="webhook", ref="refs/heads/main"))
    reload_due()
    assert only().version.number == 3
    push(kept, desk, workflows(workflow(to="three")))
    reload_due()
    job.refresh_from_db()
    assert (only().version.number, target_of(job)) == (4, "three")
    with pytest.raises(NotFound):
        config_files.roll_back(desk.principal, only(), 9)
    with pytest.raises(Conflict, match="Go back to a version of that file"):
        states.roll_back(desk.principal, job, 1)


def test_going_back_does_not_hide_that_the_file_is_broken(desk: Desk, kept: Bare) -> None:
    taken_in(desk)
    push(kept, desk, workflows(workflow(to="two")))
    push(kept, desk, "workflows: [")
    reload_due()
    said = only().sentence
    config_files.roll_back(desk.principal, only(), 1)
    assert said
    assert only().sentence == said
    push(kept, desk, workflows(workflow(to="three")))
    reload_due()
    assert only().sentence == ""


def test_a_file_reaches_no_further_than_its_team(desk: Desk, kept: Bare, tmp_path: Path) -> None:
    """Whoever may push to the configuration gets nothing of other teams of the person who imported it."""
    other = make_team(desk.user, Role.OWNER)
    secret = Bare(tmp_path / "secret")
    secret.commit({b"a.yaml": b"- move: {from: docs, to: x}\n"})
    make_repository(make_connection(other, options={"root": str(tmp_path)}, local=True), "secret")
    taken_in(desk)
    for text in (
        workflows(workflow("secret")),
        workflows(workflow("docs", "secret")),
        workflows(workflow()).replace(
            "transformations:\n  - move: {from: docs, to: copied}",
            "transformations: {$ref: 'repo://secret/secret/a.yaml@main'}",
        ),
    ):
        push(kept, desk, text)
        reload_due()
        assert only().version.number == 1
        assert "There is no repository" in only().sentence


def test_who_took_it_in_must_still_be_allowed_to(desk: Desk, kept: Bare) -> None:
    taken_in(desk)
    Membership.objects.filter(user=desk.user).update(role=Role.VIEWER)
    push(kept, desk, workflows(workflow(to="new")))
    reload_due()
    assert "may not save rules in this team any more" in only().sentence
    assert only().version.number == 1


def test_a_file_whose_repository_went_to_another_team_is_not_read_there(desk: Desk, kept: Bare) -> None:
    taken_in(desk)
    kept.commit({b"copier/main.yaml": workflows(workflow(to="theirs")).encode()})
    other = make_team(make_user())
    Repository.objects.filter(full_name="config").update(team=other)
    config_files.look_again(desk.principal, only())
    reload_due()
    assert only().sentence == "config is not a repository of this team any more."
    assert only().version.number == 1


@pytest.mark.parametrize("name", ["", "x" * 61, "a\0b", "a\nb"])
def test_a_name_that_cannot_be_stored_is_refused(desk: Desk, name: str) -> None:
    with pytest.raises(InvalidInput, match="Give the file a name"):
        pasted(desk, workflow(), name=name)


def test_a_repository_that_is_imported_later_mends_the_file(desk: Desk, kept: Bare) -> None:
    taken_in(desk)
    push(kept, desk, workflows(workflow(), workflow("code")))
    reload_due()
    assert "no repository 'code'" in only().sentence
    make_repository(desk.connection, "code")
    publish(Imported(heard="people", connection_id=desk.connection.pk))
    reload_due()
    assert (only().sentence, only().version.number) == ("", 2)


def test_a_pasted_file_is_changed_here(desk: Desk, kept: Bare) -> None:
    file = pasted(desk, workflow())
    given = from_texts(reads(desk), {"rules.yaml": workflows(workflow(to="new"))}, "rules.yaml")
    config_files.change(desk.principal, file, given, "Because.")
    assert (only().version.number, only().version.note) == (2, "Because.")
    assert only().due_at is None
    config_files.delete(desk.principal, only())
    assert not Job.objects.filter(kind="copy").exists()
    taken_in(desk)
    with pytest.raises(Conflict, match="kept in config"):
        config_files.change(desk.principal, only(), given)


def test_the_mode_of_a_file_is_that_of_its_rules(desk: Desk) -> None:
    make_repository(desk.connection, "code")
    file = pasted(desk, workflow(), workflow("code"))
    off = Job.objects.get(name="copier: code")
    states.set_state(desk.principal, off, "disabled")
    config_files.set_mode(desk.principal, file, ConfigFile.Mode.SHADOW)
    found = {rule.source.full_name: states.state_of(rule.job) for rule in CopyRule.objects.all()}
    assert found == {"docs": "shadow", "code": "disabled"}


def test_a_viewer_changes_nothing(desk: Desk) -> None:
    file = pasted(desk, workflow())
    viewer = make_user()
    Membership.objects.create(user=viewer, team=desk.team, role=Role.VIEWER)
    them = dataclasses.replace(desk.principal, user=viewer, roles={desk.team.pk: Role.VIEWER})
    for change in (
        lambda: config_files.delete(them, file),
        lambda: config_files.roll_back(them, file, 1),
        lambda: config_files.set_mode(them, file, ConfigFile.Mode.SHADOW),
        lambda: config_files.look_again(them, file),
        lambda: states.set_state(them, Job.objects.get(kind="copy"), "disabled"),
    ):
        with pytest.raises(Exception, match="needs the role"):
            change()


def test_the_file_to_begin_with_is_found() -> None:
    texts = {"a.yaml": workflows(workflow()), "main.yaml": "workflow_configs: []\n", "x.txt": "hello"}
    assert first_of(texts) == "main.yaml"
    assert first_of({"x.txt": "hello", "a.yaml": workflows(workflow())}) == "a.yaml"
    with pytest.raises(InvalidInput, match="Paste or upload"):
        first_of({})

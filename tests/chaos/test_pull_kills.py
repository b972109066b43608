"""SIGKILL after every checkpoint of a run with pull requests: one of them is left, with the right content."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.chaos import checkpoints
from tests.chaos.world import at_github, wait_for_run
from tests.forges.github import GitHubStandIn
from tests.instance import Instance
from tests.repos.git.work import Bare

pytestmark = [pytest.mark.chaos, pytest.mark.http_git]

TOKEN = "canary-5f1c0de0a7b94b2d8c"
_MAKE = """
from dataclasses import replace
from syncs.copy.models import CopyRule
from syncs.copy.rules.options import Deletions
pulls = Options(strategy="pull_request")
auto = replace(pulls, pull_request=PullRequest(auto_merge=True))
recorded = Options(deletions=Deletions("record", "gone.json", found["acme/notes"], "main"))
made = {}
rules = {"docs": pulls, "auto": auto, "shadow": Options(), "recorded": recorded}
for name, options in {**rules, "signed": Options(sign="api")}.items():
    job, run = create_rule(who, team, CopyConfig(
        name=name, source_repository=found["acme/docs"], source_branch="main",
        rules=(Rule("glob", f"{name}/**", f"{name}/${{relative_path}}"),),
        targets=(Target(found["acme/site"], "main"),), options=options,
    ))
    made[name] = {"job": str(job.pk), "run": str(run.pk)}
CopyRule.objects.filter(job=made["shadow"]["job"]).update(shadow=True)
Job.objects.update(poll_seconds=None, next_poll_at=None)
print(json.dumps(made))
"""
_HURRY = """
import django
django.setup()
from django.db.models.functions import Now
from syncs.models import Run
rows = Run.objects.filter(state="queued", coalesce_key="{job}/pulls")
print(rows.values_list("pk", flat=True)[0])
rows.update(run_after=Now())
"""

_MAKE_ONE = """
import django
django.setup()
from opssight.accounts.local import local_principal, local_team
from syncs.copy.rules.config import CopyConfig, Target
from syncs.copy.rules.options import Options
from syncs.copy.rules.rule import Rule
from syncs.copy.saved.service import create_rule
job, run = create_rule(local_principal(local_team()), local_team(), CopyConfig(
    name="{name}", source_repository="acme/docs", source_branch="main",
    rules=(Rule("glob", "{name}/**", "{name}/${{relative_path}}"),),
    targets=(Target("acme/site", "main"),), options=Options(strategy="pull_request"),
), start="now")
print(job.pk, run.pk)
"""
_DELETE = """
import django
django.setup()
from syncs.jobs import delete_job
from syncs.models import Job, Run
delete_job(Job.objects.get(pk="{job}"))
print(Run.objects.get(job=None, input__has_key="left", state="queued").pk)
"""


class Rig:
    def __init__(self, instance: Instance, forge: GitHubStandIn) -> None:
        self.instance = instance
        self.forge = forge
        self.made: dict[str, dict[str, str]] = {}
        self.round = 0

    def bare(self, name: str) -> Bare:
        repo = self.forge.named(f"acme/{name}")
        assert repo is not None
        return self.forge.bare(repo)

    def prepare(self) -> None:
        code = at_github(self.forge, TOKEN) + _MAKE
        self.made = json.loads(self.instance.python(code))
        self.instance.start("worker")
        for made in self.made.values():
            assert wait_for_run(self.instance, made["run"])["state"] == "succeeded"

    def change(self, folder: str) -> str:
        """A commit at the source with one file changed and one new; what they say."""
        self.round += 1
        text = f"round {self.round}"
        data = f"{text}\n".encode()
        self.bare("docs").commit(
            {f"{folder}/a.md".encode(): data, f"{folder}/{self.round}.md".encode(): data}
        )
        return text

    def kill(self, name: str) -> None:
        (self.instance.data / "killed-at").unlink(missing_ok=True)
        (self.instance.data / "kill").write_text(f"after {name}")

    def run(self, name: str) -> dict[str, Any]:
        """A run that somebody asks for, to its end."""
        return self.ended(self.instance.json("run", "start", self.made[name]["job"])["id"])

    def ended(self, run: str) -> dict[str, Any]:
        document = wait_for_run(self.instance, run)
        assert document["state"] == "succeeded", document
        return document

    def look(self, name: str) -> dict[str, Any]:
        """The look at pull requests that waits, now."""
        return self.ended(self.instance.python(_HURRY.format(job=self.made[name]["job"])).strip())

    def was_killed(self) -> bool:
        return (self.instance.data / "killed-at").exists()

    def pulls(self, prefix: str, state: str = "open") -> list[dict[str, Any]]:
        repo = self.forge.named("acme/site")
        assert repo is not None
        found = [one for one in repo.pulls.values() if one["head"].startswith(f"opssight/{prefix}-")]
        return [one for one in found if one["state"] == state]

    def text(self, path: str, ref: str = "main", name: str = "site") -> str:
        return self.bare(name).git("show", f"{ref}:{path}")

    def merge(self) -> None:
        """As a person does, by the button."""
        [pull] = self.pulls("docs")
        repo = self.forge.named("acme/site")
        assert repo is not None
        with self.forge.state_lock:
            self.forge._merge(repo, pull, "squash", "Merge")


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("pull-kills")
    with (
        GitHubStandIn(folder / "forge") as forge,
        Instance(folder / "installation", settings="tests.chaos.settings") as instance,
    ):
        forge.limits_off = True
        forge.add_token(TOKEN, "ana", scopes=["repo"])
        for name in ("docs", "site", "notes"):
            forge.add_repository(f"acme/{name}", {b"README": name.encode()})
        instance.prepare()
        made = Rig(instance, forge)
        made.prepare()
        yield made


def test_every_checkpoint_has_its_place() -> None:
    assert checkpoints.checkpoints() > checkpoints.PULLS


@pytest.mark.parametrize("name", sorted(checkpoints.checkpoints() - checkpoints.PULLS | checkpoints.UPDATED))
def test_an_open_one_is_brought_up_to_date(rig: Rig, name: str) -> None:
    rig.change("docs")
    if not rig.pulls("docs"):
        rig.run("docs")
    text = rig.change("docs")
    rig.kill(name)
    rig.run("docs")
    _one_is_open(rig, text)


@pytest.mark.parametrize("name", sorted(checkpoints.MERGED))
def test_a_merged_one_is_followed_by_a_new_one(rig: Rig, name: str) -> None:
    rig.change("docs")
    rig.run("docs")
    rig.merge()
    before = len(rig.pulls("docs", "closed"))
    text = rig.change("docs")
    rig.kill(name)
    rig.run("docs")
    _one_is_open(rig, text)
    assert len(rig.pulls("docs", "closed")) == before


def _one_is_open(rig: Rig, text: str) -> None:
    assert rig.was_killed()
    [pull] = rig.pulls("docs")
    assert rig.text("docs/a.md", pull["head"]) == text
    assert rig.text(f"docs/{rig.round}.md", pull["head"]) == text
    assert rig.bare("site").git("rev-list", "--count", f"main..{pull['head']}") == "1"
    keys = (
        rig.bare("site")
        .git("log", "--format=%(trailers:key=OpsSight-Run-Key,valueonly)", pull["head"])
        .split()
    )
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("name", sorted(checkpoints.CLOSED))
def test_one_that_has_nothing_left_is_closed(rig: Rig, name: str) -> None:
    rig.change("docs")
    rig.run("docs")
    [pull] = rig.pulls("docs")
    site = rig.bare("site")
    site.git("update-ref", "refs/heads/main", site.oid(pull["head"]))
    rig.kill(name)
    rig.run("docs")
    assert rig.was_killed()
    assert rig.pulls("docs") == []
    assert not site.oid(f"refs/heads/{pull['head']}")


@pytest.mark.parametrize("name", sorted(checkpoints.HANDED_OVER | checkpoints.LOOKED_AFTER))
def test_one_that_we_merge_is_merged_once(rig: Rig, name: str) -> None:
    before = len(rig.pulls("auto", "closed"))
    text = rig.change("auto")
    rig.kill(name)
    rig.run("auto")
    rig.look("auto")
    assert rig.was_killed()
    assert rig.pulls("auto") == []
    assert len(rig.pulls("auto", "closed")) == before + 1
    assert rig.text("auto/a.md") == text


@pytest.mark.parametrize("name", sorted(checkpoints.SHADOW))
def test_a_shadow_writes_nothing_in_any_attempt(rig: Rig, name: str) -> None:
    rig.change("shadow")
    rig.kill(name)
    rig.run("shadow")
    assert rig.was_killed()
    assert "shadow" not in rig.bare("site").git("ls-tree", "--name-only", "main").split()


@pytest.mark.parametrize("name", sorted(checkpoints.SIGNED | {"commit-made", "pushed"}))
def test_what_the_forge_signs_arrives_once(rig: Rig, name: str) -> None:
    site = rig.bare("site")
    before = site.oid("main")
    text = rig.change("signed")
    rig.kill(name)
    rig.run("signed")
    assert rig.was_killed()
    assert rig.text("signed/a.md") == text
    assert site.git("rev-list", "--count", f"{before}..main") == "1"
    assert "gpgsig " in site.git("cat-file", "commit", "main")
    assert [ref for ref in site.refs() if "opssight/signing-" in ref] == []


@pytest.mark.parametrize("name", sorted(checkpoints.RECORDED))
def test_a_deletion_is_recorded_once(rig: Rig, name: str) -> None:
    rig.change("recorded")
    rig.run("recorded")
    rig.bare("docs").commit({b"recorded/a.md": None})
    rig.kill(name)
    rig.run("recorded")
    assert rig.was_killed()
    gone = json.loads(rig.text("gone.json", name="notes"))
    assert [one["filename"] for one in gone] == ["recorded/a.md"]


@pytest.mark.parametrize("name", sorted(checkpoints.LEFT | {"pull-closed"}))
def test_one_whose_rule_is_deleted_is_closed(rig: Rig, name: str) -> None:
    rule = f"gone-{name}"
    rig.change(rule)
    job, run = rig.instance.python(_MAKE_ONE.format(name=rule)).split()
    rig.ended(run)
    [pull] = rig.pulls(rule)
    rig.kill(name)
    rig.ended(rig.instance.python(_DELETE.format(job=job)).strip())
    assert rig.was_killed()
    assert rig.pulls(rule) == []
    assert len(rig.pulls(rule, "closed")) == 1
    assert not rig.bare("site").oid(f"refs/heads/{pull['head']}")

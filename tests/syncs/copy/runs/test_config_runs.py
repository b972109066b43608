"""Files of a copier, one of each format, at work: sources at one forge, targets in other organizations and at
another forge, from the import to a merged pull request.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from repos import access, inventory
from repos.providers.forge import Forge, Pull
from syncs import jobs as work
from syncs.copy.files import following as config_files
from syncs.copy.files.following import Location
from syncs.copy.files.given import from_texts
from syncs.copy.files.reads import StoreReads, in_team
from syncs.copy.models import ConfigFile
from syncs.models import ItemState, Job, Run, RunState
from tests.repos.forges import Connected, connected
from tests.repos.git.work import Bare
from tests.syncs.copy.story import World, execute

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.http_git]

SOURCES = ("acme/app", "acme/client", "acme/handbook")
TARGET, DIRECT = "partner/site", "other/mirror"  # at the other forge, and at the same one
PULL = {"type": "pull_request", "pr_title": "From ${source_repo}", "commit_message": "Bring ${file_count}"}


def workflow(source: str) -> dict[str, Any]:
    folder = source.partition("/")[2]
    return {
        "name": folder,
        "source": {"repo": source, "branch": "main"},
        "destination": {"repo": TARGET, "branch": "main"},
        "transformations": [{"move": {"from": "code", "to": folder}}],
        "commit_strategy": PULL,
    }


def rule(source: str) -> dict[str, Any]:
    folder = source.partition("/")[2]
    pattern = {"type": "prefix", "pattern": "code/"}
    path = f"{folder}/${{relative_path}}"
    return {
        "name": folder,
        "source_pattern": pattern,
        "targets": [
            {"repo": TARGET, "branch": "main", "path_transform": path, "commit_strategy": PULL},
            {"repo": DIRECT, "branch": "main", "path_transform": path, "commit_strategy": {"type": "direct"}},
        ],
    }


FORMATS: dict[str, Any] = {
    "workflows": {"workflows": [workflow(source) for source in SOURCES]},
    "main": {
        "workflow_configs": [{"source": "inline", "workflows": [workflow(source)]} for source in SOURCES]
    },
    "sources": {
        "sources": [
            {"repo": source, "branch": "main", "installation_id": "7", "copy_rules": [rule(source)]}
            for source in SOURCES
        ]
    },
    "legacy": {"source_repo": SOURCES[0], "source_branch": "main", "copy_rules": [rule(SOURCES[0])]},
    "v0": [
        {
            "source_directory": "code",
            "target_repo": TARGET,
            "target_branch": "main",
            "target_directory": "app",
            "copier_commit_strategy": "pr",
            "pr_title": "From acme/app",
        }
    ],
}


@dataclass
class Scene:
    here: Connected
    there: Connected
    jobs: list[Job]
    format: str

    @property
    def client(self) -> Forge:
        client = access.client_of(self.there.connection)
        assert isinstance(client, Forge)
        return client

    def bare(self, name: str) -> Bare:
        at = self.there if name == TARGET else self.here
        bare = at.forge.bare(at.repo(name))
        assert isinstance(bare, Bare)
        return bare

    def pulls(self) -> list[Pull]:
        return list(self.client.pulls(self.there.row(TARGET).external_id))

    def run(self) -> list[Run]:
        runs = []
        for job in self.jobs:
            work.start(job, Run.Trigger.MANUAL, "test")
            runs.append(execute(job))
        return runs


@pytest.fixture(params=list(FORMATS))
def scene(request: pytest.FixtureRequest, world: World) -> Iterator[Scene]:
    with (
        connected("github", world.folder, world.team, world.principal) as here,
        connected("gitlab", world.folder, world.team, world.principal) as there,
    ):
        for at, names in ((here, (*SOURCES, DIRECT)), (there, (TARGET,))):
            for name in names:
                at.forge.add_repository(name, {b"README": name.encode()})
            inventory.import_repositories(world.principal, at.connection)
        Run.objects.all().delete()
        text = json.dumps(FORMATS[request.param])
        given = from_texts(
            StoreReads(in_team(world.principal, world.team)),
            {"copier.json": text},
            "copier.json",
            (SOURCES[0], "main"),
        )
        assert given.loaded.format == request.param
        config_files.create(
            world.principal,
            world.team,
            "copier",
            given,
            Location(source=(SOURCES[0], "main")),
            ConfigFile.Mode.ENABLED,
        )
        jobs = list(Job.objects.filter(kind="copy").order_by("name"))
        while Run.objects.filter(state=RunState.QUEUED, kind="copy").exists():
            assert execute().state == RunState.SUCCEEDED
        yield Scene(here, there, jobs, request.param)


def test_from_the_import_to_a_merge(scene: Scene) -> None:
    sources = [job.copy_rule.source.full_name for job in scene.jobs]
    for source in sources:
        scene.bare(source).commit(
            {b"code/a.go": source.encode(), b"code/run": b"#!"}, modes={b"code/run": "100755"}
        )
    assert [run.state for run in scene.run()] == ["succeeded"] * len(sources)
    pulls = scene.pulls()
    assert sorted(pull.title for pull in pulls) == [f"From {source}" for source in sorted(sources)]
    for pull in pulls:
        folder = pull.title.partition("/")[2]
        lines = scene.bare(TARGET).git("ls-tree", "-r", pull.head).splitlines()
        assert [line.split()[0] for line in lines] == ["100644", "100644", "100755"]
        assert scene.bare(TARGET).git("show", f"{pull.head}:{folder}/a.go") == f"acme/{folder}"
    if scene.format in ("sources", "legacy"):  # their rules have a second, direct target
        for source in sources:
            folder = source.partition("/")[2]
            assert scene.bare(DIRECT).git("show", f"main:{folder}/a.go") == source

    for source in sources:
        scene.bare(source).commit({b"code/a.go": b"newer"})
    scene.run()
    assert {pull.number for pull in scene.pulls()} == {pull.number for pull in pulls}
    for pull in pulls:
        folder = pull.title.partition("/")[2]
        assert scene.bare(TARGET).git("show", f"{pull.head}:{folder}/a.go") == "newer"
        scene.client.merge_pull(scene.there.row(TARGET).external_id, pull.number, "merge")
    for run in scene.run():
        assert {item.state for item in run.items.all()} == {ItemState.SKIPPED}
    assert scene.pulls() == []
    assert list(scene.bare(TARGET).refs()) == ["refs/heads/main"]

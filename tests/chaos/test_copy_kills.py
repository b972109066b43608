"""SIGKILL before and after every checkpoint of a copy run: the target changes exactly once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.checkpoints import PULLS, checkpoints
from tests.chaos.world import World, start_within, wait_for_run
from tests.instance import Instance

pytestmark = pytest.mark.chaos

# those of pull requests are in test_pull_kills.py
NAMES = sorted(checkpoints() - PULLS)


def test_there_are_at_least_twelve_checkpoints() -> None:
    assert len(NAMES) >= 12


class Rig:
    def __init__(self, instance: Instance, world: World, job: str) -> None:
        self.instance = instance
        self.world = world
        self.job = job
        self.within = start_within(instance)
        self.round = 0


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("kills")
    with Instance(folder / "installation", settings="tests.chaos.settings") as instance:
        instance.prepare()
        world = World(folder)
        made = world.make_rule(instance)
        instance.start("worker")
        assert wait_for_run(instance, made["run"])["state"] == "succeeded"
        yield Rig(instance, world, made["job"])


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", NAMES)
def test_a_kill_at_a_checkpoint_leaves_one_effect(rig: Rig, name: str, when: str) -> None:
    rig.round += 1
    tips = rig.world.target_tips()
    text = f"round {rig.round}\n"
    rig.world.commit("source", {"docs/a.md": text, f"docs/{rig.round}.md": text})
    (rig.instance.data / "kill").write_text(f"{when} {name}")

    run = rig.instance.json("run", "start", rig.job)["id"]
    ended = wait_for_run(rig.instance, run)

    killed_at = float((rig.instance.data / "killed-at").read_text())
    (rig.instance.data / "killed-at").unlink()
    assert ended["state"] == "succeeded", ended
    assert ended["sentence"].startswith("Copied 2 files to 1 of 1 target"), ended
    assert rig.world.text("target", "copied/a.md") == text, ended
    assert rig.world.target_tips()[1:] == tips, "the target must have exactly one new tip"
    keys = rig.world.run_keys()
    assert len(keys) == len(set(keys)) == rig.round
    lines = rig.instance.json("run", "log", run)["results"]
    starts = [line["at"] for line in lines if line["message"].startswith("claimed by")]
    assert len(starts) >= 1
    assert _seconds(starts[-1]) - killed_at <= rig.within
    assert not Path(rig.instance.data / "kill").exists()


def _seconds(at: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(at).timestamp()

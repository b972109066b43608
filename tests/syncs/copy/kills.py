"""Runs that are killed at a checkpoint, and what comes after them."""

from __future__ import annotations

from typing import Any

import pytest

from syncs.engine.context import RunContext
from syncs.models import Run, RunState
from tests.syncs.copy.story import Story, execute


class Killed(BaseException):
    """As a kill would: nothing handles it."""


def kill_at(monkeypatch: pytest.MonkeyPatch, name: str, when: str) -> list[str]:
    """The next run that comes to this checkpoint ends there; the list is empty until then."""
    killed: list[str] = []
    checkpoint = RunContext.checkpoint

    def deadly(self: RunContext, reached: str) -> None:
        if when == "after":
            checkpoint(self, reached)
        if reached == name and not killed:
            killed.append(reached)
            raise Killed
        if when == "before":
            checkpoint(self, reached)

    monkeypatch.setattr(RunContext, "checkpoint", deadly)
    return killed


def survive(told: Story, killed: list[str], **input: Any) -> Run:
    with pytest.raises(Killed):
        told.run(**input)
    assert killed
    Run.objects.filter(state=RunState.RUNNING).update(
        state=RunState.QUEUED, lease_token=None, lease_until=None
    )
    run = execute()
    assert run.state == RunState.SUCCEEDED, run.sentence
    return run

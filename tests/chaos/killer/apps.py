"""Kills the worker with SIGKILL just before or just after a checkpoint, once, when told to.

A test writes `before pushed` (or `after …`) into the file `kill` of the data folder.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from django.apps import AppConfig
from django.conf import settings


class KillerConfig(AppConfig):
    name = "tests.chaos.killer"
    label = "killer"

    def ready(self) -> None:
        from syncs.engine.context import RunContext  # models are loaded by now

        checkpoint = RunContext.checkpoint

        def deadly(self: RunContext, name: str) -> None:
            _die_if_told("before", name)
            checkpoint(self, name)
            _die_if_told("after", name)

        RunContext.checkpoint = deadly  # type: ignore[method-assign]


def _die_if_told(when: str, name: str) -> None:
    order = Path(settings.DATA) / "kill"
    try:
        if order.read_text() != f"{when} {name}":
            return
        order.rename(order.with_name("killed"))  # of two workers only one finds it
    except FileNotFoundError:
        return
    order.with_name("killed-at").write_text(str(time.time()))
    os.kill(os.getpid(), signal.SIGKILL)

"""A job kind for tests of the engine: its input says what it does."""

from __future__ import annotations

import os
import signal
import time
from typing import ClassVar

from opssight.core import errors
from syncs.engine.context import RunContext
from syncs.engine.kinds import JobKind, Outcome
from syncs.models import RunState


class Probe(JobKind):
    name: ClassVar[str] = "probe"
    label: ClassVar[str] = "Probe"
    summary: ClassVar[str] = "Does what its input says."

    def execute(self, run: RunContext) -> Outcome:
        wanted = run.run.input
        run.checkpoint("started")
        if wanted.get("die"):
            os.kill(os.getpid(), signal.SIGKILL)
        if failure := wanted.get("fail"):
            raise getattr(errors, failure)(wanted.get("sentence", "It did not work."))
        if wanted.get("raise"):
            raise ValueError("nobody foresaw this")
        for n in range(int(wanted.get("sleep", 0) * 10)):
            time.sleep(0.1)
            if not wanted.get("hang"):
                run.progress("sleeping", n)
                run.raise_if_stopped()
        return Outcome(RunState.SUCCEEDED, "Done.")


KIND = Probe()

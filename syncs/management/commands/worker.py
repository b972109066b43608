"""`opssight worker`: executes runs until it is told to stop."""

from __future__ import annotations

import argparse
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from opssight.core.command import Answer, OpsCommand, typed
from opssight.core.env_kinds import whole_number
from opssight.core.errors import InvalidInput
from opssight.core.processes import die_with_parent
from syncs.engine.kinds import all_kinds


class Command(OpsCommand):
    help = "Execute runs until told to stop (SIGTERM lets what runs finish)."

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--lanes", default="", help="Lanes to take runs from, separated by commas.")
        parser.add_argument("--slots", type=typed(whole_number(1, 64)), default=settings.WORKERS,
                            help="Runs at once.")  # fmt: skip
        parser.add_argument(
            "--tree", action="store_true", help=argparse.SUPPRESS
        )  # the supervisor's own tree
        parser.add_argument("--parent", type=int, default=0, help=argparse.SUPPRESS)

    def run(self, **options: Any) -> Answer:
        if options["parent"]:
            die_with_parent(options["parent"])
        if options["tree"]:
            from syncs.engine.queue import run_tree  # imports django-q2's cluster, which wants fork only here

            run_tree()
        from syncs.engine.supervisor import Supervisor

        supervisor = Supervisor(lanes_from(options["lanes"]), options["slots"])
        supervisor.run()
        return Answer({"worker": supervisor.worker.pk}, "")


def lanes_from(text: str) -> list[str]:
    """The lanes asked for, else those of the settings, else all. InvalidInput for one that no kind has."""
    known = sorted({kind.lane for kind in all_kinds()})
    asked = [lane.strip() for lane in text.split(",") if lane.strip()] or list(settings.LANES) or known
    for lane in asked:
        if lane not in known:
            raise InvalidInput(f"There is no lane {lane!r}. There are: {', '.join(known)}.")
    return asked

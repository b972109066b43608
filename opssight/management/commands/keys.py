"""`opssight keys …`: which key encrypts what, and replacing keys."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.db import transaction

from opssight.audit.record import record
from opssight.core import keys, rotation
from opssight.core.command import Answer, CommandGroup, table, typed
from opssight.core.env_kinds import whole_number


class Command(CommandGroup):
    help = "Show which key encrypts what; bring every stored secret under the newest key."

    def arguments(self, parser: CommandParser) -> None:
        commands = self.subcommands(parser)
        self.subcommand(commands, "status", self.status, "Show how many secrets each key encrypts.")
        rotate = self.subcommand(
            commands,
            "rotate",
            self.rotate,
            "Encrypt every stored secret with the first key. May be stopped and started again.",
        )
        rotate.add_argument("--new", action="store_true", help="Make a new key first (key file only).")
        rotate.add_argument("--drop", action="store_true", help="Remove keys that nothing needs any more.")
        rotate.add_argument("--batch", type=typed(whole_number(1)), default=500, help="Rows at a time.")

    def status(self, **options: Any) -> Answer:
        return _answer([])

    def rotate(self, **options: Any) -> Answer:
        if options["new"]:
            self.progress(f"New key {keys.add_key()}; keep a copy of the key file away from the database.")
        rotated = 0
        unreadable: list[str] = []
        for step in rotation.rotate(options["batch"]):
            rotated += step.rotated
            unreadable += step.unreadable
            self.progress(f"{step.place}: {rotated} rotated")
        dropped = _drop() if options["drop"] else []
        with transaction.atomic():
            record(
                "keys.rotate",
                team_id=None,
                target=("keys", None, "keys"),
                diff={"rotated": rotated, "dropped": dropped},
            )
        return _answer([f"{row}: cannot be read with the keys that are here." for row in unreadable])


def _drop() -> list[str]:
    removable = list(rotation.status().removable)
    for kid in removable:
        keys.drop_key(kid)
    return removable


def _answer(failed: list[str]) -> Answer:
    status = rotation.status()
    totals = status.totals
    rows = [
        {"key": kid, "secrets": n, "encrypts": kid == status.kids[0], "here": kid in status.kids}
        for kid, n in totals.items()
    ]
    missing = [
        f"The key {kid} is needed for {totals[kid]} secrets and is not here." for kid in status.missing
    ]
    document = {
        "keys": rows,
        "places": status.places,
        "removable": status.removable,
        "missing": status.missing,
    }
    return Answer(document, table(rows, ["key", "secrets", "encrypts", "here"]), [*failed, *missing])

"""`opssight audit …`: read the log, prove that nobody changed it, write its end down."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from opssight.accounts.local import local_team
from opssight.accounts.models import Team
from opssight.audit.anchors import default_path, export_anchor
from opssight.audit.models import AuditEvent
from opssight.audit.selectors import Filters, narrow
from opssight.audit.verify import verify
from opssight.core.command import Answer, CommandGroup, table, typed
from opssight.core.env_kinds import whole_number
from opssight.core.errors import InvalidInput


class Command(CommandGroup):
    help = "Read the audit log, verify it, or write its end to a file."

    def arguments(self, parser: CommandParser) -> None:
        commands = self.subcommands(parser)
        listing = self.subcommand(commands, "list", self.list, "Show events, newest first.")
        listing.add_argument("--team", default="", metavar="SLUG", help="Only this team (default: all).")
        listing.add_argument("--action", default="", help="Only this action, or all that begin so (job.).")
        listing.add_argument("--actor", default="", help="Only by this actor (a part of the name).")
        listing.add_argument("--object", default="", metavar="ID", help="Only what was done to this object.")
        listing.add_argument("--limit", type=typed(whole_number(1)), default=50,
                             help="How many at most (default 50).")  # fmt: skip
        checking = self.subcommand(commands, "verify", self.verify, "Check that nobody changed the log.")
        checking.add_argument(
            "--anchors", type=Path, action="append", default=[], metavar="FILE",
            help="A file written by audit anchor and kept elsewhere; may be given several times.",
        )  # fmt: skip
        anchoring = self.subcommand(commands, "anchor", self.anchor, "Append the end of the log to a file.")
        anchoring.add_argument(
            "--to", type=Path, metavar="FILE", help=f"Default: {default_path().name} in OPSSIGHT_DATA."
        )

    def list(self, **options: Any) -> Answer:
        rows = AuditEvent.objects.all()
        if options["team"]:
            rows = rows.filter(team_id=local_team(options["team"]).pk)
        filters = Filters(action=options["action"], actor=options["actor"], object_id=options["object"])
        events = list(narrow(rows, filters)[: options["limit"]])
        slugs: dict[uuid.UUID | None, str] = dict(Team.objects.values_list("pk", "slug"))
        results = [event_row(event, slugs.get(event.team_id, "")) for event in events]
        columns: Sequence[str | tuple[str, str]] = [
            "at",
            "team",
            ("actor_label", "actor"),
            "action",
            ("object_label", "object"),
            "sealed",
        ]
        text = table(results, columns) if results else "No events."
        return Answer({"results": results}, text)

    def verify(self, **options: Any) -> Answer:
        for path in options["anchors"]:
            if not path.is_file():
                raise missing(path)
        report = verify(anchor_files=options["anchors"])
        document = {
            "ok": report.ok,
            "entries": report.entries,
            "last_seq": report.last_seq,
            "waiting": report.waiting,
            "anchors": report.anchors,
            "first_bad": report.first_bad,
            "problems": [asdict(problem) for problem in report.problems],
        }
        failed = [] if report.ok else [report.sentence, *(problem.sentence for problem in report.problems)]
        return Answer(document, report.sentence if report.ok else "", failed)

    def anchor(self, **options: Any) -> Answer:
        path = options["to"] or default_path()
        anchor = export_anchor(path)
        if anchor is None:
            return Answer(
                {"anchor": None, "file": str(path)}, "Nothing is sealed yet, so nothing was written."
            )
        text = f"Entry {anchor.seq} is written down in {path}. Keep a copy away from this machine."
        return Answer({"anchor": asdict(anchor), "file": str(path)}, text)


def missing(path: Path) -> InvalidInput:
    return InvalidInput(f"There is no anchor file {path}.", [("--anchors", f"There is no file {path}.")])


def event_row(event: AuditEvent, team: str) -> dict[str, Any]:
    return {
        "id": event.pk,
        "at": event.at,
        "team": team,
        "actor_kind": event.actor_kind,
        "actor_label": event.actor_label,
        "action": event.action,
        "object_type": event.object_type,
        "object_id": event.object_id,
        "object_label": event.object_label,
        "diff": event.diff,
        "run_id": event.run_id,
        "request_id": event.request_id,
        "sealed": hasattr(event, "seal"),
    }

"""`opssight copy history`: what copies did, as the API gives it."""

from __future__ import annotations

import datetime as dt
from argparse import ArgumentTypeError
from dataclasses import asdict
from typing import Any, Final

from django.core.management.base import CommandParser

from opssight.accounts.local import add_team_argument, local_principal, local_team
from opssight.core.clock import midnight
from opssight.core.command import Answer, table, typed
from opssight.core.env_kinds import whole_number
from syncs.copy.saved import history
from syncs.copy.saved.history import EVENTS, MOST_DAYS, OUTCOMES, Filters

_CROSSES: Final = {"true": True, "false": False}
_COLUMNS: Final = ("timestamp", "rule_name", "source_repo", "target_repo", "outcome", "files", "sentence")
_RULE: Final = ("rule_name", "total_copies", "success_count", "failure_count", "files", "avg_duration_ms")
_DAY: Final = ("date", "total_copies", "success_count", "failure_count", "files")


def add_history_arguments(parser: CommandParser) -> None:
    parser.add_argument("--outcome", choices=OUTCOMES, default="", help="What became of the target.")
    parser.add_argument(
        "--event-type", choices=EVENTS, default="", help="Written, deletions recorded, or failed."
    )
    parser.add_argument("--rule", default="", help="A rule's name or id.")
    parser.add_argument("--source", default="", metavar="OWNER/NAME", help="A source, by its name or id.")
    parser.add_argument(
        "--pull-request", type=typed(whole_number(1)), metavar="N", help="Copies of this merged pull request."
    )
    parser.add_argument("--commit", default="", metavar="SHA", help="The beginning of a commit.")
    parser.add_argument(
        "--cross-organization", choices=_CROSSES, help="To another owner or host, or within one."
    )
    parser.add_argument("--since", type=_day, metavar="DATE", help="From this day on (UTC), as 2026-11-21.")
    parser.add_argument("--by", choices=("rule", "day"), default="", help="Sums in place of the entries.")
    parser.add_argument(
        "--days", type=typed(whole_number(1, MOST_DAYS)), default=30, help="How many days, with --by day."
    )
    parser.add_argument(
        "--limit", type=typed(whole_number(1)), default=20, help="How many entries at most, newest first."
    )
    add_team_argument(parser)


def history_of(options: dict[str, Any]) -> Answer:
    """The entries, or sums of them."""
    principal = local_principal(local_team(options["team"]))
    filters = Filters(
        outcome=options["outcome"],
        event_type=options["event_type"],
        rule=options["rule"],
        source=options["source"],
        commit=options["commit"],
        pull_request=options["pull_request"],
        cross_organization=_CROSSES.get(options["cross_organization"]),
        since=options["since"],
    )
    if options["by"] == "rule":
        return _answer([asdict(row) for row in history.stats(principal, filters)], _RULE)
    if options["by"] == "day":
        return _answer([asdict(row) for row in history.daily(principal, filters, options["days"])], _DAY)
    # here, because most of this command needs no database and nothing of the API
    from syncs.copy.api.history import HistoryEntryOut

    found = history.entries(principal, filters)[: options["limit"]]
    return _answer([dict(row) for row in HistoryEntryOut(found, many=True).data], _COLUMNS)


def _answer(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> Answer:
    return Answer({"results": rows}, table(rows, columns) if rows else "Nothing was copied.")


def _day(text: str) -> dt.datetime:
    try:
        return midnight(dt.date.fromisoformat(text))
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a day. Give one as 2026-11-21.") from None

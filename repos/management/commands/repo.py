"""`opssight repo …`: what connections show, and the inventory, from a shell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.management.base import CommandParser

from opssight.accounts.local import add_team_argument
from opssight.audit.actor import Actor, acting_as
from opssight.core.command import Answer, CommandGroup, table, typed
from opssight.core.env_kinds import whole_number
from opssight.core.errors import InvalidInput
from opssight.core.words import count
from opssight.web.formats import format_ago
from repos import discovery, inventory, selectors
from repos.discovery import Found
from repos.management.commands.connection import find_connection
from repos.management.filtering import add_filter_arguments, filters_of
from repos.management.finding import find, principal_of
from repos.models import Repository


class Command(CommandGroup):
    help = "See what a connection shows, import repositories, list them."

    def arguments(self, parser: CommandParser) -> None:
        commands = self.subcommands(parser)
        discover = self.subcommand(commands, "discover", self.discover, "Show what a connection sees.")
        take = self.subcommand(commands, "import", self.import_, "Take repositories into the inventory.")
        for command in (discover, take):
            command.add_argument("connection", help="The connection's name or id.")
        take.add_argument("names", nargs="*", metavar="NAME", help="Full names or ids that discover shows.")
        take.add_argument("--all", action="store_true", help="Everything that can be used.")
        take.add_argument("--match", action="store_true", help="All that fit the filters and can be used.")
        for command in (discover, take):
            add_filter_arguments(command)
            command.add_argument("--again", action="store_true", help="Use no list of the last 5 minutes.")
        refresh = self.subcommand(commands, "refresh", self.refresh, "Ask a connection again what is there.")
        refresh.add_argument("connection", help="The connection's name or id.")
        rows = self.subcommand(commands, "list", self.list, "List the inventory.")
        rows.add_argument("--search", default="", help="Words in the name or description.")
        rows.add_argument("--connection", default="", help="Only of this connection.")
        rows.add_argument("--state", default="", choices=[*Repository.State.values, "all"])
        rows.add_argument("--sort", default="name", choices=list(selectors.REPOSITORY_SORTS))
        rows.add_argument("--limit", type=typed(whole_number(1)), default=1_000, help="How many at most.")
        for command in (discover, take, refresh, rows):
            add_team_argument(command)

    def discover(self, **options: Any) -> Answer:
        chosen, connection = filters_of(options), find_connection(options)
        listing = discovery.latest(connection, again=options["again"])
        rows = [found_row(one) for one in listing.fitting(chosen)]
        self.progress(f"As of {format_ago(listing.found_at)}.")
        for sentence in listing.failed:
            self.progress(f"Not everything could be listed. {sentence}")
        document = {
            "found_at": listing.found_at,
            "failed": list(listing.failed),
            "total": len(listing.found),
            "results": rows,
        }
        if not rows:
            nothing = "Nothing fits." if listing.found else "The connection sees no repository."
            return Answer(document, nothing)
        return Answer(document, table(rows, ["full_name", "default_branch", "imported", "usable", "reason"]))

    def import_(self, **options: Any) -> Answer:
        fits = filters_of(options)
        if bool(options["all"]) + bool(options["match"]) + bool(options["names"]) != 1:
            raise InvalidInput("Name the repositories to import, or give --all, or --match with filters.")
        if bool(fits.as_json()) != options["match"]:
            raise InvalidInput("Filters and --match belong together: give both or none.")
        connection = find_connection(options)
        chosen: list[str] | None = None
        if options["names"]:
            found: Sequence[Found] = discovery.by_names(connection, options["names"], again=options["again"])
            chosen = [one.remote.external_id for one in found]
        else:
            listing = discovery.latest(connection, again=options["again"])
            found = listing.found
            if options["match"]:
                chosen = [one.remote.external_id for one in listing.fitting(fits) if one.remote.usable]
        with acting_as(Actor.cli()):
            imported = inventory.import_repositories(principal_of(options), connection, chosen, found=found)
        rows = [repository_row(row) for row in imported]
        text = f"{count(len(rows), 'repository', 'repositories')} imported from {connection.name}."
        return Answer({"results": rows}, text)

    def refresh(self, **options: Any) -> Answer:
        done = inventory.refresh(find_connection(options))
        document = {
            "seen": done.seen,
            "renamed": done.renamed,
            "lost": done.lost,
            "back": done.back,
            "imported": done.imported,
            "failed": done.failed,
        }
        return Answer(document, done.sentence)

    def list(self, **options: Any) -> Answer:
        connection = str(find_connection(options).pk) if options["connection"] else ""
        found = selectors.repositories(
            principal_of(options),
            search=options["search"],
            state=options["state"],
            connection=connection,
            sort=options["sort"],
        )
        rows = [repository_row(row) for row in found[: options["limit"]]]
        text = table(rows, ["full_name", "connection", "state", "default_branch", "head"])
        return Answer(
            {"results": rows}, text if rows else "No repositories yet. opssight repo import takes some."
        )


def found_row(found: Found) -> dict[str, Any]:
    remote = found.remote
    names = ("external_id", "full_name", "default_branch", "visibility", "archived", "usable", "reason")
    return {name: getattr(remote, name) for name in names} | {
        "imported": found.known is not None,
        "id": found.known.pk if found.known else None,
    }


def repository_row(row: Repository) -> dict[str, Any]:
    names = ("id", "full_name", "external_id", "state", "state_reason", "default_branch", "visibility")
    return {name: getattr(row, name) for name in names} | {
        "connection": row.connection.name,
        "head": row.head_oid[:12],
        "head_seen_at": row.head_seen_at,
    }


def find_repository(options: dict[str, Any], wanted: str) -> Repository:
    rows = selectors.repositories(principal_of(options), state="all")
    return find(rows, wanted, "full_name", "repository", "opssight repo list")

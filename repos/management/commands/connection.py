"""`opssight connection …`: what the connections pages do, from a shell."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from opssight.accounts.local import add_team_argument, local_principal, local_team
from opssight.accounts.models import Role
from opssight.accounts.scope import Principal
from opssight.audit.actor import Actor, acting_as
from opssight.core.command import Answer, CommandGroup, table
from opssight.core.errors import InvalidInput
from opssight.core.typed_secrets import secret_from
from repos import connections, selectors, transfer
from repos.limits import limits_of
from repos.management.finding import find, pairs, principal_of
from repos.models import Connection
from repos.providers.base import Provider
from repos.providers.registry import PROVIDERS, all_providers, provider_named
from syncs.management.commands.run import answer, ended
from syncs.models import Run
from syncs.watch.service import check

_HOW_TO_GIVE_ONE = (
    "A secret of the provider: NAME=-, NAME=env:VARIABLE or NAME=file:PATH, which keep it out of the "
    "list of processes, or NAME=VALUE."
)


class Command(CommandGroup):
    help = "Add, list, test, check, move and delete connections, and see their limits."

    def arguments(self, parser: CommandParser) -> None:
        commands = self.subcommands(parser)
        add = self.subcommand(commands, "add", self.add, f"Add a connection. {_fields_in_words()}")
        add.add_argument("name", help="What to call it.")
        add.add_argument("--provider", required=True, help=f"One of: {', '.join(PROVIDERS)}.")
        add.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", dest="options",
                         help="An option of the provider; again for one with several lines.")  # fmt: skip
        add.add_argument("--secret", action="append", default=[], metavar="NAME=SOURCE", dest="secrets",
                         help=_HOW_TO_GIVE_ONE)  # fmt: skip
        rows = self.subcommand(commands, "list", self.list, "List connections and their health.")
        test = self.subcommand(commands, "test", self.test, "Ask the provider who we are and what it shows.")
        look = self.subcommand(commands, "check", self.look,
                                "Look at health, repositories and webhooks, as each night.")  # fmt: skip
        look.add_argument("--wait", action="store_true", help="Wait until it has ended; exit 1 if it failed.")
        delete = self.subcommand(commands, "delete", self.delete, "Delete a connection and its secrets.")
        delete.add_argument("--with-everything", action="store_true",
                            help="Also when repositories or webhooks hang on it.")  # fmt: skip
        limits = self.subcommand(commands, "limits", self.limits, "What is left of its limits.")
        move = self.subcommand(commands, "transfer", self.transfer, "Give a connection to another team.")
        move.add_argument("--to", required=True, metavar="TEAM", help="The team that gets it.")
        move.add_argument("--share-back", action="store_true",
                          help="The team that has it now may go on reading its repositories.")  # fmt: skip
        for command in (test, look, delete, limits, move):
            command.add_argument("connection", help="The connection's name or id.")
        for command in (add, rows, test, look, delete, limits, move):
            add_team_argument(command)

    def add(self, **options: Any) -> Answer:
        team = local_team(options["team"])
        provider = provider_named(options["provider"])
        given = pairs(options["secrets"], "--secret")
        with acting_as(Actor.cli()):
            connection = connections.create_connection(
                local_principal(team),
                team,
                provider.kind,
                options["name"],
                _options(provider, options["options"]),
                {name: secret_from(source, self.progress) for name, source in given},
                local=True,
            )
        return Answer(
            connection_row(connection), f"{connection.name} is added. opssight connection test tries it."
        )

    def list(self, **options: Any) -> Answer:
        rows = [connection_row(row) for row in selectors.connections(principal_of(options))]
        columns = ["name", "provider", "account", "state", "repositories", "sentence"]
        return Answer({"results": rows}, table(rows, columns) if rows else "No connections yet.")

    def test(self, **options: Any) -> Answer:
        connection = find_connection(options)
        tested = connections.test_connection(connection)
        steps = [{"name": s.name, "state": s.state, "sentence": s.sentence} for s in tested.steps]
        document = {
            "ok": tested.ok,
            "account": tested.identity.account if tested.identity else None,
            "sees": tested.sees if tested.ok else None,
            "sentences": tested.sentences,
            "steps": steps,
        }
        words = table(steps, ["name", "state", "sentence"])
        if not tested.ok:
            return Answer(document, words, failed=[f"{connection.name}: {s}" for s in tested.sentences])
        return Answer(document, "\n".join([*tested.sentences, words]))

    def look(self, **options: Any) -> Answer:
        with acting_as(Actor.cli()):
            connection = find_connection(options)
            run = check(principal_of(options), connection, Run.Trigger.CLI, "somebody at the command line")
        return answer(ended(run, self.progress) if options["wait"] else run)

    def limits(self, **options: Any) -> Answer:
        found = [asdict(limit) for limit in limits_of(find_connection(options))]
        if not found:
            return Answer({"results": []}, "Nothing was asked within 24 h, and the server told no limit.")
        for row in found:
            row["spent"] = list(row["spent"])
        rows = [
            {**row, "spent": ", ".join(f"{one['spender']} {one['requests']:,}" for one in row["spent"])}
            for row in found
        ]
        columns = ["resource", "limit", "remaining", "reserved", "reset_at", "paused_until", "spent"]
        return Answer({"results": found}, table(rows, columns))

    def transfer(self, **options: Any) -> Answer:
        connection, team = find_connection(options), local_team(options["to"])
        with acting_as(Actor.cli()):
            user = local_principal(connection.team).user
            both = Principal(user, {connection.team_id: Role.OWNER, team.pk: Role.OWNER})
            transfer.transfer(both, connection, team, share_back=options["share_back"])
        return Answer(
            {"connection": connection.name, "team": team.name},
            f"{connection.name} belongs to {team.name} now.",
        )

    def delete(self, **options: Any) -> Answer:
        connection = find_connection(options)
        with acting_as(Actor.cli()):
            stay = connections.delete_connection(
                principal_of(options), connection, with_everything=options["with_everything"]
            )
        text = f"{connection.name} is deleted.{connections.what_stays(stay)}"
        return Answer({"deleted": connection.name, "webhooks_left": stay}, text)


def connection_row(row: Connection) -> dict[str, Any]:
    names = ("id", "name", "provider", "account", "state", "sentence", "options", "last_ok_at")
    counted = getattr(row, "repository_count", None)  # only where it was asked for
    return {name: getattr(row, name) for name in names} | {
        "repositories": row.repositories.count() if counted is None else counted
    }


def find_connection(options: dict[str, Any]) -> Connection:
    rows = selectors.connections(principal_of(options))
    return find(rows, options["connection"], "name", "connection", "opssight connection list")


def _options(provider: type[Provider], given: list[str]) -> dict[str, Any]:
    """`--set` arguments in the shape of the provider's fields; a repeated one is a list of lines."""
    lines = {field.name for field in provider.fields if field.kind == "lines"}
    options: dict[str, Any] = {}
    for name, value in pairs(given, "--set"):
        if name in lines:
            options.setdefault(name, []).append(value)
        elif name in options:
            raise InvalidInput(f"--set {name} was given twice.")
        else:
            options[name] = value
    return options


def _fields_in_words() -> str:
    found = []
    for provider in all_providers():
        names = [f"{'--secret' if f.is_secret else '--set'} {f.name}=…" for f in provider.fields]
        found.append(f"{provider.kind}: {', '.join(names)}.")
    return " ".join(found)

"""`opssight delivery …`: what webhooks received, from a shell."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from opssight.accounts.local import add_team_argument
from opssight.audit.actor import Actor, acting_as
from opssight.core.command import Answer, CommandGroup, table, typed
from opssight.core.env_kinds import whole_number
from opssight.core.errors import NotFound
from repos import receiving, selectors
from repos.management.finding import principal_of, with_id
from repos.models import Delivery


class Command(CommandGroup):
    help = "List deliveries, show one, act on one again."

    def arguments(self, parser: CommandParser) -> None:
        commands = self.subcommands(parser)
        rows = self.subcommand(commands, "list", self.list, "List deliveries, newest first.")
        rows.add_argument("--verdict", default="", choices=Delivery.Verdict.values)
        rows.add_argument("--limit", type=typed(whole_number(1)), default=50, help="How many at most.")
        show = self.subcommand(commands, "show", self.show, "Show a delivery with its headers and body.")
        replay = self.subcommand(commands, "replay", self.replay, "Act on a stored delivery once more.")
        for command in (show, replay):
            command.add_argument("delivery", help="The delivery's id.")
        for command in (rows, show, replay):
            add_team_argument(command)

    def list(self, **options: Any) -> Answer:
        found = selectors.deliveries(principal_of(options), verdict=options["verdict"])
        rows = [delivery_row(row) for row in found[: options["limit"]]]
        text = table(rows, ["received_at", "provider", "event", "verdict", "repository", "id"])
        return Answer({"results": rows}, text if rows else "No deliveries yet.")

    def show(self, **options: Any) -> Answer:
        delivery = _find_delivery(options)
        try:
            body: str | None = receiving.body_of(delivery).decode("utf-8", "replace")
        except NotFound:
            body = None
        document = {**delivery_row(delivery), "headers": delivery.headers, "body": body}
        return Answer(document, "\n".join(f"{name}: {value}" for name, value in document.items()))

    def replay(self, **options: Any) -> Answer:
        with acting_as(Actor.cli()):
            again = receiving.replay(principal_of(options), _find_delivery(options))
        failed = [again.sentence] if again.verdict == Delivery.Verdict.ERROR else []
        return Answer(delivery_row(again), f"Replayed as {again.pk}: {again.verdict}.", failed)


def delivery_row(row: Delivery) -> dict[str, Any]:
    return {
        "id": row.pk,
        "provider": row.webhook.scheme,
        "event": row.event,
        "verdict": row.verdict,
        "events": row.events,
        "sentence": row.sentence,
        "repository": row.repository.full_name if row.repository else None,
        "webhook": row.webhook_id,
        "replay_of": row.replay_of_id,
        "duplicates": row.duplicates,
        "bytes": row.body_bytes,
        "received_at": row.received_at,
    }


def _find_delivery(options: dict[str, Any]) -> Delivery:
    found = with_id(selectors.deliveries(principal_of(options)), options["delivery"])
    if found is None:
        raise NotFound(
            f"There is no delivery {options['delivery']!r}. opssight delivery list --json shows their ids."
        )
    return found

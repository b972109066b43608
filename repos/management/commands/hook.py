"""`opssight hook …`: webhooks that receive deliveries, from a shell."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from opssight.accounts.local import add_team_argument, local_principal, local_team
from opssight.audit.actor import Actor, acting_as
from opssight.core.command import Answer, CommandGroup, table
from opssight.core.typed_secrets import secret_from
from repos import managed_webhooks, selectors, sources, webhooks
from repos.management.commands.repo import find_repository
from repos.management.finding import find, principal_of
from repos.models import Webhook
from repos.providers.registry import HOOK_SCHEMES

_ALSO = {"generic": "plain", "hmac": "plain"}
"""Other names for a scheme, as people call it."""


class Command(CommandGroup):
    help = "Add, list, test, limit and delete webhooks that receive deliveries."

    def arguments(self, parser: CommandParser) -> None:
        commands = self.subcommands(parser)
        add = self.subcommand(commands, "add", self.add, "Add a webhook and print its address.")
        names = [*HOOK_SCHEMES, *(f"{name} (the same as {scheme})" for name, scheme in _ALSO.items())]
        add.add_argument("--provider", required=True, help=f"Who sends: {', '.join(names)}.")
        add.add_argument(
            "--repository", default="", help="Deliveries are about this repository (name or id)."
        )
        add.add_argument("--secret", default="", help="-, env:VARIABLE, file:PATH or the secret itself. "
                         "Without it one is made and shown once.")  # fmt: skip
        add.add_argument("--name", default="", help="What to call it.")
        rows = self.subcommand(commands, "list", self.list, "List webhooks.")
        test = self.subcommand(commands, "test", self.test, "Send a signed test delivery through it.")
        delete = self.subcommand(commands, "delete", self.delete, "Delete a webhook and its deliveries.")
        allowed = self.subcommand(
            commands, "sources", self.sources, "Show or set the networks that deliveries may come from."
        )
        choice = allowed.add_mutually_exclusive_group()
        choice.add_argument("--allow", action="append", metavar="NETWORK", help="Only these; repeatable.")
        choice.add_argument("--published", action="store_true", help="Those that the sender publishes.")
        choice.add_argument("--anywhere", action="store_true", help="Take deliveries from anywhere.")
        for command in (test, delete, allowed):
            command.add_argument("hook", help="The webhook's id or name.")
        for command in (add, rows, test, delete, allowed):
            add_team_argument(command)

    def add(self, **options: Any) -> Answer:
        team = local_team(options["team"])
        wanted = options["repository"]
        with acting_as(Actor.cli()):
            hook, secret = webhooks.create_hook(
                local_principal(team),
                team,
                _ALSO.get(options["provider"], options["provider"]),
                name=options["name"],
                secret=secret_from(options["secret"], self.progress),
                repository=find_repository(options, wanted) if wanted else None,
            )
        document = {"id": hook.pk, "path": hook.path, "url": webhooks.url_of(hook)}
        lines = [f"Send deliveries to {document['url']}."]
        if not options["secret"]:
            document["secret"] = secret
            lines.append(f"The secret, shown only now: {secret}")
        return Answer(document, "\n".join(lines))

    def list(self, **options: Any) -> Answer:
        rows = [hook_row(hook) for hook in selectors.webhooks(principal_of(options))]
        text = table(rows, ["name", "provider", "repository", "state", "last_delivery_at", "path"])
        return Answer({"results": rows}, text if rows else "No webhooks yet.")

    def test(self, **options: Any) -> Answer:
        received = webhooks.send_test(principal_of(options), _find_hook(options))
        ok = received.status < 400
        document = {"ok": ok, "status": received.status, "verdict": received.verdict}
        sentence = f"It answers {received.status}: {received.sentence}"
        return Answer(document, sentence) if ok else Answer(document, failed=[sentence])

    def sources(self, **options: Any) -> Answer:
        hook, principal = _find_hook(options), principal_of(options)
        wanted: list[str] | None = options["allow"] or ([] if options["anywhere"] else None)
        if options["published"]:
            wanted = sources.published(hook.scheme)
        if wanted is not None:
            with acting_as(Actor.cli()):
                webhooks.update_hook(principal, hook, allowed_sources=wanted)
        found = hook.allowed_sources
        return Answer({"id": hook.pk, "allowed_sources": found}, "\n".join(found) or "From anywhere.")

    def delete(self, **options: Any) -> Answer:
        hook = _find_hook(options)
        with acting_as(Actor.cli()):
            stays = managed_webhooks.delete(principal_of(options), hook)
        document = {"deleted": hook.pk} | ({"sentence": stays} if stays else {})
        there = f" It may still be registered at the provider. {stays}" if stays else ""
        return Answer(document, f"{hook.name} is deleted; its address answers 404 now.{there}")


def hook_row(hook: Webhook) -> dict[str, Any]:
    return {
        "id": hook.pk,
        "name": hook.name,
        "provider": hook.scheme,
        "repository": hook.repository.full_name if hook.repository else None,
        "state": hook.state,
        "registered": hook.remote_state if hook.managed else None,
        "path": hook.path,
        "url": webhooks.url_of(hook),
        "last_delivery_at": hook.last_delivery_at,
    }


def _find_hook(options: dict[str, Any]) -> Webhook:
    rows = selectors.webhooks(principal_of(options))
    return find(rows, options["hook"], "name", "webhook", "opssight hook list")

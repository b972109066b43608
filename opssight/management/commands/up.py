"""`opssight up`: everything with one command — database, administrator, demo, dashboard, worker."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from opssight.cli import Children, free_port, refuse_taken_port
from opssight.core.command import Answer, OpsCommand, typed
from opssight.core.env import ADDRESS_FILE, Env
from opssight.core.env_kinds import whole_number
from opssight.core.errors import InvalidInput
from opssight.demo import demo
from opssight.forges import stand_in_forges, table
from opssight.management.commands.demo import answer
from opssight.setup import make_administrator, prepare_database


class Command(OpsCommand):
    help = "Prepare the database, build the demo, then serve the dashboard with a worker."

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--once", action="store_true", help="Exit after the demo (0 if all jobs succeeded)."
        )
        parser.add_argument("--no-demo", action="store_true", help="Leave the demo out.")
        parser.add_argument(
            "--forges", action="store_true",
            help="Start stand-ins of GitHub, GitLab, Bitbucket and Gitea to connect to (in a checkout only).",
        )  # fmt: skip
        parser.add_argument("--port", type=typed(whole_number(1, 65535)), default=settings.ENV.port,
                            help="The port of the dashboard.")  # fmt: skip

    def run(self, **options: Any) -> Answer:
        bind = settings.ENV.bind
        port = _port(bind, options["port"], any_free=options["once"])
        for warning in settings.ENV.warnings:
            self.progress(warning)
        self.progress("Preparing the database …")
        prepare_database()
        self._administrator()
        url = f"http://{_reachable(bind)}:{port}"
        if settings.ENV.source(Env.public_url) == "default":
            os.environ["OPSSIGHT_PUBLIC_URL"] = url  # where forges send people and webhooks
            if not options["once"]:
                (settings.DATA / ADDRESS_FILE).write_text(f"{url}\n")
        with Children() as children, ExitStack() as stack:
            forges = stack.enter_context(stand_in_forges(port)) if options["forges"] else []
            children.start("web", "--port", str(port), "--bind", bind)
            children.start("worker")
            children.wait_until_ready(f"{url}/healthz", seconds=60)
            done = answer([] if options["no_demo"] else demo(url, self.progress))
            if options["once"]:
                return done
            if forges:
                self.stdout.write(f"{table(forges, url)}\n")
            jobs = "" if options["no_demo"] else f"{done.text}\n\n"
            self.stdout.write(f"{jobs}OpsSight is at {url} (stop it with Ctrl-C).")
            self.stdout.flush()
            children.keep()
        return Answer({}, "", done.failed)

    def _administrator(self) -> None:
        if made := make_administrator():
            self.progress(f"\nSign in as {made[0]} with the password {made[1]}\nIt is shown only now.\n")


def _reachable(bind: str) -> str:
    """An address of this machine at which a server bound to `bind` answers."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind, bind)  # noqa: S104 - compared, not bound
    return f"[{host}]" if ":" in host else host


def _port(bind: str, port: int, *, any_free: bool) -> int:
    """The port if it is free, else (for `--once`) any free one. InvalidInput when it is taken."""
    try:
        refuse_taken_port(bind, port)
    except InvalidInput:
        if any_free:
            return free_port(bind)
        raise
    return port

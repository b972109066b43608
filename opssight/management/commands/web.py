"""`opssight web`: answers HTTP requests until it is told to stop."""

from __future__ import annotations

import argparse
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from django.core.wsgi import get_wsgi_application
from gunicorn.app.base import BaseApplication

from opssight.cli import refuse_taken_port
from opssight.core.command import Answer, OpsCommand, typed
from opssight.core.env_kinds import ADDRESS, whole_number
from opssight.core.processes import die_with_parent


class Server(BaseApplication):  # type: ignore[misc]
    """Gunicorn with the settings of this installation; its own command line is not read."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return get_wsgi_application()


class Command(OpsCommand):
    help = "Serve the dashboard, the API and webhooks."

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--bind", type=typed(ADDRESS), default=settings.ENV.bind, help="The address to listen on."
        )
        parser.add_argument("--port", type=typed(whole_number(1, 65535)), default=settings.ENV.port,
                            help="The port to listen on.")  # fmt: skip
        parser.add_argument("--parent", type=int, default=0, help=argparse.SUPPRESS)

    def run(self, **options: Any) -> Answer:
        if options["parent"]:
            die_with_parent(options["parent"])
        refuse_taken_port(options["bind"], options["port"])
        host = f"[{options['bind']}]" if ":" in options["bind"] else options["bind"]
        Server(
            {
                "bind": f"{host}:{options['port']}",
                "workers": settings.ENV.web_workers,
                "threads": settings.ENV.web_threads,
                "worker_class": "gthread",
                "timeout": 120,
                "max_requests": 5_000,
                "max_requests_jitter": 500,
                "limit_request_line": 8_190,
                "forwarded_allow_ips": "",  # opssight.web.proxies decides whom to believe
                "loglevel": "warning",
                "proc_name": "opssight web",
                "control_socket_disable": True,
            }
        ).run()
        return Answer({}, "")

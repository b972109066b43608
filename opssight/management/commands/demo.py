"""`opssight demo`: build the demo on real repositories of this machine and run its jobs."""

from __future__ import annotations

from typing import Any

from opssight.cli import Children, free_port
from opssight.core.command import Answer, OpsCommand, table
from opssight.demo import DemoRow, demo
from opssight.setup import make_administrator, prepare_database

COLUMNS = ["kind", "name", "status", "seconds", "summary"]


class Command(OpsCommand):
    help = "Build the demo on real repositories of this machine and run every job of it once."

    def run(self, **options: Any) -> Answer:
        prepare_database()
        if made := make_administrator():
            self.progress(f"Sign in as {made[0]} with the password {made[1]} (shown only now).")
        port = free_port("127.0.0.1")
        with Children() as children:
            children.start("web", "--port", str(port), "--bind", "127.0.0.1")
            children.start("worker")
            children.wait_until_ready(f"http://127.0.0.1:{port}/healthz", seconds=60)
            rows = demo(f"http://127.0.0.1:{port}", self.progress)
        return answer(rows)


def answer(rows: list[DemoRow]) -> Answer:
    """The table of the demo; exit status 1 when a job failed."""
    documents = [row.document() for row in rows]
    failed = [f"{row.name}: {row.summary}" for row in rows if row.status == "failed"]
    return Answer({"jobs": documents}, table(documents, COLUMNS), failed)

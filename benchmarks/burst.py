"""1,000 webhook deliveries for one branch from 16 clients: how long until all are stored.

A whole installation (two web processes, a worker, real git) on SQLite and on PostgreSQL. Every
delivery must be answered 202 and linked to one of at most 3 runs, and the newest commit must be in
the target; see `tests/chaos/test_burst.py`. Exit 1 when a median is above 10 s.

    python -m benchmarks.burst [--rounds 3]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from tests.chaos.test_burst import CLIENTS, DELIVERIES, burst
from tests.postgres import Postgres

WITHIN = 10.0  # seconds: the claim


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=3)
    rounds = options.parse_args().rounds
    held = True
    with tempfile.TemporaryDirectory(prefix="bench-burst-") as name, Postgres() as server:
        for database in ("sqlite", "postgresql"):
            times = []
            for number in range(rounds):
                url = server.create_database("burst") if database == "postgresql" else None
                times.append(burst(Path(name) / f"{database}-{number}", url))
            middle = statistics.median(times)
            held = held and middle <= WITHIN
            print(
                f"{database:10} {DELIVERIES:,} deliveries by {CLIENTS} clients: {middle:5.1f} s "
                f"({min(times):.1f}–{max(times):.1f}), {DELIVERIES / middle:.0f} a second"
            )
    print("claim holds" if held else f"claim does NOT hold: above {WITHIN:.0f} s")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())

"""1,000 deliveries for one branch from 16 clients: few runs, nothing lost, the newest commit arrives."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.chaos.world import World, wait_for_run
from tests.instance import Instance

pytestmark = pytest.mark.chaos

DELIVERIES, CLIENTS, RUNS = 1_000, 16, 3


def test_a_burst_becomes_at_most_three_runs(tmp_path: Path) -> None:
    burst(tmp_path, None)


def test_a_burst_becomes_at_most_three_runs_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    burst(tmp_path, postgres_url)


def burst(folder: Path, database_url: str | None) -> float:
    """Seconds that the deliveries took; everything else about them is asserted. See benchmarks/burst.py."""
    with Instance(
        folder / "installation", database_url=database_url, env={"OPSSIGHT_WEB_WORKERS": "2"}
    ) as instance:
        instance.prepare()
        world = World(folder)
        made = world.make_rule(instance)
        instance.start("worker")
        web = instance.start("web")
        assert wait_for_run(instance, made["run"])["state"] == "succeeded"
        hook = instance.json(
            "hook", "add", "--provider", "plain", "--repository", "source", "--secret", "s3cret-s3cret"
        )
        before = instance.rows("SELECT COUNT(*) FROM syncs_run")[0][0]

        statuses, took = _post_all(web.url, hook["path"], world)
        newest = world.commit("source", {"docs/last.md": "the newest\n"})
        statuses += _post(web.url, hook["path"], "last", newest)
        _settle(instance)

        assert set(statuses) == {202}, statuses
        assert statuses[202] == DELIVERIES + 1
        [[runs]] = instance.rows("SELECT COUNT(*) FROM syncs_run")
        assert runs - before <= RUNS
        _every_delivery_is_answered(instance)
        assert world.text("target", "copied/last.md") == "the newest\n"
        return took


def _post_all(url: str, path: str, world: World) -> tuple[Counter[int], float]:
    statuses: Counter[int] = Counter()
    lock = threading.Lock()

    def client(number: int) -> None:
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
        for n in range(number, DELIVERIES, CLIENTS):
            status = _send(connection, path, f"d{n}", f"{n:040x}")
            with lock:
                statuses[status] += 1
        connection.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses, time.monotonic() - started


def _post(url: str, path: str, key: str, oid: str) -> Counter[int]:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
    return Counter({_send(connection, path, key, oid): 1})


def _send(connection: http.client.HTTPConnection, path: str, key: str, oid: str) -> int:
    body = json.dumps({"ref": "refs/heads/main", "after": oid}).encode()
    headers = {
        "Content-Type": "application/json",
        "X-OpsSight-Delivery": key,
        "X-OpsSight-Signature-256": "sha256=" + hmac.new(b"s3cret-s3cret", body, hashlib.sha256).hexdigest(),
    }
    connection.request("POST", path, body, headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status


def _settle(instance: Instance) -> None:
    ends = time.monotonic() + 60
    while instance.rows("SELECT 1 FROM syncs_run WHERE state IN ('queued', 'running')"):
        assert time.monotonic() < ends, instance.json("run", "list")
        time.sleep(0.2)


def _every_delivery_is_answered(instance: Instance) -> None:
    """Each delivery is linked to a run that started after the delivery was stored."""
    rows = instance.rows(
        "SELECT d.id FROM repos_delivery d WHERE NOT EXISTS ("
        " SELECT 1 FROM syncs_runcause c JOIN syncs_run r ON r.id = c.run_id"
        " WHERE c.delivery_id = d.id AND r.started_at >= d.received_at)"
    )
    assert rows == []

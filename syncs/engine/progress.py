"""What a run says while it works: log lines and progress, gathered here and stored by the beat."""

from __future__ import annotations

import datetime as dt
import json
import threading
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from django.db import IntegrityError, transaction
from django.db.models import Max

from opssight.core.clock import now
from opssight.core.redact import redact
from syncs.models import Run, RunLog

CHUNK_BYTES = 16_000
MAX_LINES = 5_000  # per run; then only warnings and errors are kept


@dataclass(frozen=True)
class LogLine:
    at: str  # ISO 8601, UTC
    level: str  # info, warning, error
    step: str
    message: str


class LogBuffer:
    """Log lines of one run that wait to be stored; used from the worker and the beat thread."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._lines: list[LogLine] = []
        self._seq = RunLog.objects.filter(run=run).count()
        self._count = 0

    def add(self, step: str, message: str, level: str = "info") -> None:
        self._count += 1
        if self._count > MAX_LINES and level == "info":
            return
        at = now().astimezone(dt.UTC).isoformat(timespec="milliseconds")
        line = LogLine(at, level, step, redact(message[:20_000])[:4_000])
        with self._lock:
            self._lines.append(line)

    def flush(self) -> None:
        """Store what waits, as chunks of at most 16 KB (compressed far less)."""
        with self._lock:
            lines, self._lines = self._lines, []
            chunk: list[str] = []
            size = 0
            for line in lines:
                text = json.dumps(asdict(line), ensure_ascii=False)
                if size + len(text) > CHUNK_BYTES and chunk:
                    self._store(chunk)
                    chunk, size = [], 0
                chunk.append(text)
                size += len(text)
            if chunk:
                self._store(chunk)

    def _store(self, chunk: list[str]) -> None:
        data = "\n".join(chunk).encode("utf-8", "replace")  # a name may hold half of a character
        self._seq += 1
        try:
            with transaction.atomic():
                RunLog.objects.create(run=self._run, seq=self._seq, lines=zlib.compress(data))
        except IntegrityError:  # a worker that lost this run wrote its last words meanwhile
            newest = self._run.log_chunks.aggregate(seq=Max("seq"))["seq"] or 0
            self._seq = newest + 1
            RunLog.objects.create(run=self._run, seq=self._seq, lines=zlib.compress(data))


def read_log(run: Run, after: int = 0) -> Iterator[tuple[int, LogLine]]:
    """Stored lines with the number of their chunk, oldest first, of chunks behind `after`."""
    for seq, blob in run.log_chunks.filter(seq__gt=after).order_by("seq").values_list("seq", "lines"):
        for text in zlib.decompress(bytes(blob)).decode().split("\n"):
            yield seq, LogLine(**json.loads(text))

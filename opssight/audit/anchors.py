"""Writing the end of the chain down outside the database.

Whoever controls the database can cut off the newest entries without breaking the chain; an anchor
in a file (kept elsewhere, or in a log that is shipped away) shows it.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from opssight.audit.models import AuditAnchor, AuditSeal
from opssight.core.clock import now
from opssight.core.errors import InvalidInput

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Anchor:
    """The end of the chain at one time: place and seal of the entry that was the last."""

    seq: int
    mac: str
    at: dt.datetime


def default_path() -> Path:
    """The file that is written by itself and always looked at: `audit-anchors.jsonl` in OPSSIGHT_DATA."""
    return Path(settings.DATA) / "audit-anchors.jsonl"


def export_anchor(path: Path | None = None) -> Anchor | None:
    """Append the end of the chain to `path` and log it. None when nothing is sealed yet.

    Nothing is written when the file already ends with it. Raises InvalidInput when the file cannot
    be written or read.
    """
    path = path or default_path()
    last = AuditSeal.objects.order_by("-seq").first()
    if last is None:
        return None
    known = read_anchors(path)
    if known and (known[-1].seq, known[-1].mac) == (last.seq, last.mac):
        return known[-1]
    anchor = Anchor(last.seq, last.mac, now())
    _append(path, json.dumps({"seq": anchor.seq, "mac": anchor.mac, "at": anchor.at.isoformat()}))
    AuditAnchor.objects.create(seq=anchor.seq, mac=anchor.mac, exported_to=str(path)[:1000])
    logger.info("audit anchor: entry %d has the seal %s", anchor.seq, anchor.mac)
    return anchor


def read_anchors(path: Path) -> list[Anchor]:
    """The anchors of a file, in its order; none when there is no such file. Raises InvalidInput."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise InvalidInput(f"The anchor file {path} cannot be read: {reason}.") from None
    return [_parse(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]


def _parse(path: Path, number: int, line: str) -> Anchor:
    try:
        entry = json.loads(line)
        return Anchor(int(entry["seq"]), str(entry["mac"]), dt.datetime.fromisoformat(entry["at"]))
    except (ValueError, KeyError, TypeError):
        raise InvalidInput(
            f"Line {number} of the anchor file {path} cannot be read: put back your copy of the file."
        ) from None


def _append(path: Path, line: str) -> None:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "w") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise InvalidInput(f"The anchor file {path} cannot be written: {error.strerror}.") from None

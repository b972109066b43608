"""Log lines as text or JSON, with the ids that tie them together and without secrets."""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from opssight.core.env import Env
from opssight.core.redact import redact, register

__all__ = ["bind", "bound", "logging_config", "redact", "register"]

_ids: ContextVar[dict[str, str] | None] = ContextVar("opssight_log_ids", default=None)
_ORDER = ("request_id", "delivery_id", "run_id")
# What every record has; anything beside it was given as `extra`.
# Whoever writes a part of a message must neither forge the next line nor steer the reader's terminal.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "ids"}


def bound() -> dict[str, str]:
    """The ids that log lines written here carry."""
    return dict(_ids.get() or {})


@contextmanager
def bind(*, request_id: str = "", delivery_id: str = "", run_id: str = "") -> Iterator[None]:
    """Every line logged inside carries these ids; those already bound stay."""
    given = {"request_id": request_id, "delivery_id": delivery_id, "run_id": run_id}
    merged = bound() | {name: value for name, value in given.items() if value}
    token = _ids.set(merged)
    try:
        yield
    finally:
        _ids.reset(token)


class CleanFilter(logging.Filter):
    """Adds the bound ids and redacts message, arguments, exception, stack and extra values."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.ids = bound()
        try:
            record.msg = redact(record.getMessage())
        except (TypeError, ValueError):  # arguments that do not fit: keep the line, not its values
            record.msg = redact(str(record.msg))
        record.args = None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = redact(record.exc_text)
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        return True


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def _when(record: logging.LogRecord) -> str:
    at = dt.datetime.fromtimestamp(record.created, dt.UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class TextFormatter(logging.Formatter):
    """`2026-01-31T12:00:00.000Z INFO opssight.web: words [run_id=…]`, one line; a traceback is indented."""

    def format(self, record: logging.LogRecord) -> str:
        message = _CONTROL.sub(_escaped, record.getMessage())
        ids: dict[str, str] = getattr(record, "ids", {})
        tail = " ".join(f"{name}={ids[name]}" for name in _ORDER if name in ids)
        line = f"{_when(record)} {record.levelname} {record.name}: {message}" + (f" [{tail}]" if tail else "")
        more = "\n".join(part for part in (record.exc_text, record.stack_info) if part)
        return "\n    ".join([line, *(_CONTROL.sub(_escaped, part) for part in more.split("\n") if part)])


class JsonFormatter(logging.Formatter):
    """One JSON object for each line: time, level, logger, message, ids, extra values, exception."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": _when(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "ids", {}),
        }
        for name, value in vars(record).items():
            if name not in _STANDARD and name not in entry:
                entry[name] = value if isinstance(value, (int, float, bool)) else redact(str(value))
        if record.exc_text:
            entry["exception"] = record.exc_text
        if record.stack_info:
            entry["stack"] = record.stack_info
        return json.dumps(entry)


def logging_config(env: Env) -> dict[str, Any]:
    """Django's LOGGING: one handler, to standard error or `OPSSIGHT_LOG_FILE`."""
    formatter = JsonFormatter if env.log_format == "json" else TextFormatter
    handler: dict[str, Any] = {"class": "logging.StreamHandler"}
    if env.log_file is not None:
        # Watched: a rotated file is opened anew.
        handler = {
            "class": "logging.handlers.WatchedFileHandler",
            "filename": str(env.log_file),
            "delay": True,
        }
    level = env.log_level.upper()
    # Requests and queries of others are noise below "warning" unless everything is asked for.
    others = level if level in {"DEBUG", "ERROR"} else "WARNING"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"clean": {"()": CleanFilter}},
        "formatters": {"line": {"()": formatter}},
        "handlers": {"out": {**handler, "filters": ["clean"], "formatter": "line"}},
        "root": {"handlers": ["out"], "level": others},
        "loggers": {
            **{name: {"level": level} for name in ("opssight", "repos", "syncs")},
            # Django brings handlers of its own; everything goes through ours.
            "django": {"handlers": [], "level": others, "propagate": True},
            "django.server": {"handlers": [], "level": level, "propagate": True},
            "django.db.backends": {"level": "WARNING"},
        },
    }

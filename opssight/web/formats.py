"""How numbers, sizes, times and paths are written, everywhere the same.

``None`` is written "unknown": a number nobody knows is never 0.
"""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

UNKNOWN = "unknown"
MINUS = "−"
_BYTE_UNITS = ("KB", "MB", "GB", "TB", "PB")


def format_count(n: float | None) -> str:
    """A whole number with thousands separators: ``1,204``."""
    if n is None:
        return UNKNOWN
    return f"{round(n):,}".replace("-", MINUS)


def format_signed(n: float | None) -> str:
    """A change: ``+3``, ``−3``, ``0``."""
    if n is None:
        return UNKNOWN
    return f"+{round(n):,}" if round(n) > 0 else format_count(n)


def format_percent(fraction: float | None) -> str:
    """A fraction of 1 as a percentage: ``94.1 %``; whole ones without a decimal."""
    if fraction is None:
        return UNKNOWN
    percent = round(fraction * 100, 1)
    if percent == 100 and fraction < 1:
        percent = 99.9  # not all of it, so it must not read as all of it
    return f"{percent:g} %".replace("-", MINUS)


def format_bytes(n: float | None) -> str:
    """A size in decimal units: ``38 KB``, ``48.2 MB``, ``412 MB``."""
    if n is None:
        return UNKNOWN
    if abs(n) < 1000:
        return f"{round(n)} B".replace("-", MINUS)
    value, power = float(n) / 1000, 0
    while abs(value) >= 999.5 and power < len(_BYTE_UNITS) - 1:
        value, power = value / 1000, power + 1
    digits = 1 if abs(value) < 99.95 else 0
    text = f"{value:.{digits}f}".removesuffix(".0")
    return f"{text} {_BYTE_UNITS[power]}".replace("-", MINUS)


def format_duration(value: float | dt.timedelta | None) -> str:
    """A length of time from seconds or a timedelta: ``61 ms``, ``2.1 s``, ``3 h 5 min``, ``2 days``."""
    if value is None:
        return UNKNOWN
    seconds = value.total_seconds() if isinstance(value, dt.timedelta) else float(value)
    if seconds < 0:
        return MINUS + format_duration(-seconds)
    if seconds == 0:
        return "0 s"
    if seconds < 0.0995:
        return f"{max(1, round(seconds * 1000))} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{round(seconds / 86_400)} days"


def format_ago(at: dt.datetime | None, now: dt.datetime | None = None) -> str:
    """Relative time: ``12 min ago``, ``in 6 s``, ``yesterday 18:04``, ``14 Nov``, ``3 Mar 2024``, never."""
    if at is None:
        return "never"
    now = now or timezone.now()
    seconds = (now - at).total_seconds()
    span = abs(seconds)
    if span < 1:
        return "just now"
    if span < 86_400 / 2:
        text = _short_span(span)
        return f"{text} ago" if seconds > 0 else f"in {text}"
    return _calendar(timezone.localtime(at), timezone.localtime(now))


def _short_span(seconds: float) -> str:
    if seconds < 59.5:
        return f"{max(1, round(seconds))} s"
    if seconds < 3570:
        return f"{round(seconds / 60)} min"
    return f"{round(seconds / 3600)} h"


def _calendar(at: dt.datetime, now: dt.datetime) -> str:
    days = (now.date() - at.date()).days
    names = {0: "today", 1: "yesterday", -1: "tomorrow"}
    if days in names:
        return f"{names[days]} {at:%H:%M}"
    if abs(days) < 7:
        return f"{at:%a} {at:%H:%M}"
    if at.year == now.year:
        return f"{at.day} {at:%b}"
    return f"{at.day} {at:%b} {at.year}"


def format_exact(at: dt.datetime) -> str:
    """The exact local time with its zone: ``Thu 19 Nov 2026, 13:42:07 CET``."""
    local = timezone.localtime(at)
    return f"{local:%a} {local.day} {local:%b %Y, %H:%M:%S %Z}"


def format_clock(at: dt.datetime | None) -> str:
    """The local time of day: ``13:42``."""
    return f"{timezone.localtime(at):%H:%M}" if at else UNKNOWN


def cut_middle(path: str, length: int = 40) -> str:
    """A path of at most ``length`` characters, cut in the middle and never at its end.

    Whole folders are dropped as long as the last name fits: ``examples/…/tests/conftest.py``.
    """
    if len(path) <= length:
        return path
    parts = path.split("/")
    for drop in range(1, len(parts) - 1):
        start = (len(parts) - drop) // 2
        candidate = "/".join([*parts[:start], "…", *parts[start + drop :]])
        if start and len(candidate) <= length:
            return candidate
    keep = max(length - 1, 2)
    tail = keep * 2 // 3
    return f"{path[: keep - tail]}…{path[-tail:]}"

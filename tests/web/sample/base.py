"""The day of the sample, and its clock."""

from __future__ import annotations

import datetime as dt

from django.utils import timezone
from django.utils.safestring import mark_safe

from opssight.web.states import STATES as _STATES

STATES = sorted(_STATES, key=lambda key: (_STATES[key].shape, key))
REAL_NOW = timezone.now()
DAY = REAL_NOW.replace(hour=0, minute=0, second=0, microsecond=0)
DAY_END = DAY + dt.timedelta(days=1)
NOW = DAY + dt.timedelta(hours=13, minutes=42)
B = mark_safe


def at(hour: float) -> dt.datetime:
    return DAY + dt.timedelta(hours=hour)


def ago(**span: float) -> dt.datetime:
    return REAL_NOW - dt.timedelta(**span)

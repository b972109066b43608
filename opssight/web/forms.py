"""Fields that forms of several pages have."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator

_FIRST: Final = dt.date(2000, 1, 1)
_LAST: Final = dt.date(2999, 12, 31)


class DayField(forms.DateField):
    """A day that narrows a list, as a date input sends it: far enough from the ends of the calendar that the
    days beside it exist too."""

    def __init__(self, **kwargs: Any) -> None:
        known = [MinValueValidator(_FIRST), MaxValueValidator(_LAST)]
        super().__init__(required=False, input_formats=["%Y-%m-%d"], validators=known, **kwargs)

"""At most so many attempts in a while, counted for all processes together.

Each attempt takes one of the places of a subject; a place is free again when its time is over. The
cache's `add` is atomic, so attempts sent all at once cannot share a place.
"""

from __future__ import annotations

import hashlib
import math
import time

from django.core.cache import cache

from opssight.core.env_kinds import Rate


class TooMany(Exception):
    """All places are taken; the next one is free in `seconds`."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"again in {seconds} s")
        self.seconds = seconds


def take(subject: str, rate: Rate) -> str:
    """Take a place for one attempt; returns its name for `give_back`. Raises TooMany."""
    name = hashlib.sha256(subject.encode()).hexdigest()[:32]
    places = [f"attempt:{name}:{n}" for n in range(rate.count)]
    until = time.time() + rate.seconds
    for place in places:
        if cache.add(place, until, rate.seconds):
            return place
    ends = cache.get_many(places).values()
    raise TooMany(max(math.ceil(min(ends, default=time.time()) - time.time()), 1))


def give_back(place: str) -> None:
    """The attempt does not count."""
    cache.delete(place)

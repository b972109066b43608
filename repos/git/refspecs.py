"""Names of refs and refspecs: data from elsewhere, so checked before git sees them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from opssight.core.errors import InvalidInput

OURS = "refs/opssight/"  # never taken from elsewhere: what others put there must not pass for ours

_BAD = re.compile(rb"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(?:/|$)|[./]$")
_SPEC = re.compile(r"\+?(refs/[^:]+):(refs/[^:]+)")
_EXCLUDED = re.compile(r"\^(refs/[^:]+)")


def checked_ref(ref: bytes) -> bytes:
    """The full name of a ref, if git would accept it."""
    if not ref.startswith(b"refs/") or ref.count(b"/") < 2 or _BAD.search(ref):
        raise InvalidInput(f"{ref.decode(errors='replace')[:100]!r} is not the full name of a branch or tag.")
    return ref


def checked_refspecs(refspecs: Iterable[str]) -> list[str]:
    """Refspecs of the form `[+]refs/…:refs/…` (`*` on both sides or none) or `^refs/…`."""
    specs = list(refspecs)
    for spec in specs:
        match = _SPEC.fullmatch(spec)
        sides = match.groups() if match else [side[1] for side in [_EXCLUDED.fullmatch(spec)] if side]
        if not sides or len({side.count("*") for side in sides}) > 1:
            raise InvalidInput(f"{spec[:100]!r} is not a refspec that can be used here.")
        for side in sides:
            _check_side(side)
        if match and match[1].startswith(OURS):
            raise InvalidInput(f"{OURS} belongs to this product and is not fetched.")
    if not any(_SPEC.fullmatch(spec) for spec in specs):
        raise InvalidInput("Nothing to fetch was named.")
    return specs


def _check_side(side: str) -> None:
    if side.count("*") > 1 or side == "refs/*":
        raise InvalidInput("Name the kinds of refs to fetch, such as refs/heads/*; not all at once.")
    checked_ref(side.replace("*", "x").encode(errors="surrogateescape"))


def takes(refspecs: Sequence[str], ref: bytes) -> bool:
    """Whether a ref of the remote is among what the refspecs name."""
    name = ref.decode(errors="surrogateescape")
    excluded = [match[1] for spec in refspecs if (match := _EXCLUDED.fullmatch(spec))]
    sources = [match[1] for spec in refspecs if (match := _SPEC.fullmatch(spec))]
    return any(_matches(source, name) for source in sources) and not any(_matches(x, name) for x in excluded)


def _matches(pattern: str, name: str) -> bool:
    before, star, after = pattern.partition("*")
    if not star:
        return pattern == name
    return name.startswith(before) and name.endswith(after) and len(name) >= len(before) + len(after)


def widened(refspecs: Sequence[str]) -> list[str]:
    """All branches instead of single ones: what to prune with when one stands in the way of another."""
    branches = "+refs/heads/*:refs/heads/*"
    wide = [branches if re.fullmatch(r"\+?(refs/heads/[^*:]+):\1", spec) else spec for spec in refspecs]
    return list(dict.fromkeys(wide))

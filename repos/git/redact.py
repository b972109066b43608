"""Takes secrets out of what git and a server wrote, before anybody stores or shows it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from opssight.core import redact as core

# In what git writes, a header is a line of its own and nobody needs the user in an address.
_WHOLE = re.compile(r"(?<=://)[^/@\s'\"]+(?=@)|(?i:(?<=authorization: )[^\r\n]+)")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without the given secrets, however short, without secrets by shape and control characters."""
    for secret in sorted(secrets, key=len, reverse=True):
        if secret:
            text = text.replace(secret, core.MASK)
    return _CONTROL.sub("", core.redact(_WHOLE.sub(core.MASK, text)))

"""A key that is made here for a server: the private part waits encrypted in the session.

It becomes a secret of the connection that is made with it, and never leaves this installation. The
public part is what a person enters at the server.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase

from opssight.core import redact
from opssight.core.errors import Failure
from opssight.core.keys import keyring
from repos.git import keys

_KEY: Final = "made_key"


def make(session: SessionBase, user_id: Any) -> None:
    """A new key in place of the one that was made before and not used."""
    session[_KEY] = keyring().encrypt(keys.make(), _place(user_id))


def private_part(session: SessionBase, user_id: Any) -> str:
    """The key that was made in this session; "" for none."""
    try:
        text = keyring().decrypt(session[_KEY], _place(user_id)) if _KEY in session else ""
    except Failure:
        return ""
    redact.register(text)
    return text


def public_part(session: SessionBase, user_id: Any) -> str:
    """What to enter at the server; "" for none."""
    text = private_part(session, user_id)
    host = urlsplit(str(settings.PUBLIC_URL)).hostname or ""
    return keys.public_line(keys.opened(text), f"opssight@{host}") if text else ""


def used(session: SessionBase) -> None:
    session.pop(_KEY, None)


def _place(user_id: Any) -> str:
    return f"deploy key made by {user_id}"

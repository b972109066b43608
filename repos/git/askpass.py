"""How a secret reaches git and ssh: through memory, and only for the server it belongs to.

git runs a small helper for each question it has ("Username for 'https://host': "). The helper
looks the question up in a table of question and answer lines that it reads from an inherited
descriptor of anonymous memory. So no secret is in an argument, an environment or a file, and a
question about another server finds no answer.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from repos.git.remote import PasswordCredential, Remote

FD_VARIABLE = "OPSSIGHT_ASKPASS_FD"

SCRIPT = f"""#!/bin/sh
# Answers git's question ($1) when it is one of the questions in the inherited descriptor.
while IFS= read -r question && IFS= read -r answer; do
  if [ "$1" = "$question" ]; then
    printf '%s\\n' "$answer"
    exit 0
  fi
done <"/dev/fd/${FD_VARIABLE}"
exit 1
"""


def answers(remote: Remote) -> str:
    """The table of each question git may ask of the remote's origin or of its proxy, and each answer."""
    rows = []
    credential = remote.credential
    if isinstance(credential, PasswordCredential):
        rows.append((f"Username for '{remote.origin}': ", credential.username))
        rows += _passwords(remote.origin, credential.username, credential.password)
    if remote.route.proxy:
        rows += _passwords(remote.route.proxy_server, *remote.route.proxy_login)
    return "".join(f"{question}\n{answer}\n" for question, answer in rows)


def _passwords(origin: str, username: str, password: str) -> list[tuple[str, str]]:
    scheme, _, server = origin.partition("://")
    # git 2.40.4 and fixed older versions write the user name percent-encoded, others as it is.
    users = dict.fromkeys([username, quote(username, safe="")])
    return [(f"Password for '{scheme}://{user}@{server}': ", password) for user in users]


@contextmanager
def in_memory(text: str, home: Path) -> Iterator[int]:
    """A descriptor whose contents are `text`, for children that inherit it; gone when it is closed."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("opssight")
    else:  # no anonymous memory on this system: a file without a name
        fd, name = tempfile.mkstemp(dir=home)
        os.unlink(name)
    try:
        _fill(fd, text)
        yield fd
    finally:
        os.close(fd)


@contextmanager
def as_file(text: str, home: Path) -> Iterator[str]:
    """A path whose contents are `text`, for ssh, which closes what it inherits and wants a path."""
    if hasattr(os, "memfd_create"):
        with in_memory(text, home) as fd:
            yield f"/proc/{os.getpid()}/fd/{fd}"
        return
    fd, name = tempfile.mkstemp(dir=home)
    try:
        _fill(fd, text)
        os.close(fd)
        yield name
    finally:
        os.unlink(name)


def _fill(fd: int, text: str) -> None:
    os.fchmod(fd, 0o600)  # ssh refuses a key that others may read
    data = text.encode()
    while data:
        data = data[os.write(fd, data) :]
    os.lseek(fd, 0, os.SEEK_SET)

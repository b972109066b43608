"""An installation beside the stand-in forges, and what a person does there outside of the browser."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.browsing import SECONDS
from tests.instance import Instance
from tests.repos.git.work import git


@dataclass(frozen=True)
class Shown:
    """A line of the table that `up --forges` prints."""

    url: str
    token: str
    email: str


@dataclass(frozen=True)
class World:
    """The installation with its stand-ins; `login` is (e-mail, password) of its administrator."""

    url: str
    forges: dict[str, Shown]
    login: tuple[str, str]
    instance: Instance


def push(folder: Path, address: str, user: str, token: str, path: str = "news.md") -> str:
    """A commit on main that writes `path`, pushed with real git as a colleague does; its id."""
    with_login = address.replace("://", f"://{user}:{token}@")
    clone = folder / "clone"
    git("clone", "-q", with_login, str(clone), cwd=folder)
    (clone / path).write_text("# News\n")
    git("add", ".", cwd=clone)
    git("commit", "-q", "-m", "Tell the news", cwd=clone)
    git("push", "-q", "origin", "HEAD:main", cwd=clone)
    return git("rev-parse", "HEAD", cwd=clone)


def until(ask: Callable[[], Any]) -> Any:
    """What is answered once it is true."""
    ends = time.monotonic() + SECONDS / 1_000
    while not (answer := ask()):
        assert time.monotonic() < ends, f"still {answer!r}"
        time.sleep(0.2)
    return answer

"""The stand-in forges as a person meets them: filled, with an account, a token and an OAuth application.

    with Showcase(folder, ports=[8001, 8002, 8003, 8004]) as forges:
        print([(one.label, one.url, one.token) for one in forges])

Tokens and numbers are the same each time, so that what was connected is found again by a later start.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.forges.bitbucket import API_SCOPES
from tests.forges.connect import BitbucketWithOAuth, GiteaWithOAuth, GitHubWithOAuth, GitLabWithOAuth
from tests.forges.oauth import OAuthSide

CLIENT_ID, CLIENT_SECRET = "opssight", "of-the-stand-ins-only"
_GITHUB = ["repo", "workflow", "read:org", "admin:repo_hook", "delete_repo"]


@dataclass(frozen=True)
class Shown:
    """One forge. `email` goes with the token where it is an API token of Bitbucket."""

    kind: str
    label: str
    forge: OAuthSide
    token: str
    email: str = ""

    @property
    def url(self) -> str:
        return self.forge.url


@dataclass(frozen=True)
class _Made:
    full_name: str
    description: str
    more: dict[str, Any]


REPOSITORIES = [
    _Made(
        "acme/website",
        "What visitors see",
        {"visibility": "public", "topics": ["web"], "more": {"language": "HTML"}},
    ),
    _Made("acme/api", "Orders, customers, invoices", {"topics": ["backend"], "more": {"language": "Python"}}),
    _Made("acme/handbook", "How we work", {"topics": ["docs"], "more": {"language": "Markdown"}}),
    _Made("acme/legacy-shop", "Replaced by the API", {"archived": True, "pushed_at": "2024-03-01T08:00:00Z"}),
    _Made("acme/linter-fork", "With our own rules", {"fork": True, "visibility": "public"}),
    _Made("ana/dotfiles", "My own settings", {}),
]


class Showcase:
    """Starts the forges below `folder`, which is emptied, at `ports` (0: any), and stops them.

    `only`: the kind of the one that is wanted, "" for all four.
    """

    def __init__(self, folder: Path, ports: Sequence[int], only: str = "") -> None:
        self._folder, self._ports, self._only = folder, ports, only
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        shutil.rmtree(self._folder, ignore_errors=True)
        wanted = {kind: make for kind, make in _FORGES.items() if self._only in ("", kind)}
        ports = self._ports[: len(wanted)]
        self._shown = [
            self._started(make(self._folder), port) for make, port in zip(wanted.values(), ports, strict=True)
        ]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def __iter__(self) -> Iterator[Shown]:
        return iter(self._shown)

    def _started(self, shown: Shown, port: int) -> Shown:
        forge = shown.forge
        forge.wanted_port = port
        forge.apps = {CLIENT_ID: CLIENT_SECRET}
        for one in REPOSITORIES:
            text = f"# {one.full_name}\n\n{one.description}.\n"
            files = {b"README.md": text.encode(), b"docs/start.md": b"# Start\n\nBegin here.\n"}
            fields = {name: _copied(value) for name, value in one.more.items()}
            forge.add_repository(one.full_name, files, description=one.description, **fields)
        self._stack.enter_context(forge)
        return shown


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, (dict, list)) else value


def _place(folder: Path, name: str) -> Path:
    place = folder / name
    place.mkdir(parents=True)
    return place


def _github(folder: Path) -> Shown:
    forge, token = GitHubWithOAuth(_place(folder, "github")), "ghp_of_the_stand_in"
    forge.add_token(token, "ana", scopes=_GITHUB)
    return Shown("github", "GitHub", forge, token)


def _gitlab(folder: Path) -> Shown:
    forge, token = GitLabWithOAuth(_place(folder, "gitlab")), "glpat-of-the-stand-in"
    forge.add_token(token, "ana", scopes=["api"])
    return Shown("gitlab", "GitLab", forge, token)


def _bitbucket(folder: Path) -> Shown:
    forge, token = BitbucketWithOAuth(_place(folder, "bitbucket")), "ATATT-of-the-stand-in"
    forge.add_token(token, "ana", email="ana@example.org", scopes=API_SCOPES)
    return Shown("bitbucket", "Bitbucket", forge, token, "ana@example.org")


def _gitea(folder: Path) -> Shown:
    forge, token = GiteaWithOAuth(_place(folder, "gitea")), "gitea-token-of-the-stand-in"
    forge.add_token(token, "ana")
    return Shown("gitea", "Gitea", forge, token)


_FORGES = {"github": _github, "gitlab": _gitlab, "bitbucket": _bitbucket, "gitea": _gitea}

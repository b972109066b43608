"""What all parts of the stand-in of Gitea use: how it shows things, pages, errors and events."""

from __future__ import annotations

import hashlib
import hmac
import subprocess
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.forges.standin import Asked, Hook, Reply, Repo, StandIn, page_of

REPO = r"/api/v1/repos/([^/]+)/([^/]+)"
NOTHING = "0" * 40
_FEED = 5  # commits that a push tells of


@dataclass
class Person:
    id: int
    login: str


@dataclass
class Status:
    """One result of a check; `id` grows."""

    id: int
    context: str
    status: str
    description: str
    target_url: str


class Base(StandIn):
    """`root_url` is what the server thinks it is called, which is not how it is reached.

    `most_items`: the most that a page has, whatever `limit` says. After the first push a repository seems
    empty until `more["settling"]` pull requests were refused.
    """

    root_url = "https://git.example.org/"

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.people: dict[str, Person] = {}
        self.organizations: dict[str, list[dict[str, Any]]] = {"acme": []}  # with their labels
        self.organization_hooks: list[Hook] = []
        self.most_items = 50

    def add_person(self, login: str) -> Person:
        return self.people.setdefault(login, Person(self.next_id(), login))

    def add_repository(
        self, full_name: str, files: Mapping[bytes, bytes] | None = None, *, on_disk: bool = True, **more: Any
    ) -> Repo:
        repo = super().add_repository(full_name, files, on_disk=on_disk, **more)
        if not files:
            repo.more["settling"] = 2 if on_disk else 0
        return repo

    def user(self, login: str) -> dict[str, Any]:
        person = self.add_person(login)
        return {
            "id": person.id,
            "login": login,
            "login_name": "",
            "full_name": "",
            "email": f"{login}@noreply.example.org",
            "username": login,
        }

    def who(self, asked: Asked) -> str:
        token = self.tokens[asked.headers["authorization"].partition(" ")[2]]
        return token.login

    def found(self, owner: str, name: str) -> Repo | None:
        return self.named(f"{owner}/{name}")

    # --- repositories -----------------------------------------------------------------------------

    def has_branches(self, repo: Repo) -> bool:
        folder = self.root / f"{repo.full_name}.git"
        if not folder.exists():  # one that is only listed
            return True
        heads = folder / "refs" / "heads"
        return (folder / "packed-refs").exists() or any(path.is_file() for path in heads.rglob("*"))

    def is_empty(self, repo: Repo) -> bool:
        return bool(repo.more.get("settling")) or not self.has_branches(repo)

    def show_repository(self, repo: Repo) -> dict[str, Any]:
        return {
            "id": repo.id,
            "owner": self.user(repo.owner),
            "name": repo.name,
            "full_name": repo.full_name,
            "description": repo.description,
            "empty": self.is_empty(repo),
            "private": repo.visibility == "private",
            "internal": False,
            "fork": repo.fork,
            "template": False,
            "mirror": False,
            "size": 26,
            "html_url": f"{self.root_url}{repo.full_name}",
            "ssh_url": f"ssh://git@git.example.org:2222/{repo.full_name}.git",
            "clone_url": f"{self.root_url}{repo.full_name}.git",
            "default_branch": repo.default_branch,
            "archived": repo.archived,
            "created_at": "2026-01-05T10:00:00Z",
            "updated_at": repo.pushed_at,
            "topics": repo.topics,
            "permissions": {"admin": True, "push": True, "pull": True},
            "language": repo.more.get("language", ""),
            "has_code": True,
            "has_issues": True,
            "has_wiki": True,
            "has_pull_requests": True,
            "has_projects": True,
            "has_releases": True,
            "has_packages": True,
            "has_actions": False,
        }

    def oid(self, repo: Repo, branch: str) -> str:
        return self.bare(repo).oid(f"refs/heads/{branch}")

    # --- pages ------------------------------------------------------------------------------------

    def paged(
        self, asked: Asked, found: list[Any], show: Callable[[Any], Any], *, linked: bool = True
    ) -> Reply:
        limit = min(int(asked.query.get("limit", 30)), self.most_items)
        page = max(int(asked.query.get("page", 1)), 1)
        last = max(1, -(-len(found) // limit))
        headers = {"X-Total-Count": str(len(found))}
        places = {"next": page + 1, "last": last} if page < last else {}
        places |= {"first": 1, "prev": page - 1} if page > 1 else {}
        if linked and places:
            url = f"{self.root_url}{asked.path[1:]}"
            headers["Link"] = ",".join(
                f'<{url}?{urlencode({**asked.query, "page": number})}>; rel="{name}"'
                for name, number in places.items()
            )
        return Reply(200, [show(one) for one in page_of(found, page, limit)], headers)

    # --- events -----------------------------------------------------------------------------------

    def send(self, repo: Repo, event: str, payload: Any) -> None:
        """An organization's webhooks are sent the same once more, with an id of its own."""
        super().send(repo, event, payload)
        beside = Repo(repo.id, repo.full_name, hooks={hook.id: hook for hook in self.organization_hooks})
        super().send(beside, event, payload)

    def signed(self, hook: Hook, event: str, body: bytes) -> dict[str, str]:
        """With the headers of its ancestors, and with those of GitHub."""
        sha256, sha1 = (
            hmac.new(hook.secret.encode(), body, kind).hexdigest() if hook.secret else ""
            for kind in (hashlib.sha256, hashlib.sha1)
        )
        headers = {"Content-Type": "application/json", "User-Agent": "Go-http-client/1.1"}
        delivery = str(uuid.uuid4())
        for sender in ("Gitea", "Gogs", "GitHub"):
            headers |= {
                f"X-{sender}-Delivery": delivery,
                f"X-{sender}-Event": event,
                f"X-{sender}-Event-Type": event,
            }
        headers |= {"X-Gitea-Signature": sha256, "X-Gogs-Signature": sha256}
        return headers | {"X-Hub-Signature": f"sha1={sha1}", "X-Hub-Signature-256": f"sha256={sha256}"}

    def ref_moved(self, repo: Repo, ref: str, before: str, after: str) -> None:
        kind = "branch" if ref.startswith("refs/heads/") else "tag"
        sender = self.user(next(iter(self.tokens.values())).login)
        place = {"repository": self.show_repository(repo), "sender": sender}
        short = {"ref": ref.split("/", 2)[2], "ref_type": kind, "pusher_type": "user", **place}
        if before == NOTHING:
            self.send(repo, "create", {"sha": after, **short})
        if after != NOTHING or kind == "tag":  # a deleted branch sends no push
            self.send(repo, "push", {**self._push(repo, ref, before, after), "pusher": sender, **place})
        if after == NOTHING:
            self.send(repo, "delete", short)

    def _push(self, repo: Repo, ref: str, before: str, after: str) -> dict[str, Any]:
        """No `forced`; of many commits only some, the newest first."""
        commits = [] if after == NOTHING else self._commits(repo, before, after)
        return {
            "ref": ref,
            "before": before,
            "after": after,  # of an annotated tag the tag itself
            "compare_url": f"{self.root_url}{repo.full_name}/compare/{before}...{after}",
            "commits": commits,
            "head_commit": commits[0] if commits else None,
        }

    def _commits(self, repo: Repo, before: str, after: str) -> list[dict[str, Any]]:
        since = [] if before == NOTHING else [f"^{before}"]
        command = ["git", "log", f"-{_FEED}", "--format=%H %s", after, *since]
        done = subprocess.run(command, cwd=self.bare(repo).path, capture_output=True, text=True, check=False)
        return [
            {"id": line[:40], "message": f"{line[41:]}\n", "added": [], "removed": [], "modified": []}
            for line in done.stdout.splitlines()
        ]


def error(status: int, message: str) -> Reply:
    return Reply(status, {"message": message, "url": "https://git.example.org/api/swagger"})


def not_found() -> Reply:
    return Reply(
        404,
        {
            "errors": None,
            "message": "The target couldn't be found.",
            "url": "https://git.example.org/api/swagger",
        },
    )


def no_route() -> Reply:
    return Reply(404, raw=b"404 page not found\n", headers={"Content-Type": "text/plain; charset=utf-8"})

"""Commits that GitLab makes, and signs where its administrator has set that up."""

from __future__ import annotations

from base64 import b64encode
from typing import Any, Final

from repos.providers.forge import NewCommit
from repos.providers.gitlab.api import object_of, odd, project_path
from repos.providers.http import Api
from repos.providers.values import text_of

BYTES: Final = 14_000_000  # of contents: GitLab slows down who sends requests of more than 20 MB


def commit_files(api: Api, external_id: str, new: NewCommit) -> str:
    """No author is given: GitLab refuses to sign for anybody but the account that asks."""
    body: dict[str, Any] = {
        "branch": new.branch,
        "start_sha": new.parent,
        "force": True,
        "commit_message": new.message,
        "stats": False,
        "actions": [
            *(_action("create", path, data) for path, data in new.added.items()),
            *(_action("update", path, data) for path, data in new.changed.items()),
            *({"action": "delete", "file_path": path} for path in new.deleted),
        ],
    }
    made = object_of(api.send("POST", f"{project_path(external_id)}/repository/commits", body), "a commit")
    oid = text_of(made.get("id"), 64)
    if not oid:
        raise odd("a commit")
    return oid


def _action(what: str, path: str, data: bytes) -> dict[str, str]:
    content = b64encode(data).decode()
    return {"action": what, "file_path": path, "content": content, "encoding": "base64"}

"""Commits that GitHub makes and signs. They have no modes but that of a plain file, and no author of ours."""

from __future__ import annotations

from base64 import b64encode
from typing import Any, Final
from urllib.parse import quote

from opssight.core.errors import InvalidInput
from repos.providers.forge import NewCommit
from repos.providers.github.graphql import COMMIT, mutate
from repos.providers.github.reading import object_of, odd
from repos.providers.http import Api
from repos.providers.values import part_of, text_of

BYTES: Final = 28_000_000  # of contents: GitHub takes 40 MB of a request, in which they are a third longer


def commit_files(api: Api, graphql: str, repository: str, new: NewCommit) -> str:
    """`repository` is its path in the API, `graphql` the full address of the GraphQL API."""
    headline, _, body = new.message.strip().partition("\n")
    files = {**new.added, **new.changed}
    wanted: dict[str, Any] = {
        "branch": {"id": _pointed(api, repository, new)},
        "expectedHeadOid": new.parent,
        "message": {"headline": headline, "body": body.strip("\n")},
        "fileChanges": {
            "additions": [
                {"path": path, "contents": b64encode(data).decode()} for path, data in files.items()
            ],
            "deletions": [{"path": path} for path in new.deleted],
        },
    }
    data = mutate(api, graphql, COMMIT, {"input": wanted})
    oid = text_of(part_of(part_of(data, "createCommitOnBranch"), "commit").get("oid"), 64)
    if not oid:
        raise odd("a commit")
    return oid


def _pointed(api: Api, repository: str, new: NewCommit) -> str:
    """GitHub's own id of the branch, which is there after this and points to the parent."""
    ref = f"refs/heads/{new.branch}"
    try:
        made = api.send("POST", f"{repository}/git/refs", {"ref": ref, "sha": new.parent})
    except InvalidInput as refused:
        if "already exists" not in refused.sentence:
            raise
        path = f"{repository}/git/{quote(ref)}"
        made = api.send("PATCH", path, {"sha": new.parent, "force": True})
    return text_of(object_of(made, "a branch").get("node_id"), 400)

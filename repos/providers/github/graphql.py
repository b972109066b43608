"""The few things that GitHub offers by GraphQL only."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from opssight.core.errors import (
    BlockedByOrganization,
    Conflict,
    Failure,
    NotFound,
    PermanentFailure,
    RateLimited,
)
from repos.providers.github.dialect import blocked, refusal
from repos.providers.github.reading import object_of
from repos.providers.http import Api
from repos.providers.values import part_of, text_of

READY = """
mutation($id: ID!) { markPullRequestReadyForReview(input: {pullRequestId: $id}) { clientMutationId } }
"""
DRAFT = """
mutation($id: ID!) { convertPullRequestToDraft(input: {pullRequestId: $id}) { clientMutationId } }
"""
AUTO_MERGE = """
mutation($id: ID!, $method: PullRequestMergeMethod!) {
  enablePullRequestAutoMerge(input: {pullRequestId: $id, mergeMethod: $method}) { clientMutationId }
}
"""
NO_AUTO_MERGE = """
mutation($id: ID!) { disablePullRequestAutoMerge(input: {pullRequestId: $id}) { clientMutationId } }
"""
COMMIT = """
mutation($input: CreateCommitOnBranchInput!) { createCommitOnBranch(input: $input) { commit { oid } } }
"""


def mutate(api: Api, address: str, query: str, variables: Mapping[str, Any]) -> Mapping[str, Any]:
    """The `data` of the answer. Errors come with status 200; the first one is raised."""
    body = {"query": query, "variables": dict(variables)}
    answer = object_of(api.send("POST", address, body), "an answer to GraphQL")
    errors = answer.get("errors")
    if errors:
        raise _failure(errors[0] if isinstance(errors, list) else errors)
    return part_of(answer, "data")


def _failure(error: Any) -> Failure:
    item = error if isinstance(error, dict) else {}
    kind, message = text_of(item.get("type"), 60), text_of(item.get("message"))
    if kind == "RATE_LIMITED":
        until = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=1)
        return RateLimited("GitHub allows no more requests (graphql) for now.", retry_at=until)
    if kind == "STALE_DATA":
        return Conflict("Somebody else pushed to the branch while GitHub made the commit. It is tried again.")
    if kind == "NOT_FOUND":
        return NotFound(f"GitHub has nothing there that this connection can see. It says: {message}")
    if kind == "FORBIDDEN" and (rules := blocked({}, message)):
        return BlockedByOrganization(rules)
    own = refusal({}, message) if kind == "FORBIDDEN" else ""
    return PermanentFailure(own or f"GitHub does not do this. It says: {message or 'nothing'}")

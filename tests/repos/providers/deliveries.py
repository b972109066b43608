"""Deliveries of every sender, in the shape of its documentation and with values of our own.

`heard` is what they are understood as: names of `repos.events`.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Any, Final

OLD: Final = "1" * 40
NEW: Final = "2" * 40
NOTHING: Final = "0" * 40
WORKSPACE: Final = "2f1e5b1c-52f1-4a51-8d1c-0a4bd0a5a8f3"
REPOSITORY: Final = "9b0d8e5a-1f3e-4d9f-9f15-6d1a0f0d2c11"
IDS: Final = {
    "github": "186853002",
    "gitlab": "15",
    "bitbucket": f"{WORKSPACE}/{REPOSITORY}",
    "bitbucket_dc": "84",
    "gitea": "7",
    "plain": "",
}
"""The id of the repository that all deliveries of a sender are about."""
PUSHED, CHANGED = ("Pushed",), ("RepositoryChanged",)
PULL, RUN = ("PullRequestChanged",), ("PipelineChanged",)
NAMES: Final = {"bitbucket_dc": "ACME/site"}
EVENT_HEADERS: Final = {
    "github": "x-github-event",
    "gitlab": "x-gitlab-event",
    "bitbucket": "x-event-key",
    "bitbucket_dc": "x-event-key",
    "gitea": "x-gitea-event",
    "plain": "x-opssight-event",
}


@dataclass(frozen=True)
class Sent:
    scheme: str
    event: str  # the value of the header
    name: str  # of this test case
    payload: dict[str, Any]
    heard: tuple[str, ...] = ()

    @property
    def headers(self) -> dict[str, str]:
        return {"content-type": "application/json", EVENT_HEADERS[self.scheme]: self.event}


def _hub(**more: Any) -> dict[str, Any]:
    """What GitHub and Gitea have in common."""
    repository = {
        "id": 7,
        "name": "site",
        "full_name": "acme/site",
        "private": True,
        "archived": False,
        "default_branch": "main",
        "html_url": "https://git.example.org/acme/site",
        "owner": {"login": "acme"},
    }
    return {"repository": repository, "sender": {"id": 3, "login": "ada"}, **more}


def _hub_pull(**more: Any) -> dict[str, Any]:
    return {
        "id": 900,
        "number": 4,
        "state": "open",
        "title": "Say hello",
        "html_url": "https://git.example.org/acme/site/pulls/4",
        "head": {"ref": "hello", "label": "hello", "sha": NEW, "repo_id": 7},
        "base": {"ref": "main", "label": "main", "sha": OLD, "repo_id": 7},
        "merged": False,
        "merge_commit_sha": None,
        "labels": [{"name": "docs"}],
        "user": {"login": "ada"},
        **more,
    }


_RUN = {
    "id": 31,
    "run_number": 5,
    "display_title": "Say hello",
    "path": "check.yml@refs/heads/main",
    "event": "push",
    "head_branch": "main",
    "head_sha": NEW,
    "status": "completed",
    "conclusion": "failure",
    "html_url": "https://git.example.org/acme/site/actions/runs/5",
    "started_at": "2026-11-20T08:00:00Z",
}
_FORGEJO_RUN = {
    "id": 33,
    "title": "Say hello",
    "workflow_id": "check.yml",
    "index_in_repo": 6,
    "prettyref": "main",
    "commit_sha": NEW,
    "status": "success",
    "html_url": "https://git.example.org/acme/site/actions/runs/6",
    "repository": _hub()["repository"],
}
_GITEA = (
    Sent("gitea", "push", "push", _hub(ref="refs/heads/main", before=OLD, after=NEW, commits=[]), PUSHED),
    Sent("gitea", "push", "tag", _hub(ref="refs/tags/v1", before=NOTHING, after=NEW), PUSHED),
    Sent("gitea", "create", "create", _hub(ref="hello", ref_type="branch", sha=NEW)),
    Sent("gitea", "delete", "deleted branch", _hub(ref="hello", ref_type="branch"), PUSHED),
    Sent("gitea", "delete", "deleted tag", _hub(ref="v1", ref_type="tag")),
    Sent("gitea", "repository", "made", _hub(action="created"), CHANGED),
    Sent("gitea", "repository", "deleted", _hub(action="deleted"), CHANGED),
    Sent(
        "gitea",
        "pull_request",
        "pull request",
        _hub(action="opened", number=4, pull_request=_hub_pull()),
        PULL,
    ),
    Sent(
        "gitea",
        "pull_request",
        "commits in a pull request",
        _hub(action="synchronized", number=4, pull_request=_hub_pull()),
        PULL,
    ),
    Sent("gitea", "pull_request_approved", "approval", _hub(action="reviewed", pull_request=_hub_pull())),
    Sent("gitea", "workflow_run", "run", _hub(action="completed", workflow_run=_RUN), RUN),
    Sent(
        "gitea",
        "action_run_success",
        "run of Forgejo",
        {"action": "success", "run": _FORGEJO_RUN, "prior_status": "running"},
        RUN,
    ),
    Sent("gitea", "release", "release", _hub(action="published")),
)


def _lab(kind: str, **more: Any) -> dict[str, Any]:
    project = {
        "id": 15,
        "path_with_namespace": "acme/site",
        "web_url": "https://lab.example.org/acme/site",
        "default_branch": "main",
        "visibility_level": 0,
    }
    return {"object_kind": kind, "user": {"username": "ada", "name": "Ada"}, "project": project, **more}


_LAB_PUSH = {"ref": "refs/heads/main", "before": OLD, "after": NEW, "user_username": "ada", "project_id": 15}
_LAB_PULL = {
    "id": 99,
    "iid": 4,
    "title": "Draft: Say hello",
    "state": "opened",
    "action": "open",
    "source_branch": "hello",
    "target_branch": "main",
    "last_commit": {"id": NEW, "message": "Hello"},
    "merge_commit_sha": None,
    "url": "https://lab.example.org/acme/site/-/merge_requests/4",
    "labels": [{"id": 1, "title": "docs"}],
}
_LAB_RUN = {
    "id": 31,
    "iid": 3,
    "name": "Checks",
    "ref": "main",
    "tag": False,
    "sha": NEW,
    "source": "push",
    "status": "failed",
    "url": "https://lab.example.org/acme/site/-/pipelines/31",
    "duration": 63,
}


def _lab_project(event: str, **more: Any) -> dict[str, Any]:
    return {
        "event_name": event,
        "project_id": 15,
        "name": "Site",
        "path": "site",
        "path_with_namespace": "acme/site",
        "project_visibility": "visibilitylevel|private",
        "owner_name": "Ada",
        **more,
    }


_GITLAB = (
    Sent("gitlab", "Push Hook", "push", _lab("push", **_LAB_PUSH), PUSHED),
    Sent("gitlab", "Tag Push Hook", "tag", _lab("tag_push", **_LAB_PUSH, checkout_sha=NEW), PUSHED),
    Sent("gitlab", "System Hook", "push of the server", _lab("push", **_LAB_PUSH), PUSHED),
    Sent(
        "gitlab",
        "Merge Request Hook",
        "merge request",
        _lab("merge_request", object_attributes=_LAB_PULL, labels=[]),
        PULL,
    ),
    Sent("gitlab", "Pipeline Hook", "pipeline", _lab("pipeline", object_attributes=_LAB_RUN), RUN),
    Sent(
        "gitlab",
        "Project Hook",
        "made",
        _lab_project("project_create", project_visibility="private"),
        CHANGED,
    ),
    Sent("gitlab", "System Hook", "renamed", _lab_project("project_rename"), CHANGED),
    Sent("gitlab", "System Hook", "transferred", _lab_project("project_transfer"), CHANGED),
    Sent("gitlab", "System Hook", "changed", _lab_project("project_update"), CHANGED),
    Sent("gitlab", "System Hook", "deleted", _lab_project("project_destroy"), CHANGED),
    Sent("gitlab", "System Hook", "user", {"event_name": "user_create", "username": "ada"}),
    Sent("gitlab", "Job Hook", "job", _lab("build", build_id=7)),
)


def _bucket(**more: Any) -> dict[str, Any]:
    repository = {
        "type": "repository",
        "uuid": f"{{{REPOSITORY}}}",
        "full_name": "acme/site",
        "name": "site",
        "is_private": True,
        "workspace": {"uuid": f"{{{WORKSPACE}}}", "slug": "acme"},
        "links": {"html": {"href": "https://bitbucket.org/acme/site"}},
    }
    actor = {"type": "user", "nickname": "ada", "display_name": "Ada"}
    return {"actor": actor, "repository": repository, **more}


def _bucket_pull(state: str) -> dict[str, Any]:
    return {
        "id": 4,
        "title": "Say hello",
        "state": state,
        "source": {"branch": {"name": "hello"}, "commit": {"hash": "2" * 12}},
        "destination": {"branch": {"name": "main"}, "commit": {"hash": "1" * 12}},
        "author": {"nickname": "ada"},
        "merge_commit": {"hash": NEW} if state == "MERGED" else None,
        "links": {"html": {"href": "https://bitbucket.org/acme/site/pull-requests/4"}},
    }


_BUILD = {
    "type": "build",
    "key": "checks",
    "name": "Checks",
    "state": "FAILED",
    "url": "https://ci.example.org/7",
    "refname": "main",
    "links": {"commit": {"href": f"https://api.bitbucket.org/2.0/repositories/acme/site/commit/{NEW}"}},
}
_SIDE = {"type": "branch", "name": "main", "target": {"type": "commit", "hash": NEW}}
_BITBUCKET = (
    Sent("bitbucket", "repo:push", "push", _bucket(push={"changes": [{"old": None, "new": _SIDE}]}), PUSHED),
    Sent(
        "bitbucket",
        "repo:updated",
        "renamed",
        _bucket(changes={"full_name": {"old": "acme/old", "new": "acme/site"}}),
        CHANGED,
    ),
    Sent("bitbucket", "repo:updated", "changed", _bucket(changes={"website": {}}), CHANGED),
    Sent(
        "bitbucket",
        "repo:transfer",
        "transferred",
        _bucket(previous={"workspace": {"uuid": "{11111111-2222-3333-4444-555555555555}"}}),
        CHANGED,
    ),
    Sent("bitbucket", "repo:deleted", "deleted", _bucket(), CHANGED),
    Sent("bitbucket", "repo:commit_status_updated", "build", _bucket(commit_status=_BUILD), RUN),
    Sent("bitbucket", "pullrequest:created", "pull request", _bucket(pullrequest=_bucket_pull("OPEN")), PULL),
    Sent("bitbucket", "pullrequest:fulfilled", "merged", _bucket(pullrequest=_bucket_pull("MERGED")), PULL),
    Sent("bitbucket", "pullrequest:comment_created", "comment", _bucket(pullrequest=_bucket_pull("OPEN"))),
    Sent("bitbucket", "issue:created", "issue", _bucket(issue={"id": 1})),
)

_DC_REPOSITORY = {"slug": "site", "id": 84, "name": "Site", "project": {"key": "ACME", "id": 20}}


def _center(event: str, **more: Any) -> dict[str, Any]:
    return {"eventKey": event, "date": "2026-11-20T08:00:00+0000", "actor": {"name": "ada", "id": 2}, **more}


_DC_PULL = {
    "id": 4,
    "version": 1,
    "title": "Say hello",
    "state": "OPEN",
    "fromRef": {"id": "refs/heads/hello", "latestCommit": NEW, "repository": _DC_REPOSITORY},
    "toRef": {"id": "refs/heads/main", "latestCommit": OLD, "repository": _DC_REPOSITORY},
    "author": {"user": {"name": "ada"}},
}
_CHANGE = {
    "ref": {"id": "refs/heads/main", "type": "BRANCH"},
    "fromHash": OLD,
    "toHash": NEW,
    "type": "UPDATE",
}
_OLD_DC_REPOSITORY = {**_DC_REPOSITORY, "slug": "old"}
_DATA_CENTER = (
    Sent(
        "bitbucket_dc",
        "repo:refs_changed",
        "push",
        _center("repo:refs_changed", repository=_DC_REPOSITORY, changes=[_CHANGE]),
        PUSHED,
    ),
    Sent(
        "bitbucket_dc",
        "repo:modified",
        "renamed",
        _center("repo:modified", old=_OLD_DC_REPOSITORY, new=_DC_REPOSITORY),
        CHANGED,
    ),
    Sent(
        "bitbucket_dc",
        "repo:modified",
        "transferred",
        _center(
            "repo:modified", old={**_DC_REPOSITORY, "project": {"key": "OLD", "id": 1}}, new=_DC_REPOSITORY
        ),
        CHANGED,
    ),
    Sent("bitbucket_dc", "pr:opened", "pull request", _center("pr:opened", pullRequest=_DC_PULL), PULL),
    Sent(
        "bitbucket_dc",
        "pr:merged",
        "merged",
        _center(
            "pr:merged",
            pullRequest={**_DC_PULL, "state": "MERGED", "properties": {"mergeCommit": {"id": NEW}}},
        ),
        PULL,
    ),
    Sent("bitbucket_dc", "pr:comment:added", "comment", _center("pr:comment:added", pullRequest=_DC_PULL)),
)

_GITHUB = (
    Sent("github", "push", "push", _hub(ref="refs/heads/main", before=OLD, after=NEW), PUSHED),
    Sent("github", "delete", "deleted branch", _hub(ref="hello", ref_type="branch")),
    Sent("github", "repository", "archived", _hub(action="archived"), CHANGED),
    Sent("github", "pull_request", "pull request", _hub(action="opened", pull_request=_hub_pull()), PULL),
    Sent("github", "workflow_run", "run", _hub(action="completed", workflow_run=_RUN), RUN),
    Sent(
        "github",
        "installation_repositories",
        "installation",
        {
            "action": "added",
            "installation": {"id": 5, "account": {"login": "acme"}},
            "repositories_added": [{"id": 7, "full_name": "acme/site"}],
            "repositories_removed": [],
            "sender": {"login": "ada"},
        },
        ("InstallationChanged",),
    ),
)

_PLAIN = (
    Sent(
        "plain", "push", "push", {"repository": "acme/site", "ref": "refs/heads/main", "after": NEW}, PUSHED
    ),
)

DELIVERIES: Final = (*_GITHUB, *_GITLAB, *_BITBUCKET, *_DATA_CENTER, *_GITEA, *_PLAIN)


def signed(sent: Sent, body: bytes, secret: str) -> dict[str, str]:
    """The headers of a delivery with this body."""
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    name, value = {
        "gitea": ("x-gitea-signature", signature),
        "gitlab": ("x-gitlab-token", secret),
        "plain": ("x-opssight-signature-256", f"sha256={signature}"),
        "github": ("x-hub-signature-256", f"sha256={signature}"),
    }.get(sent.scheme, ("x-hub-signature", f"sha256={signature}"))
    return {**sent.headers, name: value}

"""What a stand-in of GitHub shows of its state: JSON in the shape of the REST API."""

from __future__ import annotations

import zlib
from typing import Any

from tests.forges.standin import Hook, Repo

_REPOSITORY_URLS = """
forks keys{/key_id} collaborators{/collaborator} teams hooks issue_events{/number} events assignees{/user}
branches{/branch} tags blobs{/sha} git_tags{/sha} git_refs{/sha} trees{/sha} statuses{/sha} languages
stargazers contributors subscribers subscription commits{/sha} git_commits{/sha} comments{/number}
issue_comment{/number} contents/{+path} compare/{base}...{head} merges archive downloads issues{/number}
pulls{/number} milestones{/number} notifications{?since,all,participating} labels{/name} releases{/id}
deployments
"""
_USER_URLS = "followers following{/other_user} gists{/gist_id} starred{/owner}{/repo} subscriptions repos"


def _urls(api: str, names: str) -> dict[str, str]:
    parts = [(name.partition("{")[0].rstrip("/"), name) for name in names.split()]
    return {f"{short}_url": f"{api}/{name}" for short, name in parts}


def user_json(base: str, login: str) -> dict[str, Any]:
    number = zlib.crc32(login.lower().encode())
    api = f"{base}/api/v3/users/{login}"
    return {
        "login": login,
        "id": number,
        "node_id": f"U_{number}",
        "avatar_url": f"{base}/avatars/u/{number}",
        "gravatar_id": "",
        "url": api,
        "html_url": f"{base}/{login}",
        **_urls(api, _USER_URLS),
        "organizations_url": f"{api}/orgs",
        "events_url": f"{api}/events{{/privacy}}",
        "received_events_url": f"{api}/received_events",
        "type": "User",
        "site_admin": False,
    }


def repository_json(base: str, repo: Repo) -> dict[str, Any]:
    api = f"{base}/api/v3/repos/{repo.full_name}"
    page = f"{base}/{repo.full_name}"
    return {
        "id": repo.id,
        "node_id": f"R_{repo.id}",
        "name": repo.name,
        "full_name": repo.full_name,
        "private": repo.visibility != "public",
        "owner": user_json(base, repo.owner),
        "html_url": page,
        "description": repo.description or None,
        "fork": repo.fork,
        "url": api,
        **_urls(api, _REPOSITORY_URLS),
        "created_at": "2026-01-02T03:04:05Z",
        "updated_at": repo.pushed_at,
        "pushed_at": repo.pushed_at,
        "git_url": f"git:{page.partition(':')[2]}.git",
        "ssh_url": f"git@127.0.0.1:{repo.full_name}.git",
        "clone_url": f"{page}.git",
        "svn_url": page,
        "homepage": None,
        "size": repo.more.get("size", 7),
        "stargazers_count": 0,
        "watchers_count": 0,
        "language": repo.more.get("language"),
        "has_issues": True,
        "has_projects": True,
        "has_downloads": True,
        "has_wiki": True,
        "has_pages": False,
        "has_discussions": False,
        "forks_count": 0,
        "mirror_url": None,
        "archived": repo.archived,
        "disabled": repo.more.get("disabled", False),
        "open_issues_count": 0,
        "license": None,
        "allow_forking": True,
        "is_template": False,
        "web_commit_signoff_required": False,
        "topics": repo.topics,
        "visibility": repo.visibility,
        "forks": 0,
        "open_issues": 0,
        "watchers": 0,
        "default_branch": repo.default_branch,
        "permissions": {"admin": True, "maintain": True, "push": True, "triage": True, "pull": True},
    }


def whole_repository_json(base: str, repo: Repo) -> dict[str, Any]:
    """As the repository by itself shows; a list shows less."""
    return {**repository_json(base, repo), "network_count": 0, "subscribers_count": 1}


def me_json(base: str, login: str) -> dict[str, Any]:
    """The account of the token, as everybody sees it."""
    nothing = dict.fromkeys(["company", "location", "email", "hireable", "bio", "twitter_username"])
    counts = dict.fromkeys(["public_repos", "public_gists", "followers", "following"], 0)
    dates = dict.fromkeys(["created_at", "updated_at"], "2026-01-02T03:04:05Z")
    return {**user_json(base, login), "name": login.title(), "blog": "", **nothing, **counts, **dates}


def pull_json(base: str, repo: Repo, pull: dict[str, Any], *, whole: bool) -> dict[str, Any]:
    """A list shows less of each than `whole`: only `merged_at` tells there that it was merged."""
    number = pull["number"]
    here = repository_json(base, repo)
    ends = {
        end: {
            "label": f"{repo.owner}:{pull[end]}",
            "ref": pull[end],
            "sha": pull[f"{end}_sha"],
            "user": here["owner"],
            "repo": here,
        }
        for end in ("head", "base")
    }
    url, page, issue = (
        f"{here['url']}/pulls/{number}",
        f"{here['html_url']}/pull/{number}",
        f"{here['url']}/issues/{number}",
    )
    people = [user_json(base, one) for one in pull["assignees"]]
    statuses = f"{here['url']}/statuses/{pull['head_sha']}"
    shown = {
        "url": url,
        "id": pull["id"],
        "node_id": f"PR_{pull['id']}",
        "html_url": page,
        "diff_url": f"{page}.diff",
        "patch_url": f"{page}.patch",
        "issue_url": issue,
        "commits_url": f"{url}/commits",
        "review_comments_url": f"{url}/comments",
        "review_comment_url": f"{here['url']}/pulls/comments{{/number}}",
        "comments_url": f"{issue}/comments",
        "statuses_url": statuses,
        "number": number,
        "state": pull["state"],
        "locked": False,
        "title": pull["title"],
        "user": user_json(base, pull["user"]),
        "body": pull["body"],
        "created_at": pull["created_at"],
        "updated_at": pull["updated_at"],
        "closed_at": None if pull["state"] == "open" else pull["updated_at"],
        "merged_at": pull["merged_at"],
        "merge_commit_sha": pull["merge_sha"] or "5" * 40,  # of the trial merge, before there is a real one
        "assignee": people[0] if people else None,
        "assignees": people,
        "requested_reviewers": [user_json(base, one) for one in pull["reviewers"]],
        "requested_teams": [],
        "labels": [label_json(base, repo, name) for name in pull["labels"]],
        "milestone": None,
        "draft": pull["draft"],
        "author_association": "MEMBER",
        "auto_merge": pull["auto_merge"] and _auto_merge(base, pull),
        "_links": {
            "self": {"href": url},
            "html": {"href": page},
            "issue": {"href": issue},
            "comments": {"href": f"{issue}/comments"},
            "review_comments": {"href": f"{url}/comments"},
            "review_comment": {"href": f"{here['url']}/pulls/comments{{/number}}"},
            "commits": {"href": f"{url}/commits"},
            "statuses": {"href": statuses},
        },
        **ends,
    }
    return shown | _counts(base, pull) if whole else shown


def _auto_merge(base: str, pull: dict[str, Any]) -> dict[str, Any]:
    who = user_json(base, pull["user"])
    return {"enabled_by": who, "commit_title": pull["title"], "commit_message": "", **pull["auto_merge"]}


def _counts(base: str, pull: dict[str, Any]) -> dict[str, Any]:
    """What only one pull request by itself shows."""
    merged = bool(pull["merged_at"])
    return {
        "merged": merged,
        "merged_by": user_json(base, pull["user"]) if merged else None,
        "mergeable": None,
        "mergeable_state": "unknown",
        "rebaseable": None,
        "maintainer_can_modify": False,
        "comments": 0,
        "review_comments": 0,
        "commits": 1,
        "additions": 1,
        "deletions": 0,
        "changed_files": 1,
    }


def issue_json(base: str, repo: Repo, pull: dict[str, Any]) -> dict[str, Any]:
    """A pull request as the issue that it also is."""
    shown = pull_json(base, repo, pull, whole=False)
    url = shown["issue_url"]
    names = "id node_id number state title user body labels milestone locked assignee assignees html_url"
    return {
        **{name: shown[name] for name in names.split()},
        **{name: shown[name] for name in ("created_at", "updated_at", "closed_at", "author_association")},
        "url": url,
        "repository_url": f"{base}/api/v3/repos/{repo.full_name}",
        **_urls(url, "comments events labels{/name}"),
        "comments": 0,
        "pull_request": {name: shown[name] for name in ("url", "html_url", "diff_url", "patch_url")},
    }


def label_json(base: str, repo: Repo, name: str) -> dict[str, Any]:
    number = zlib.crc32(name.encode())
    return {
        "id": number,
        "node_id": f"LA_{number}",
        "url": f"{base}/api/v3/repos/{repo.full_name}/labels/{name}",
        "name": name,
        "color": "ededed",
        "default": False,
        "description": "",
    }


def hook_json(base: str, repo: Repo, hook: Hook) -> dict[str, Any]:
    config = {"url": hook.url, "content_type": "json", "insecure_ssl": "0"}
    url = f"{base}/api/v3/repos/{repo.full_name}/hooks/{hook.id}"
    return {
        "type": "Repository",
        "id": int(hook.id),
        "name": "web",
        "active": hook.active,
        "events": hook.events,
        "config": config | ({"secret": "********"} if hook.secret else {}),
        "created_at": "2026-11-20T08:00:00Z",
        "updated_at": "2026-11-20T08:00:00Z",
        "url": url,
        "test_url": f"{url}/test",
        "ping_url": f"{url}/pings",
        "deliveries_url": f"{url}/deliveries",
        "last_response": {"code": None, "status": "unused", "message": None},
    }


def status_json(base: str, repo: Repo, oid: str, who: str, given: dict[str, Any]) -> dict[str, Any]:
    """`given`: state and context, and what else there is."""
    creator = user_json(base, who)
    return {
        "url": f"{base}/api/v3/repos/{repo.full_name}/statuses/{oid}",
        "avatar_url": creator["avatar_url"],
        "id": 1,
        "node_id": f"SC_{given.get('id', 1)}",
        "target_url": None,
        "description": None,
        "created_at": "2026-11-20T08:00:00Z",
        "updated_at": "2026-11-20T08:00:00Z",
        "creator": creator,
        **given,
    }


def check_run_json(base: str, repo: Repo, oid: str, run: dict[str, Any]) -> dict[str, Any]:
    """A check run of which `run` says what matters."""
    url = f"{base}/api/v3/repos/{repo.full_name}/check-runs/{run.get('id', 1)}"
    output: dict[str, Any] = {"title": None, "summary": None, "text": None, "annotations_count": 0}
    output["annotations_url"] = f"{url}/annotations"
    given = {"id": 1, "status": "completed", "conclusion": None, **run}
    return {
        "node_id": f"CR_{given['id']}",
        "head_sha": oid,
        "external_id": "",
        "url": url,
        "html_url": f"{base}/{repo.full_name}/runs/{given['id']}",
        "details_url": None,
        "started_at": "2026-11-20T08:00:00Z",
        "completed_at": None,
        "check_suite": {"id": 5},
        "app": None,
        "pull_requests": [],
        **given,
        "output": output | given.get("output", {}),
    }


def workflow_run_json(base: str, repo: Repo, run: dict[str, Any]) -> dict[str, Any]:
    """A run of GitHub Actions of which `run` says what matters."""
    here = repository_json(base, repo)
    number = run["id"]
    url = f"{here['url']}/actions/runs/{number}"
    return {
        "node_id": f"WFR_{number}",
        "head_branch": "main",
        "head_sha": "0" * 40,
        "path": ".github/workflows/ci.yml",
        "display_title": "CI",
        "run_number": number,
        "run_attempt": 1,
        "event": "push",
        "status": "completed",
        "conclusion": None,
        "workflow_id": 7,
        "check_suite_id": 5,
        "url": url,
        "html_url": f"{here['html_url']}/actions/runs/{number}",
        "pull_requests": [],
        "created_at": "2026-11-20T08:00:00Z",
        "updated_at": "2026-11-20T08:00:00Z",
        **_urls(url, "jobs logs artifacts cancel rerun"),
        "check_suite_url": f"{here['url']}/check-suites/5",
        "workflow_url": f"{here['url']}/actions/workflows/7",
        "head_commit": None,
        "repository": here,
        "head_repository": here,
        **run,
    }

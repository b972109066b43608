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
_USER_URLS = "followers following{/other_user} gists{/gist_id} starred{/owner}{/repo} orgs repos events"


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
        "language": None,
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
    shown = {
        "url": f"{here['url']}/pulls/{number}",
        "id": pull["id"],
        "node_id": f"PR_{pull['id']}",
        "html_url": f"{here['html_url']}/pull/{number}",
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
        "assignees": [user_json(base, one) for one in pull["assignees"]],
        "requested_reviewers": [user_json(base, one) for one in pull["reviewers"]],
        "requested_teams": [],
        "labels": [label_json(base, repo, name) for name in pull["labels"]],
        "milestone": None,
        "draft": pull["draft"],
        "auto_merge": pull["auto_merge"],
        **ends,
    }
    return shown | {"merged": bool(pull["merged_at"]), "comments": 0, "commits": 1} if whole else shown


def label_json(base: str, repo: Repo, name: str) -> dict[str, Any]:
    url = f"{base}/api/v3/repos/{repo.full_name}/labels/{name}"
    return {"id": zlib.crc32(name.encode()), "url": url, "name": name, "color": "ededed", "default": False}


def hook_json(base: str, repo: Repo, hook: Hook) -> dict[str, Any]:
    config = {"url": hook.url, "content_type": "json", "insecure_ssl": "0"}
    return {
        "type": "Repository",
        "id": int(hook.id),
        "name": "web",
        "active": hook.active,
        "events": hook.events,
        "config": config | ({"secret": "********"} if hook.secret else {}),
        "url": f"{base}/api/v3/repos/{repo.full_name}/hooks/{hook.id}",
        "last_response": {"code": None, "status": "unused", "message": None},
    }

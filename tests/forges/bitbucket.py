"""A Bitbucket Cloud on loopback: API below /2.0, git beside it.

    with BitbucketStandIn(folder) as forge:
        forge.add_token("ATATT-x", "ana", email="ana@example.com", scopes=API_SCOPES)
        forge.add_token("ATCTT-y", "", workspace="acme", scopes=["repository"])

Like the original it tells 12 digits of commits in pull requests, empties what a PUT leaves out, has no
`next` in the list of pipelines, answers 410 for what was removed in 2026, and 400 for most that is wrong.
"""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from tests.forges.bitbucket_base import API_SCOPES, GONE, REPO, CloudBase, error, new_uuid
from tests.forges.bitbucket_git import merge
from tests.forges.standin import Asked, Hook, Reply, Repo, route

__all__ = ["API_SCOPES", "BitbucketStandIn"]

_PULL = REPO + r"/pullrequests/(\d+)"
_HOOK = REPO + r"/hooks/\{([^/]+)\}"
_STRATEGIES = {"merge_commit": "merge", "squash": "squash", "fast_forward": "forward"}
_NOTHING = "0" * 40


class BitbucketStandIn(CloudBase):
    """`merge_later`: answer 202 to a merge, and never merge."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.merge_later = False

    # --- pull requests ----------------------------------------------------------------------------

    @route("GET", REPO + "/pullrequests")
    def pulls(self, asked: Asked, workspace: str, name: str) -> Reply:
        repo = self.repo(workspace, name)
        if repo is None:
            return error(404, GONE)
        states = parse_qs(asked.raw_query).get("state", ["OPEN"])
        found = [self._shown(repo, pull) for pull in repo.pulls.values() if pull["state"] in states]
        for pull in found:  # lists leave out people
            del pull["reviewers"]
        return self.page(asked, found, most=50)

    @route("POST", REPO + "/pullrequests")
    def open(self, asked: Asked, workspace: str, name: str) -> Reply:
        repo, body = self.repo(workspace, name), asked.json
        if repo is None:
            return error(404, GONE)
        head, base = body["source"]["branch"]["name"], body["destination"]["branch"]["name"]
        bare = self.bare(repo)
        if not bare.oid(f"refs/heads/{head}"):
            return error(400, f"source: branch not found: {head}", source=["branch not found"])
        if not bare.oid(f"refs/heads/{base}"):
            return error(400, f"destination: branch not found: {base}", destination=["branch not found"])
        if bare.oid(f"refs/heads/{head}") == bare.oid(f"refs/heads/{base}"):
            return error(400, "There are no changes to be pulled")
        same = [p for p in repo.pulls.values() if (p["head"], p["base"], p["state"]) == (head, base, "OPEN")]
        number = same[0]["id"] if same else len(repo.pulls) + 1
        repo.pulls[number] = pull = {
            "id": number,
            "state": "OPEN",
            "head": head,
            "base": base,
            "created_on": f"2026-11-20T08:00:{number:02}+00:00",
        }
        return self._set(repo, pull, body) or Reply(201, self._shown(repo, pull))

    @route("GET", _PULL)
    def pull(self, asked: Asked, workspace: str, name: str, number: str) -> Reply:
        repo, pull = self._found(workspace, name, number)
        return Reply(data=self._shown(repo, pull)) if repo and pull else error(404, "Not found")

    @route("PUT", _PULL)
    def change_pull(self, asked: Asked, workspace: str, name: str, number: str) -> Reply:
        repo, pull = self._found(workspace, name, number)
        if not repo or not pull:
            return error(404, "Not found")
        if pull["state"] != "OPEN":
            return error(400, "This pull request is already closed.")
        return self._set(repo, pull, asked.json) or Reply(data=self._shown(repo, pull))

    @route("POST", _PULL + "/decline")
    def decline(self, asked: Asked, workspace: str, name: str, number: str) -> Reply:
        repo, pull = self._found(workspace, name, number)
        if not repo or not pull:
            return error(404, "Not found")
        if pull["state"] != "OPEN":
            return error(400, "This pull request is already closed.")
        pull["oid"] = self.bare(repo).oid(f"refs/heads/{pull['head']}")
        pull["state"] = "DECLINED"
        return Reply(data=self._shown(repo, pull))

    @route("POST", _PULL + "/merge")
    def merge_pull(self, asked: Asked, workspace: str, name: str, number: str) -> Reply:
        repo, pull = self._found(workspace, name, number)
        if not repo or not pull:
            return error(404, "Not found")
        if self.merge_later:
            return Reply(202)
        strategy = _STRATEGIES.get(asked.json.get("merge_strategy", "merge_commit"))
        if strategy is None:
            return error(400, "Bad request", merge_strategy=["This strategy is not allowed."])
        bare, ref = self.bare(repo), f"refs/heads/{pull['base']}"
        before = bare.oid(ref)
        message = asked.json.get("message") or f"Merged in {pull['head']} (pull request #{number})"
        head = bare.oid(f"refs/heads/{pull['head']}")
        merged = merge(bare, pull["head"], pull["base"], strategy, message)
        if not merged:
            return error(400, "You can't merge until you resolve all merge conflicts.")
        pull |= {"state": "MERGED", "merged": merged, "oid": head}
        self._tell(repo, {ref: before}, {ref: merged})
        return Reply(data=self._shown(repo, pull))

    @route("GET", REPO + "/commit/([0-9a-f]+)")
    def commit(self, asked: Asked, workspace: str, name: str, short: str) -> Reply:
        repo = self.repo(workspace, name)
        oid = self.bare(repo).oid(f"{short}^{{commit}}") if repo else ""
        return Reply(data={"type": "commit", "hash": oid}) if oid else error(404, "Commit not found")

    def _found(self, workspace: str, name: str, number: str) -> tuple[Repo | None, dict[str, Any] | None]:
        repo = self.repo(workspace, name)
        return repo, repo.pulls.get(int(number)) if repo else None

    def _set(self, repo: Repo, pull: dict[str, Any], body: dict[str, Any]) -> Reply | None:
        """What is left out is emptied, except for the title, which is needed."""
        if not body.get("title"):
            return error(400, "title: This field is required.", title=["This field is required."])
        known = {person["uuid"]: name for name, person in self.people.items()}
        asked = [person["uuid"] for person in body.get("reviewers", [])]
        if unknown := [uuid for uuid in asked if uuid not in known]:
            return error(400, f"reviewers: {unknown[0]} is not a member of this workspace")
        pull |= {
            "title": body["title"],
            "description": body.get("description", ""),
            "draft": body.get("draft", False),
            "reviewers": [known[uuid] for uuid in asked],
        }
        return None

    def _shown(self, repo: Repo, pull: dict[str, Any]) -> dict[str, Any]:
        bare = self.bare(repo)
        oid = pull.get("oid") or bare.oid(f"refs/heads/{pull['head']}")
        here = {"type": "repository", "uuid": f"{{{repo.more['uuid']}}}", "full_name": repo.full_name}
        base = {"name": pull["base"], "merge_strategies": list(_STRATEGIES)}
        return {
            "type": "pullrequest",
            **{name: pull[name] for name in ("id", "title", "description", "state", "draft", "created_on")},
            "updated_on": "2026-11-20T09:00:00+00:00",
            "source": {"branch": {"name": pull["head"]}, "commit": {"hash": oid[:12]}, "repository": here},
            "destination": {"branch": base, "repository": here},
            "merge_commit": {"hash": pull["merged"][:12]} if "merged" in pull else None,
            "author": self.people["ana"],
            "reviewers": [self.people[name] for name in pull["reviewers"]],
            "links": {"html": {"href": f"{self.url}/{repo.full_name}/pull-requests/{pull['id']}"}},
        }

    # --- build statuses and pipelines -------------------------------------------------------------

    @route("GET", REPO + "/commit/([0-9a-f]{40})/statuses")
    def statuses(self, asked: Asked, workspace: str, name: str, oid: str) -> Reply:
        repo = self.repo(workspace, name)
        return self.page(asked, repo.checks.get(oid, [])) if repo else error(404, GONE)

    @route("POST", REPO + "/commit/([0-9a-f]{40})/statuses/build")
    def set_status(self, asked: Asked, workspace: str, name: str, oid: str) -> Reply:
        repo, body = self.repo(workspace, name), asked.json
        if repo is None or not self.bare(repo).oid(f"{oid}^{{commit}}"):
            return error(404, GONE)
        for needed in ("key", "state", "url"):
            if not body.get(needed):
                return error(400, "Bad request", **{needed: ["required key not provided"]})
        if len(body["key"]) > 40:
            return error(400, "Bad request", key=["Ensure this value has at most 40 characters."])
        others = [one for one in repo.checks.get(oid, []) if one["key"] != body["key"]]
        number = len(repo.checks.get(oid, [])) + 1
        repo.checks[oid] = [{**body, "updated_on": f"2026-11-20T08:00:{number:02}+00:00"}, *others]
        return Reply(201, repo.checks[oid][0])

    @route("GET", REPO + "/pipelines")
    def pipelines(self, asked: Asked, workspace: str, name: str) -> Reply:
        repo = self.repo(workspace, name)
        branch = asked.query.get("target.branch")
        found = [p for p in repo.pipelines if branch in (None, p["target"]["ref_name"])] if repo else []
        return self.page(asked, found, linked=False) if repo else error(404, GONE)

    def add_run(self, repo: Repo, branch: str) -> str:
        commit = {"hash": self.bare(repo).oid(f"refs/heads/{branch}")}
        repo.pipelines.append(
            run := {
                "uuid": f"{{{new_uuid()}}}",
                "build_number": len(repo.pipelines) + 1,
                "state": {"name": "COMPLETED", "result": {"name": "SUCCESSFUL"}},
                "target": {"ref_name": branch, "commit": commit, "selector": {"type": "default"}},
                "repository": {"full_name": repo.full_name},
                "created_on": f"2026-11-20T08:00:{len(repo.pipelines):02}.123456789Z",
                "completed_on": "2026-11-20T08:05:00.123456789Z",
            }
        )
        return str(run["uuid"]).strip("{}")

    # --- webhooks ---------------------------------------------------------------------------------

    @route("GET", REPO + "/hooks")
    def hooks(self, asked: Asked, workspace: str, name: str) -> Reply:
        repo = self.repo(workspace, name)
        return self.page(asked, [_hook(one) for one in repo.hooks.values()]) if repo else error(404, GONE)

    @route("POST", REPO + "/hooks")
    def create_hook(self, asked: Asked, workspace: str, name: str) -> Reply:
        repo, body = self.repo(workspace, name), asked.json
        if repo is None:
            return error(404, GONE)
        hook = Hook(new_uuid(), body["url"], body.get("secret") or "", body["events"], body["active"])
        repo.hooks[hook.id] = hook
        return Reply(201, _hook(hook))

    @route("PUT", _HOOK)
    def change_hook(self, asked: Asked, workspace: str, name: str, hook_id: str) -> Reply:
        repo, body = self.repo(workspace, name), asked.json
        hook = repo.hooks.get(hook_id) if repo else None
        if hook is None:
            return error(404, "Webhook not found")
        hook.url, hook.events, hook.active = body["url"], body["events"], body.get("active", False)
        hook.secret = body["secret"] or "" if "secret" in body else hook.secret
        return Reply(data=_hook(hook))

    @route("DELETE", _HOOK)
    def delete_hook(self, asked: Asked, workspace: str, name: str, hook_id: str) -> Reply:
        repo = self.repo(workspace, name)
        gone = repo.hooks.pop(hook_id, None) if repo else None
        return Reply(204) if gone else error(404, "Webhook not found")

    def signed(self, hook: Hook, event: str, body: bytes) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Bitbucket-Webhooks/2.0",
            "X-Event-Key": event,
            "X-Hook-UUID": hook.id,
            "X-Request-UUID": new_uuid(),
            "X-Attempt-Number": "1",
        }
        if hook.secret:
            digest = hmac.new(hook.secret.encode(), body, hashlib.sha256).hexdigest()
            headers["X-Hub-Signature"] = f"sha256={digest}"
        return headers

    def pushed(self, path: str, before: dict[str, str], after: dict[str, str]) -> None:
        """One delivery for all refs of a push."""
        repo = self.named(path.removesuffix(".git"))
        if repo is not None:
            with self.state_lock:
                self._tell(repo, before, after)

    def _tell(self, repo: Repo, before: dict[str, str], after: dict[str, str]) -> None:
        moved = [ref for ref in sorted(before | after) if before.get(ref) != after.get(ref)]
        changes: list[dict[str, Any]] = [
            {
                "old": self._side(repo, ref, before.get(ref)),
                "new": self._side(repo, ref, after.get(ref)),
                "created": ref not in before,
                "closed": ref not in after,
                "forced": False,
                "truncated": False,
                "commits": [],
            }
            for ref in moved
        ]
        if changes:
            payload = {"push": {"changes": changes}, "repository": self.described(repo)}
            self.send(repo, "repo:push", {**payload, "actor": self.people["ana"]})

    def _side(self, repo: Repo, ref: str, oid: str | None) -> dict[str, Any] | None:
        """A branch or tag, by the commit below it; None where there is none."""
        if oid is None:
            return None
        kind = "tag" if ref.startswith("refs/tags/") else "branch"
        target = self.bare(repo).oid(f"{oid}^{{commit}}") or oid
        return {"type": kind, "name": ref.split("/", 2)[2], "target": {"type": "commit", "hash": target}}


def _hook(hook: Hook) -> dict[str, Any]:
    return {
        "type": "webhook_subscription",
        "uuid": f"{{{hook.id}}}",
        "url": hook.url,
        "description": "OpsSight",
        "active": hook.active,
        "events": hook.events,
        "secret_set": bool(hook.secret),
    }

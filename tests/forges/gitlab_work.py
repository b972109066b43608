"""Branches, merge requests, statuses and pipelines of the stand-in of GitLab."""

from __future__ import annotations

import re
import subprocess
from abc import abstractmethod
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tests.forges.gitlab_base import PROJECT, Base, not_found
from tests.forges.standin import Asked, Reply, Repo, route
from tests.repos.git.work import IDENTITY

_REQUEST = PROJECT + r"/merge_requests/(\d+)"
_DRAFT = re.compile(r"\s*(\[draft\]|\(draft\)|draft:)", re.IGNORECASE)
_UNFINISHED = ("created", "waiting_for_resource", "preparing", "pending", "running", "scheduled")


class Work(Base):
    """`finding_out`: how often it is still unknown whether a merge request can be merged. `ghosts`: opens
    merge requests of branches that are not there, as older servers do. `lagging`: names of branches that
    are there and not known of yet.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.finding_out = 0
        self.ghosts = False
        self.lagging: set[str] = set()

    @route("GET", PROJECT + r"/repository/branches/([^/]+)")
    def get_branch(self, asked: Asked, name: str, branch: str) -> Reply:
        repo = self.project(name)
        oid = self.head_of(repo, unquote(branch)) if repo else ""
        if not oid:
            return not_found("Branch")
        return Reply(200, {"name": unquote(branch), "commit": {"id": oid}})

    def head_of(self, repo: Repo, branch: str) -> str:
        return self.bare(repo).oid(f"refs/heads/{branch}")

    # --- merge requests ---------------------------------------------------------------------------

    def request_json(self, repo: Repo, request: dict[str, Any], *, single: bool = False) -> dict[str, Any]:
        if request["state"] == "opened":
            request["sha"] = self.head_of(repo, request["source_branch"]) or None
        draft = bool(_DRAFT.match(request["title"]))
        shown = {
            **request,
            "draft": draft,
            "work_in_progress": draft,
            "project_id": repo.id,
            "target_project_id": repo.id,
            "web_url": f"{self.url}/{repo.full_name}/-/merge_requests/{request['iid']}",
            "detailed_merge_status": "unchecked",  # a list does not find it out
        }
        if single:
            shown["detailed_merge_status"] = self._merge_status(repo, request, draft)
            shown["head_pipeline"] = self._pipeline_of(repo, request["sha"])
            shown["user"] = {"can_merge": not repo.more.get("protected")}
        return shown

    def _merge_status(self, repo: Repo, request: dict[str, Any], draft: bool) -> str:
        if request["state"] != "opened":
            return "not_open"
        if self.finding_out:
            return "checking"
        if draft:
            return "draft_status"
        return "mergeable" if self._tree(repo, request) else "conflict"

    @route("GET", PROJECT + "/merge_requests")
    def list_requests(self, asked: Asked, name: str) -> Reply:
        repo = self.project(name)
        if repo is None:
            return not_found("Project")
        wanted = {
            key: asked.query[key] for key in ("state", "source_branch", "target_branch") if key in asked.query
        }
        found = [
            one for one in repo.pulls.values() if all(one[key] == value for key, value in wanted.items())
        ]
        found.sort(key=lambda one: int(one["iid"]), reverse=asked.query.get("sort", "desc") == "desc")
        return self.paged(asked, found, lambda one: self.request_json(repo, one))

    @route("POST", PROJECT + "/merge_requests")
    def create_request(self, asked: Asked, name: str) -> Reply:
        repo, body = self.project(name), asked.json
        if repo is None:
            return not_found("Project")
        for key in ("source_branch", "target_branch", "title"):
            if key not in body:
                return Reply(400, {"error": f"{key} is missing"})
        for key in ("source_branch", "target_branch"):
            known = self.head_of(repo, body[key]) and body[key] not in self.lagging
            if not known and not self.ghosts:
                return Reply(400, {"message": {key: ["does not exist"]}})
        for one in repo.pulls.values():
            branches = [(r["source_branch"], r["target_branch"]) for r in (one, body)]
            if one["state"] == "opened" and branches[0] == branches[1]:
                words = f"Another open merge request already exists for this source branch: !{one['iid']}"
                return Reply(409, {"message": [words]})
        request = {
            "id": self.next_id(),
            "iid": len(repo.pulls) + 1,
            "title": body["title"],
            "description": body.get("description"),
            "state": "opened",
            "source_branch": body["source_branch"],
            "target_branch": body["target_branch"],
            "source_project_id": repo.id,
            "author": self.user(self.who(asked)),
            "labels": [],
            "reviewers": [],
            "assignees": [],
            "sha": None,
            "merge_commit_sha": None,
            "squash_commit_sha": None,
            "merge_when_pipeline_succeeds": False,
            "created_at": "2026-11-20T08:00:00.000Z",
            "updated_at": "2026-11-20T08:00:00.000Z",
        }
        repo.pulls[request["iid"]] = request
        self._set(request, body)
        return Reply(201, self.request_json(repo, request, single=True))

    def _set(self, request: dict[str, Any], body: dict[str, Any]) -> None:
        for key in ("title", "description"):
            request[key] = body.get(key, request[key])
        if "labels" in body:
            request["labels"] = [label for label in body["labels"].split(",") if label]
        for key, ids in (("reviewers", "reviewer_ids"), ("assignees", "assignee_ids")):
            if ids in body:
                request[key] = [self.user(login) for login in self.logins(body[ids])]

    @abstractmethod
    def logins(self, ids: list[int]) -> list[str]:
        """Of people by their numbers."""

    @route("GET", _REQUEST)
    def get_request(self, asked: Asked, name: str, number: str) -> Reply:
        repo, request = self._request(name, number)
        if repo is None or request is None:
            return Reply(404, {"message": "404 Not found"})
        shown = self.request_json(repo, request, single=True)
        self.finding_out = max(0, self.finding_out - 1)
        return Reply(200, shown)

    @route("PUT", _REQUEST)
    def change_request(self, asked: Asked, name: str, number: str) -> Reply:
        repo, request = self._request(name, number)
        if repo is None or request is None:
            return Reply(404, {"message": "404 Not found"})
        self._set(request, asked.json)
        if asked.json.get("state_event") == "close" and request["state"] == "opened":
            request["state"] = "closed"
        return Reply(200, self.request_json(repo, request, single=True))

    def _request(self, name: str, number: str) -> tuple[Repo | None, dict[str, Any] | None]:
        repo = self.project(name)
        return repo, repo.pulls.get(int(number)) if repo else None

    # --- merging ----------------------------------------------------------------------------------

    @route("PUT", _REQUEST + "/merge")
    def merge_request(self, asked: Asked, name: str, number: str) -> Reply:
        repo, request = self._request(name, number)
        if repo is None or request is None:
            return Reply(404, {"message": "404 Not found"})
        shown = self.request_json(repo, request, single=True)
        if repo.more.get("protected"):
            return Reply(401, {"message": "401 Unauthorized"})
        status, body = shown["detailed_merge_status"], asked.json
        waits = bool(body.get("auto_merge") or body.get("merge_when_pipeline_succeeds"))
        pipeline = shown["head_pipeline"]
        unfinished = bool(pipeline and pipeline["status"] in _UNFINISHED)
        if status in ("not_open", "draft_status", "checking"):
            return Reply(405, {"message": "405 Method Not Allowed"})
        if unfinished and not waits and repo.more.get("pipeline_must_succeed"):
            return Reply(405, {"message": "405 Method Not Allowed"})
        if status == "conflict":
            return Reply(422, {"message": "Branch cannot be merged"})
        if body.get("sha", request["sha"]) != request["sha"]:
            return Reply(409, {"message": f"SHA does not match HEAD of source branch: {request['sha']}"})
        request["squash"] = bool(body.get("squash"))
        request["message"] = body.get(
            "squash_commit_message" if request["squash"] else "merge_commit_message"
        )
        if waits and unfinished:
            request["merge_when_pipeline_succeeds"] = True
        else:
            self._merge(repo, request)
        return Reply(200, self.request_json(repo, request, single=True))

    @route("POST", _REQUEST + "/cancel_merge_when_pipeline_succeeds")
    def cancel_merge(self, asked: Asked, name: str, number: str) -> Reply:
        repo, request = self._request(name, number)
        if repo is None or request is None:
            return Reply(404, {"message": "404 Not found"})
        if request["state"] != "opened":
            return Reply(405, {"message": "405 Method Not Allowed"})
        if not request.get("merge_when_pipeline_succeeds"):
            return Reply(406, {"message": "406 Not Acceptable"})
        request["merge_when_pipeline_succeeds"] = False
        return Reply(201, self.request_json(repo, request, single=True))

    def _tree(self, repo: Repo, request: dict[str, Any]) -> str:
        """The files of both branches together, or "" for a conflict."""
        branches = [f"refs/heads/{request[key]}" for key in ("target_branch", "source_branch")]
        command = ["git", "merge-tree", "--write-tree", *branches]
        done = subprocess.run(
            command, cwd=self.bare(repo).path, env=IDENTITY, capture_output=True, text=True, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    def _merge(self, repo: Repo, request: dict[str, Any]) -> None:
        bare, target = self.bare(repo), f"refs/heads/{request['target_branch']}"
        before, head = bare.oid(target), request["sha"]
        message = request["message"] or f"Merge branch '{request['source_branch']}'"
        after = head
        if request["squash"]:
            after = bare.git("commit-tree", self._tree(repo, request), "-p", before, "-m", message)
            request["squash_commit_sha"] = after
        elif repo.more.get("merge_method") != "ff":
            tree = self._tree(repo, request)
            after = bare.git("commit-tree", tree, "-p", before, "-p", head, "-m", message)
            request["merge_commit_sha"] = after
        bare.git("update-ref", target, after, before)
        request["state"] = "merged"
        self.ref_moved(repo, target, before, after)

    # --- statuses and pipelines -------------------------------------------------------------------

    @route("POST", PROJECT + "/statuses/([^/]+)")
    def set_status(self, asked: Asked, name: str, oid: str) -> Reply:
        repo, body = self.project(name), asked.json
        if repo is None or not self.bare(repo).oid(f"{oid}^{{commit}}"):
            return not_found("Commit")
        if body.get("state") not in ("pending", "running", "success", "failed", "canceled", "skipped"):
            return Reply(400, {"error": "state does not have a valid value"})
        statuses = repo.checks.setdefault(oid, [])
        label = body.get("name") or body.get("context") or "default"
        found = [one for one in statuses if one["name"] == label and one["status"] in ("pending", "running")]
        if found and found[0]["status"] == body["state"]:
            event = "enqueue" if body["state"] == "pending" else "run"
            words = f"Cannot transition status via :{event} from :{body['state']} (Reason(s): "
            return Reply(400, {"message": f'{words}Status cannot transition via "{event}")'})
        status = (
            found[0] if found else {"id": self.next_id(), "name": label, "allow_failure": False, "sha": oid}
        )
        status |= {"status": body["state"], "description": body.get("description")}
        status |= {"target_url": body.get("target_url")}
        if not found:
            statuses.append(status)
        return Reply(201, status)

    @route("GET", PROJECT + "/repository/commits/([^/]+)/statuses")
    def list_statuses(self, asked: Asked, name: str, oid: str) -> Reply:
        repo = self.project(name)
        if repo is None or not self.bare(repo).oid(f"{oid}^{{commit}}"):
            return not_found("Commit")
        return self.paged(asked, repo.checks.get(oid, []), lambda one: one)

    def add_pipeline(self, repo: Repo, ref: str, status: str, **more: Any) -> dict[str, Any]:
        """A run of GitLab CI for the head of a branch."""
        number = self.next_id()
        pipeline = {
            "id": number,
            "iid": len(repo.pipelines) + 1,
            "project_id": repo.id,
            "sha": self.head_of(repo, ref),
            "ref": ref,
            "status": status,
            "source": "push",
            "created_at": "2026-11-20T08:00:00.000Z",
            "updated_at": "2026-11-20T08:05:00.000Z",
            "web_url": f"{self.url}/{repo.full_name}/-/pipelines/{number}",
            "name": None,
            **more,
        }
        repo.pipelines.append(pipeline)
        return pipeline

    def finish_pipeline(self, repo: Repo, pipeline: dict[str, Any], status: str) -> None:
        """What waits for it is merged when it succeeded."""
        pipeline["status"] = status
        for request in repo.pulls.values():
            if (
                request["merge_when_pipeline_succeeds"]
                and request["sha"] == pipeline["sha"]
                and status == "success"
            ):
                self._merge(repo, request)

    def _pipeline_of(self, repo: Repo, oid: str) -> dict[str, Any] | None:
        found = [one for one in repo.pipelines if one["sha"] == oid]
        return found[-1] if found else None

    @route("GET", PROJECT + "/pipelines")
    def list_pipelines(self, asked: Asked, name: str) -> Reply:
        repo = self.project(name)
        if repo is None:
            return not_found("Project")
        if repo.more.get("builds") == "disabled":
            return Reply(403, {"message": "403 Forbidden"})
        ref, after = asked.query.get("ref"), asked.query.get("updated_after", "")
        found = [
            one for one in reversed(repo.pipelines) if ref in (None, one["ref"]) and one["updated_at"] > after
        ]
        return self.paged(asked, found, lambda one: one)

"""Pull requests and labels of the stand-in of Gitea."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.forges.gitea_base import REPO, Base, error, not_found
from tests.forges.standin import Asked, Reply, Repo, route
from tests.repos.git.work import git

PULL = rf"{REPO}/pulls/(\d+)"
_STYLES = ("merge", "rebase", "rebase-merge", "squash")
_MADE = "2026-11-20T09:00:00Z"


class Pulls(Base):
    """`checking`: how many attempts to merge find that it is still being looked at.

    `refuse_cancelling`: somebody else had it merged later, so we may not take that back.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.checking = 1
        self.refuse_cancelling = False

    def pull_of(self, owner: str, name: str, number: str) -> tuple[Repo | None, dict[str, Any] | None]:
        repo = self.found(owner, name)
        return repo, repo.pulls.get(int(number)) if repo else None

    def show_pull(self, repo: Repo, pull: dict[str, Any]) -> dict[str, Any]:
        labels = [one for one in self._labels(repo) if one["id"] in pull["labels"]]
        head = self.oid(repo, pull["head"])
        return {
            "id": 1_000 + pull["number"],
            "url": f"{self.root_url}{repo.full_name}/pulls/{pull['number']}",
            "number": pull["number"],
            "user": self.user(pull["poster"]),
            "title": pull["title"],
            "body": pull["body"],
            "labels": labels,
            "assignees": [self.user(login) for login in pull["assignees"]] or None,
            "requested_reviewers": [self.user(login) for login in pull["reviewers"]] or None,
            "state": pull["state"],
            "draft": is_draft(pull["title"]),
            "html_url": f"{self.root_url}{repo.full_name}/pulls/{pull['number']}",
            "mergeable": pull["state"] == "open" and not pull["checking"],
            "merged": pull["merged"],
            "merge_commit_sha": pull["merge_oid"] or None,
            "base": self._end(repo, pull["base"], pull["base"], self.oid(repo, pull["base"])),
            "head": self._end(
                repo,
                pull["head"],
                pull["head"] if head else f"refs/pull/{pull['number']}/head",
                head or pull["head_oid"],
            ),
            "created_at": _MADE,
            "updated_at": _MADE,
        }

    def _end(self, repo: Repo, label: str, ref: str, oid: str) -> dict[str, Any]:
        return {
            "label": label,
            "ref": ref,
            "sha": oid,
            "repo_id": repo.id,
            "repo": self.show_repository(repo),
        }

    # --- routes -----------------------------------------------------------------------------------

    @route("GET", rf"{REPO}/pulls")
    def list_pulls(self, asked: Asked, owner: str, name: str) -> Reply:
        repo = self.found(owner, name)
        if repo is None:
            return not_found()
        state, base = asked.query.get("state", "open"), asked.query.get("base_branch", "")
        found = [one for one in repo.pulls.values() if state in ("all", one["state"])]
        found = [one for one in found if base in ("", one["base"])]
        return self.paged(asked, found[::-1], lambda pull: self.show_pull(repo, pull))

    @route("POST", rf"{REPO}/pulls")
    def open_pull(self, asked: Asked, owner: str, name: str) -> Reply:
        repo, wanted = self.found(owner, name), asked.json
        if repo is None:
            return not_found()
        if repo.more.get("settling") and self.has_branches(repo):
            repo.more["settling"] -= 1
            return not_found()
        if not self.oid(repo, wanted["head"]) or not self.oid(repo, wanted["base"]):
            return not_found()
        for one in repo.pulls.values():
            if one["state"] == "open" and (one["head"], one["base"]) == (wanted["head"], wanted["base"]):
                return error(
                    409,
                    f"pull request already exists for these targets [id: {one['number']}, head_repo_id: 1]",
                )
        number = len(repo.pulls) + 1
        repo.pulls[number] = pull = {
            "number": number,
            "title": wanted["title"],
            "body": wanted.get("body", ""),
            "head": wanted["head"],
            "base": wanted["base"],
            "head_oid": self.oid(repo, wanted["head"]),
            "state": "open",
            "merged": False,
            "merge_oid": "",
            "labels": wanted.get("labels") or [],
            "assignees": [],
            "reviewers": [],
            "poster": self.who(asked),
            "checking": self.checking,
            "scheduled": False,
        }
        shown = self.show_pull(repo, pull)
        self.send(repo, "pull_request", {"action": "opened", "number": number, "pull_request": shown})
        return Reply(201, shown)

    @route("GET", PULL)
    def get_pull(self, asked: Asked, owner: str, name: str, number: str) -> Reply:
        repo, pull = self.pull_of(owner, name, number)
        return Reply(200, self.show_pull(repo, pull)) if repo and pull else not_found()

    @route("PATCH", PULL)
    def change_pull(self, asked: Asked, owner: str, name: str, number: str) -> Reply:
        repo, pull = self.pull_of(owner, name, number)
        wanted = asked.json
        if repo is None or pull is None:
            return not_found()
        for login in wanted.get("assignees") or []:
            if login not in self.people:
                return error(422, f"Assignee does not exist: [name: user does not exist [name: {login}]]")
        if "state" in wanted and pull["merged"]:
            return error(412, "cannot change state of this pull request, it was already merged")
        for key in ("title", "body", "assignees", "labels", "state"):
            if wanted.get(key) is not None and (wanted[key] or key != "title"):
                pull[key] = wanted[key]
        return Reply(201, self.show_pull(repo, pull))

    @route("POST", rf"{PULL}/requested_reviewers")
    def ask_reviewers(self, asked: Asked, owner: str, name: str, number: str) -> Reply:
        _, pull = self.pull_of(owner, name, number)
        if pull is None:
            return not_found()
        for login in asked.json.get("reviewers", []):
            if login not in self.people:
                return error(404, f"user does not exist [uid: 0, name: {login}]")
            if login == pull["poster"]:
                return error(422, "poster of pr can't be reviewer")
        pull["reviewers"] = list(dict.fromkeys([*pull["reviewers"], *asked.json["reviewers"]]))
        return Reply(201, [])

    @route("DELETE", rf"{PULL}/requested_reviewers")
    def forget_reviewers(self, asked: Asked, owner: str, name: str, number: str) -> Reply:
        _, pull = self.pull_of(owner, name, number)
        if pull is None:
            return not_found()
        pull["reviewers"] = [login for login in pull["reviewers"] if login not in asked.json["reviewers"]]
        return Reply(204)

    @route("POST", rf"{PULL}/merge")
    def merge(self, asked: Asked, owner: str, name: str, number: str) -> Reply:
        repo, pull = self.pull_of(owner, name, number)
        if repo is None or pull is None:
            return not_found()
        refused = self._refuse_merge(repo, pull, asked.json)
        if refused is not None:
            return refused
        if asked.json.get("merge_when_checks_succeed"):
            if pull["scheduled"]:
                return error(409, "pull request is already scheduled to auto merge when checks succeed")
            pull["scheduled"] = True
            return Reply(201, raw=b"")
        if not self._merge(repo, pull, asked.json):
            return Reply(409, {"Style": "merge", "StdErr": "", "StdOut": "CONFLICT (content)"})
        return Reply(200, raw=b"")

    @route("DELETE", rf"{PULL}/merge")
    def cancel_merge(self, asked: Asked, owner: str, name: str, number: str) -> Reply:
        _, pull = self.pull_of(owner, name, number)
        if pull is None or not pull["scheduled"]:
            return not_found()
        if self.refuse_cancelling:
            return error(403, "user has no permission to cancel the scheduled auto merge")
        pull["scheduled"] = False
        return Reply(204)

    def _refuse_merge(self, repo: Repo, pull: dict[str, Any], wanted: dict[str, Any]) -> Reply | None:
        if pull["merged"]:
            return error(405, "")
        if pull["state"] == "closed":
            return not_found()
        if is_draft(pull["title"]):
            return error(405, "Work in progress PRs cannot be merged")
        if pull["checking"]:
            pull["checking"] -= 1
            return error(405, "Please try again later")
        if wanted["Do"] not in _STYLES:
            return error(405, f"{wanted['Do']} is not allowed an allowed merge style for this repository")
        expected = wanted.get("head_commit_id") or self.oid(repo, pull["head"])
        return None if expected == self.oid(repo, pull["head"]) else error(409, "head out of date")

    def _merge(self, repo: Repo, pull: dict[str, Any], wanted: dict[str, Any]) -> bool:
        path = self.bare(repo).path
        base, head = self.oid(repo, pull["base"]), self.oid(repo, pull["head"])
        try:
            tree = git("merge-tree", "--write-tree", base, head, cwd=path).splitlines()[0]
        except Exception:  # noqa: BLE001 - a conflict, which git tells by its exit status
            return False
        title = wanted.get("MergeTitleField") or f"Merge pull request '{pull['title']}'"
        message = f"{title}\n\n{wanted.get('MergeMessageField', '')}".strip()
        parents = ["-p", base] + (["-p", head] if wanted["Do"] == "merge" else [])
        merged = git("commit-tree", tree, *parents, "-m", message, cwd=path)
        pull |= {"state": "closed", "merged": True, "merge_oid": merged, "head_oid": head}
        shown = self.show_pull(repo, pull)
        self.send(repo, "pull_request", {"action": "closed", "number": pull["number"], "pull_request": shown})
        git("update-ref", f"refs/heads/{pull['base']}", merged, cwd=path)
        self.ref_moved(repo, f"refs/heads/{pull['base']}", base, merged)
        return True

    # --- labels -----------------------------------------------------------------------------------

    def _labels(self, repo: Repo) -> list[dict[str, Any]]:
        own: list[dict[str, Any]] = repo.more.setdefault("labels", [])
        return own + self.organizations.get(repo.owner, [])

    @route("GET", rf"{REPO}/labels")
    def list_labels(self, asked: Asked, owner: str, name: str) -> Reply:
        repo = self.found(owner, name)
        if repo is None:
            return not_found()
        return self.paged(asked, repo.more.get("labels", []), lambda label: label, linked=False)

    @route("POST", rf"{REPO}/labels")
    def add_label(self, asked: Asked, owner: str, name: str) -> Reply:
        repo = self.found(owner, name)
        if repo is None:
            return not_found()
        if not re.fullmatch(r"#[0-9a-f]{6}", asked.json.get("color", "")):
            return error(422, "bad colour code")
        label = {"id": self.next_id(), "name": asked.json["name"], "color": asked.json["color"]}
        repo.more.setdefault("labels", []).append(label)
        return Reply(201, label)

    @route("GET", r"/api/v1/orgs/([^/]+)/labels")
    def list_organization_labels(self, asked: Asked, owner: str) -> Reply:
        if owner not in self.organizations:
            return error(404, f"user redirect does not exist [name: {owner}]")
        return self.paged(asked, self.organizations[owner], lambda label: label, linked=False)


def is_draft(title: str) -> bool:
    return title.lower().startswith(("wip:", "[wip]"))

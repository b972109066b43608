"""Pull requests of the stand-in of GitHub. A merge is a merge in the repository."""

from __future__ import annotations

import datetime as dt
import re
import subprocess
from typing import Any

from tests.forges.github_checks import ChecksStandIn
from tests.forges.github_refused import REPO, Refused, error, invalid
from tests.forges.github_shapes import issue_json, label_json, pull_json, repository_json, user_json
from tests.forges.standin import Asked, Reply, Repo, route

_PULL = REPO + r"/pulls/(\d+)"
_ISSUE = REPO + r"/issues/(\d+)"
Pull = dict[str, Any]


class PullsStandIn(ChecksStandIn):
    """`repo.more`: `required_checks` (names), `allow_auto_merge`, `refused_methods` (of merging)."""

    # --- pull requests ------------------------------------------------------------------------------

    @route("GET", REPO + r"/pulls")
    def list_pulls(self, asked: Asked, where: str) -> Reply:
        repo, query = self.find(where), asked.query
        state, head, base = query.get("state", "open"), query.get("head", ""), query.get("base", "")
        found = [
            pull
            for pull in repo.pulls.values()
            if state in ("all", pull["state"])
            and (not base or pull["base"] == base)
            and (
                ":" not in head or f"{repo.owner}:{pull['head']}" == head
            )  # without an owner it counts for nothing
        ]
        found.sort(key=lambda pull: int(pull["number"]), reverse=query.get("direction", "desc") == "desc")
        return self.page(asked, found, lambda pull: self._shown(repo, pull, whole=False))

    @route("GET", _PULL)
    def get_pull(self, asked: Asked, where: str, number: str) -> Reply:
        repo, pull = self._pull(where, number)
        return Reply(200, self._shown(repo, pull))

    @route("POST", REPO + r"/pulls")
    def open_pull(self, asked: Asked, where: str) -> Reply:
        repo, given = self.find(where, write=True), asked.json
        if repo.archived:
            return error(403, "Repository was archived so is read-only.")
        head, base = str(given.get("head", "")).rpartition(":")[2], given.get("base", "")
        oids = {name: self.bare(repo).oid(f"refs/heads/{name}") for name in (head, base)}
        for field, name in (("head", head), ("base", base)):
            if not oids[name]:
                return invalid("PullRequest", field, "invalid")
        if any((p["state"], p["head"], p["base"]) == ("open", head, base) for p in repo.pulls.values()):
            said = f"A pull request already exists for {repo.owner}:{head}."
            return invalid("PullRequest", "", "custom", said)
        if not self.bare(repo).git("rev-list", "-1", f"{base}..{head}"):
            return invalid("PullRequest", "", "custom", f"No commits between {base} and {head}")
        number = self._next_number(repo)
        now = _now()
        pull = {
            "id": self.next_id(), "number": number, "state": "open", "title": given.get("title"),
            "body": given.get("body") or None, "head": head, "base": base, "draft": bool(given.get("draft")),
            "user": self.me.login, "labels": [], "assignees": [], "reviewers": [], "auto_merge": None,
            "created_at": now, "updated_at": now, "merged_at": None, "merge_sha": "",
            "head_sha": oids[head], "base_sha": oids[base],
        }  # fmt: skip
        repo.pulls[number] = pull
        self.bare(repo).git("update-ref", f"refs/pull/{number}/head", oids[head])
        self._tell(repo, pull, "opened")
        return Reply(201, self._shown(repo, pull))

    @route("PATCH", _PULL)
    def change_pull(self, asked: Asked, where: str, number: str) -> Reply:
        repo, pull = self._pull(where, number, write=True)
        given = asked.json
        if given.get("state") == "open" and pull["merged_at"]:
            return invalid(
                "PullRequest", "state", "invalid", "state cannot be changed. The pull request was merged."
            )
        pull.update({name: given[name] for name in ("title", "body", "state") if name in given})
        pull["updated_at"] = _now()
        self._tell(repo, pull, "closed" if given.get("state") == "closed" else "edited")
        return Reply(200, self._shown(repo, pull))

    @route("PUT", _PULL + r"/merge")
    def merge_pull(self, asked: Asked, where: str, number: str) -> Reply:
        repo, pull = self._pull(where, number, write=True)
        given = asked.json
        if given.get("sha") and given["sha"] != pull["head_sha"]:
            return error(409, "Head branch was modified. Review and try the merge again.")
        method = given.get("merge_method", "merge")
        if method in repo.more.get("refused_methods", []):
            return error(405, f"{method.title()} merges are not allowed on this repository.")
        if pull["state"] != "open" or self.merge_state(repo, pull) in ("dirty", "draft", "blocked"):
            return error(405, "Pull Request is not mergeable")
        words = f"{given.get('commit_title', 'Merge')}\n\n{given.get('commit_message', '')}".strip()
        self._merge(repo, pull, method, words)
        said = {"sha": pull["merge_sha"], "merged": True, "message": "Pull Request successfully merged"}
        return Reply(200, said)

    @route("POST", _PULL + r"/requested_reviewers")
    def ask_reviewers(self, asked: Asked, where: str, number: str) -> Reply:
        repo, pull = self._pull(where, number, write=True)
        wanted = asked.json.get("reviewers", [])
        if pull["user"] in wanted:
            return error(422, "Review cannot be requested from pull request author.")
        if not set(wanted) <= self._writers():
            return error(
                422,
                "Reviews may only be requested from collaborators. One or more of the users or teams you "
                f"specified is not a collaborator of the {repo.full_name} repository.",
            )
        pull["reviewers"] = list(dict.fromkeys([*pull["reviewers"], *wanted]))
        return Reply(201, self._shown(repo, pull))

    @route("DELETE", _PULL + r"/requested_reviewers")
    def release_reviewers(self, asked: Asked, where: str, number: str) -> Reply:
        repo, pull = self._pull(where, number, write=True)
        pull["reviewers"] = [one for one in pull["reviewers"] if one not in asked.json.get("reviewers", [])]
        return Reply(200, self._shown(repo, pull))

    @route("POST", _ISSUE + r"/labels")
    @route("PUT", _ISSUE + r"/labels")
    def label(self, asked: Asked, where: str, number: str) -> Reply:
        repo, pull = self._pull(where, number, write=True)
        before = pull["labels"] if asked.method == "POST" else []
        pull["labels"] = list(dict.fromkeys([*before, *asked.json.get("labels", [])]))
        return Reply(200, [label_json(self.url, repo, name) for name in pull["labels"]])

    @route("POST", _ISSUE + r"/assignees")
    @route("DELETE", _ISSUE + r"/assignees")
    def assign(self, asked: Asked, where: str, number: str) -> Reply:
        """Whom it cannot assign it leaves out, and says nothing."""
        repo, pull = self._pull(where, number, write=True)
        named = asked.json.get("assignees", [])
        if asked.method == "DELETE":
            pull["assignees"] = [one for one in pull["assignees"] if one not in named]
        else:
            known = [one for one in named if one in self._writers()]
            pull["assignees"] = list(dict.fromkeys([*pull["assignees"], *known]))
        return Reply(201 if asked.method == "POST" else 200, issue_json(self.url, repo, pull))

    @route("POST", r"/api/graphql")
    def graphql(self, asked: Asked) -> Reply:
        """Four mutations. Errors come with status 200."""
        found = re.search(r"(\w+)\s*\(\s*input:", asked.json.get("query", ""))
        given = asked.json.get("variables", {})
        pulls = [(repo, pull) for repo in self.repositories.values() for pull in repo.pulls.values()]
        named = [pair for pair in pulls if f"PR_{pair[1]['id']}" == given.get("id")]
        if not found or not named:
            said = f"Could not resolve to a node with the global id of '{given.get('id')}'."
            return Reply(200, {"data": None, "errors": [{"type": "NOT_FOUND", "message": said}]})
        name, (repo, pull) = found[1], named[0]
        if name == "enablePullRequestAutoMerge":
            refused = self._enable_auto_merge(repo, pull, given.get("method", "MERGE"))
            if refused:
                problem = {"type": "UNPROCESSABLE", "path": [name], "message": refused}
                return Reply(200, {"data": {name: None}, "errors": [problem]})
        elif name == "disablePullRequestAutoMerge":
            if pull["auto_merge"] is None:
                said = "Can't disable auto-merge for this pull request"
                problem = {"type": "UNPROCESSABLE", "path": [name], "message": said}
                return Reply(200, {"data": {name: None}, "errors": [problem]})
            pull["auto_merge"] = None
        else:
            pull["draft"] = {"markPullRequestReadyForReview": False, "convertPullRequestToDraft": True}[name]
            self._tell(repo, pull, "converted_to_draft" if pull["draft"] else "ready_for_review")
        return Reply(200, {"data": {name: {"clientMutationId": None}}})

    def _enable_auto_merge(self, repo: Repo, pull: Pull, method: str) -> str:
        if not repo.more.get("allow_auto_merge"):
            return "Pull request Auto merge is not allowed for this repository"
        state = self.merge_state(repo, pull)
        if state != "blocked":
            return f"Pull request Pull request is in {state} status"
        pull["auto_merge"] = {"merge_method": method.lower()}
        return ""

    # --- what happens by itself ---------------------------------------------------------------------

    def checked(self, repo: Repo) -> None:
        for pull in repo.pulls.values():
            if pull["auto_merge"] and pull["state"] == "open" and self.merge_state(repo, pull) == "clean":
                self._merge(repo, pull, pull["auto_merge"]["merge_method"], "Merge")

    def merge_state(self, repo: Repo, pull: Pull) -> str:
        newest = {one["context"]: one["state"] for one in repo.checks.get(pull["head_sha"], [])}
        required = repo.more.get("required_checks", [])
        if pull["draft"]:
            return "draft"
        if not self._merged_tree(repo, pull):
            return "dirty"
        if any(newest.get(name) != "success" for name in required):
            return "blocked"
        return "clean" if all(state == "success" for state in newest.values()) else "unstable"

    def _merged_tree(self, repo: Repo, pull: Pull) -> str:
        try:
            return self.bare(repo).git(
                "merge-tree", "--write-tree", f"refs/heads/{pull['base']}", pull["head_sha"]
            )
        except subprocess.CalledProcessError:
            return ""

    def _merge(self, repo: Repo, pull: Pull, method: str, words: str) -> None:
        bare, ref = self.bare(repo), f"refs/heads/{pull['base']}"
        before, tree = bare.oid(ref), self._merged_tree(repo, pull)
        parents = ["-p", before, *(["-p", pull["head_sha"]] if method == "merge" else [])]
        oid = bare.git("commit-tree", tree, *parents, "-m", words)
        bare.git("update-ref", ref, oid)
        pull.update(state="closed", merged_at=_now(), updated_at=_now(), merge_sha=oid, auto_merge=None)
        self._tell(repo, pull, "closed")
        self.ref_moved(repo, ref, before, oid)

    def ref_moved(self, repo: Repo, ref: str, before: str, after: str) -> None:
        """GitHub says `create` before the push that makes a ref, and `delete` after the one that ends it."""
        repo.pushed_at = _now()
        zeros, short = "0" * 40, ref.partition("/")[2].partition("/")[2]
        whose = {"repository": repository_json(self.url, repo), "sender": user_json(self.url, self._pusher())}
        what = {"ref": short, "ref_type": "tag" if ref.startswith("refs/tags/") else "branch", **whose}
        if before == zeros:
            self.send(repo, "create", {**what, "master_branch": repo.default_branch, "pusher_type": "user"})
        self.send(repo, "push", self.push_json(repo, ref, before, after))
        if after == zeros:
            self.send(repo, "delete", {**what, "pusher_type": "user"})
        for pull in repo.pulls.values():
            if pull["state"] == "open" and ref == f"refs/heads/{pull['head']}":
                self._head_moved(repo, pull, after)

    def push_json(self, repo: Repo, ref: str, before: str, after: str) -> dict[str, Any]:
        zeros = "0" * 40
        return {
            "ref": ref, "before": before, "after": after, "created": before == zeros,
            "deleted": after == zeros, "forced": False, "base_ref": None, "commits": [],
            "head_commit": None, "pusher": {"name": self._pusher()},
            "repository": repository_json(self.url, repo), "sender": user_json(self.url, self._pusher()),
        }  # fmt: skip

    def _head_moved(self, repo: Repo, pull: Pull, after: str) -> None:
        pull["updated_at"] = _now()
        if after == "0" * 40:
            pull["state"] = "closed"
            self._tell(repo, pull, "closed")
            return
        pull["head_sha"] = after
        self.bare(repo).git("update-ref", f"refs/pull/{pull['number']}/head", after)
        self._tell(repo, pull, "synchronize")

    def _tell(self, repo: Repo, pull: Pull, action: str) -> None:
        whose = {"repository": repository_json(self.url, repo), "sender": user_json(self.url, self._pusher())}
        shown = self._shown(repo, pull)
        self.send(
            repo, "pull_request", {"action": action, "number": pull["number"], "pull_request": shown, **whose}
        )

    # --- small things -------------------------------------------------------------------------------

    def _pull(self, where: str, number: str, *, write: bool = False) -> tuple[Repo, Pull]:
        repo = self.find(where, write=write)
        if int(number) not in repo.pulls:
            raise Refused(error(404, "Not Found"))
        return repo, repo.pulls[int(number)]

    def _shown(self, repo: Repo, pull: Pull, *, whole: bool = True) -> dict[str, Any]:
        if pull["state"] == "open":  # the test may have committed without a push
            pull["head_sha"] = self.bare(repo).oid(f"refs/heads/{pull['head']}") or pull["head_sha"]
        return pull_json(self.url, repo, pull, whole=whole)

    def _next_number(self, repo: Repo) -> int:
        return max(repo.pulls, default=0) + 1

    def _writers(self) -> set[str]:
        return self.people | {token.login for token in self.tokens.values()}

    def _pusher(self) -> str:
        return next((token.login for token in self.tokens.values()), "somebody")


def _now() -> str:
    return f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"

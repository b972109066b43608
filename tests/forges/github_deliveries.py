"""What the stand-in of GitHub delivered to webhooks: listed, sent again, tested."""

from __future__ import annotations

from typing import Any

from tests.forges.github_commits import CommitsStandIn
from tests.forges.github_refused import REPO, Refused, error
from tests.forges.standin import Asked, Hook, Reply, Repo, Sent, route

_FIRST = 12_345_678_901  # ids of deliveries are large


class DeliveriesStandIn(CommitsStandIn):
    """A delivery keeps its GUID when it is sent again; each attempt has an id of its own."""

    @route("GET", REPO + r"/hooks/(\d+)/deliveries")
    def list_deliveries(self, asked: Asked, where: str, number: str) -> Reply:
        """The newest first; the link to the next page names where it begins."""
        _, hook = self._hook(where, number)
        attempts = [(id, sent) for id, sent in self._attempts() if sent.hook.id == hook.id]
        begins = int(asked.query.get("cursor") or attempts[0][0] if attempts else 0)
        size = int(asked.query.get("per_page", 30))
        left = [(id, sent) for id, sent in attempts if id <= begins]
        seen: set[str] = set()
        shown = {id: self._shown_attempt(id, sent, seen) for id, sent in reversed(attempts)}
        headers = {}
        if len(left) > size:
            here = f"{self.url}{asked.path}?per_page={size}"
            headers["Link"] = f'<{here}&cursor={left[size][0]}>; rel="next"'
        return Reply(200, [shown[id] for id, _ in left[:size]], headers)

    @route("POST", REPO + r"/hooks/(\d+)/deliveries/(\d+)/attempts")
    def redeliver(self, asked: Asked, where: str, number: str, attempt: str) -> Reply:
        _, hook = self._hook(where, number)
        found = [sent for id, sent in self._attempts() if str(id) == attempt and sent.hook.id == hook.id]
        if not found:
            raise Refused(error(404, "Not Found"))
        sent = found[0]
        fresh = self.signed(hook, sent.event, sent.body)
        again = fresh | {"X-GitHub-Delivery": sent.headers["X-GitHub-Delivery"]}
        self._outbox.put((hook, sent.event, again, sent.body))
        return Reply(202, {})

    @route("POST", REPO + r"/hooks/(\d+)/tests")
    def test_hook(self, asked: Asked, where: str, number: str) -> Reply:
        """The last push again, where there was one and the webhook wants pushes."""
        repo, hook = self._hook(where, number)
        head = self.bare(repo).oid(f"refs/heads/{repo.default_branch}")
        if head:
            alone = Repo(repo.id, repo.full_name, hooks={hook.id: hook})
            self.send(alone, "push", self.push_json(repo, f"refs/heads/{repo.default_branch}", head, head))
        return Reply(204)

    def _hook(self, where: str, number: str) -> tuple[Repo, Hook]:
        repo = self.find(where, write=True)
        if number not in repo.hooks:
            raise Refused(error(404, "Not Found"))
        return repo, repo.hooks[number]

    def _attempts(self) -> list[tuple[int, Sent]]:
        """Every delivery of every webhook with its id, the newest first."""
        return [(_FIRST + place, sent) for place, sent in enumerate(self.sent)][::-1]

    def _shown_attempt(self, id: int, sent: Sent, seen: set[str]) -> dict[str, Any]:
        guid = sent.headers["X-GitHub-Delivery"]
        again = guid in seen
        seen.add(guid)
        return {
            "id": id,
            "guid": guid,
            "delivered_at": sent.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "redelivery": again,
            "duration": 0.27,
            "status": "OK" if 200 <= sent.status < 300 else f"Invalid HTTP Response: {sent.status}",
            "status_code": sent.status,
            "event": sent.event,
            "action": None,
            "installation_id": None,
            "repository_id": None,
            "throttled_at": None,
        }

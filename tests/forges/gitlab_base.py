"""What all parts of the stand-in of GitLab use: errors and pages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from tests.forges.standin import Asked, Reply, Repo, StandIn, page_of

PROJECT = r"/api/v4/projects/([^/]+)"
_COUNTED = 10_000  # above, GitLab counts no pages


class Base(StandIn, ABC):
    """The parts ask these of the whole."""

    @abstractmethod
    def project(self, name: str) -> Repo | None:
        """By its number or its path; None where there is none."""

    @abstractmethod
    def user(self, login: str) -> dict[str, Any]:
        """As GitLab shows a person."""

    @abstractmethod
    def who(self, asked: Asked) -> str:
        """The login that a request is made with."""

    def page_start(self, asked: Asked) -> int:
        return (int(asked.query.get("page", 1)) - 1) * per_page_of(asked)

    def paged(self, asked: Asked, found: list[Any], show: Callable[[Any], Any]) -> Reply:
        per_page, page = per_page_of(asked), int(asked.query.get("page", 1))
        pages = max(1, -(-len(found) // per_page))
        places = {"first": 1, "prev": page - 1, "next": page + 1}
        headers = {"X-Page": str(page), "X-Per-Page": str(per_page)}
        if len(found) <= _COUNTED:
            places["last"] = pages
            headers |= {"X-Total": str(len(found)), "X-Total-Pages": str(pages)}
        links = [
            f'<{self.url}{asked.path}?{urlencode({**asked.query, "page": number})}>; rel="{relation}"'
            for relation, number in places.items()
            if 1 <= number <= pages
        ]
        headers["Link"] = ", ".join(links)
        return Reply(200, [show(one) for one in page_of(found, page, per_page)], headers)


def per_page_of(asked: Asked) -> int:
    return min(int(asked.query.get("per_page", 20)), 100)


def not_found(what: str) -> Reply:
    return Reply(404, {"message": f"404 {what} Not Found"})

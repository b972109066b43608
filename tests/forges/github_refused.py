"""How GitHub refuses: its error bodies."""

from __future__ import annotations

from tests.forges.standin import Reply

REPO = r"/api/v3/(repositories/\d+|repos/[^/]+/[^/]+)"


class Refused(Exception):
    """A request ends with this reply."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


def error(status: int, message: str) -> Reply:
    said = {"message": message, "documentation_url": "https://docs.github.com/rest", "status": str(status)}
    return Reply(status, said)


def invalid(
    resource: str, field: str, code: str, said: str = "", message: str = "Validation Failed"
) -> Reply:
    detail = {"resource": resource, "code": code}
    detail |= {"field": field} if field else {}
    detail |= {"message": said} if said else {}
    reply = error(422, message)
    reply.data["errors"] = [detail]
    return reply

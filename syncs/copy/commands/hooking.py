"""`copy send-webhook`: a signed delivery of a merged pull request, as GitHub sends it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any, Final

from opssight.core.command import Answer
from opssight.core.env import Env
from opssight.core.errors import InvalidInput
from opssight.core.outbound_http import posted
from opssight.core.typed_secrets import secret_from
from opssight.notices.http import is_address
from repos import access
from repos.network import Network
from repos.providers.signatures import signature
from syncs.copy.commands.opening import read

_MOST: Final = 65_536  # bytes of an answer
_NO_COMMIT: Final = "0" * 40
_PASSED_OVER: Final = " It is passed over: no rule follows it, or it is no merged pull request."


def send(options: dict[str, Any], env: Env, say: Callable[[str], None]) -> Answer:
    """What the address answered. An answer of 400 and more is a failure."""
    if not is_address(options["url"]):
        raise InvalidInput(
            "--url takes an http or https address, such as https://opssight.example.org/webhook."
        )
    body = _payload(options)
    delivery = str(uuid.uuid4())
    headers = {
        "Content-Type": "application/json",
        "X-GitHub-Event": "pull_request",
        "X-GitHub-Delivery": delivery,
    }
    if options["secret"]:
        headers["X-Hub-Signature-256"] = signature(secret_from(options["secret"], say), body)
    if options["dry_run"]:
        document = {"sent": False, "delivery": delivery, "payload": json.loads(body)}
        return Answer(document, body.decode("utf-8", "replace"))
    sender = Network().client(access.anywhere(), timeout=env.http_seconds, max_bytes=_MOST)
    status, answer = posted(sender, options["url"], body, headers)
    text = "".join(char if char.isprintable() else " " for char in answer.decode("utf-8", "replace"))[:500]
    document = {"sent": True, "delivery": delivery, "status": status, "answer": text}
    meaning = (
        "" if status != 204 else " It is passed over: no rule follows it, or it is no merged pull request."
    )
    sentence = f"It answers {status}{': ' if text else '.'}{text}{meaning}"
    return Answer(document, sentence) if status < 400 else Answer(document, failed=[sentence])


def _payload(options: dict[str, Any]) -> bytes:
    if options["payload"]:
        data = read(options["payload"])
        try:
            found = json.loads(data)
        except (ValueError, RecursionError):
            raise InvalidInput(f"{options['payload']} is not JSON.") from None
        if not isinstance(found, dict):
            raise InvalidInput(f"{options['payload']} is not a JSON object, as a delivery is.")
        return data
    if not (options["pr"] and options["owner"] and options["repo_name"]):
        raise InvalidInput("Give --pr, --owner and --repo, or a delivery with --payload FILE.")
    return json.dumps(_merged(options)).encode()


def _merged(options: dict[str, Any]) -> dict[str, Any]:
    """A merged pull request, with what a receiver looks at.

    Without addresses: a server of one's own would not be the github.com that they name.
    """
    name = f"{options['owner']}/{options['repo_name']}"
    number = options["pr"]
    return {
        "action": "closed",
        "number": number,
        "pull_request": {
            "number": number,
            "state": "closed",
            "merged": True,
            "title": f"Pull request {number}",
            "merge_commit_sha": options["commit"] or _NO_COMMIT,
            "base": {"ref": options["branch"], "repo": {"full_name": name}},
            "head": {"ref": "change", "sha": options["commit"] or _NO_COMMIT},
            "user": {"login": options["owner"]},
        },
        "repository": {
            "name": options["repo_name"],
            "full_name": name,
            "owner": {"login": options["owner"]},
            "default_branch": options["branch"],
        },
        "sender": {"login": options["owner"]},
    }

"""What the tests of this room's pages share."""

from __future__ import annotations

import html
import re
from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from repos import beside


def page(client: Client, name: str, *args: Any, **query: str) -> str:
    """What the page says, in words: tags and white space aside."""
    answer = client.get(reverse(name, args=args), query)
    assert answer.status_code == 200
    return words(answer.content)


def words(content: bytes) -> str:
    text = content.decode()
    main = text.partition('id="main"')[2] or text
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", main)).split())


def said(answer: Any) -> list[str]:
    """The messages on the page that a POST led to."""
    return [str(message) for message in answer.context["messages"]]


def queries(client: Client, url: str) -> int:
    with CaptureQueriesContext(connection) as asked:
        assert client.get(url).status_code == 200
    return len(asked)


def wait() -> None:
    """Until everything that pages asked beside themselves is answered."""
    for task in list(beside._tasks.values()):
        task.future.exception(timeout=30)


def settle() -> None:
    """Wait for the answers and forget them, so that everything is asked anew."""
    wait()
    beside._tasks.clear()

"""The page of found repositories: what its head, its rows and its foot say under filters."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from repos.models import Connection
from tests.factories import make_connection, make_repository
from tests.repos.found import remember, remote
from tests.repos.pages import page, words
from tests.syncs.runs import signed_in

pytestmark = pytest.mark.django_db
NAMES = ["acme/api", "acme/site", "acme/shop", "acme/docs", "acme/old", "acme/try"]


@pytest.fixture
def seen() -> tuple[Client, Connection]:
    """Six were found, two of them are here."""
    client, team = signed_in()
    connection = make_connection(team, name="Team git")
    remember(connection, *(remote(name, visibility="public") for name in NAMES))
    for name in NAMES[4:]:
        make_repository(connection, name, external_id=name)
    return client, connection


def shown(seen: tuple[Client, Connection], **query: str) -> str:
    client, connection = seen
    return page(client, "connection_found", connection.pk, **query)


def test_the_head_counts_what_is_shown(seen: tuple[Client, Connection]) -> None:
    assert "6 found 4 not here yet" in shown(seen)
    narrowed = shown(seen, include="^acme/(api|old)$")
    assert "2 of 6 fit 1 not here yet" in narrowed
    assert "6 found" not in narrowed
    assert "1 of 6 fits 0 not here yet" in shown(seen, include="^acme/old$")


def test_where_nothing_fits_it_says_no_more_than_that(seen: tuple[Client, Connection]) -> None:
    text = shown(seen, include="^nothing$")
    assert "0 of 6 fit" in text
    assert "Nothing fits. Show all" in text
    for wrong in ("All that fits is here", "See them", "not here yet as of"):
        assert wrong not in text


@pytest.mark.parametrize(
    ("query", "button"),
    [
        ({}, "Import all 4 Import what"),
        ({"include": "acme/(api|site)"}, "Import all 2 that fit"),
        ({"include": "acme/api"}, "Import it Import what"),
    ],
)
def test_the_button_says_what_it_imports(
    seen: tuple[Client, Connection], query: dict[str, str], button: str
) -> None:
    assert button in shown(seen, **query)


def test_filters_that_cannot_be_read_leave_the_whole_list_counted(seen: tuple[Client, Connection]) -> None:
    assert "6 found 4 not here yet" in shown(seen, include="(")


def test_name_and_tags_are_one_line_in_every_row(seen: tuple[Client, Connection]) -> None:
    client, connection = seen
    answer: Any = client.get(reverse("connection_found", args=[connection.pk]))
    text = answer.content.decode()
    rows = text.split('<div class="pick-line">')[1:]
    assert len(rows) == len(NAMES)
    for row in rows:  # those with a tick, and those that are here
        assert "public" in words(row.partition("</div>")[0].encode())

"""Narrowing what a connection sees, and picking from it on the page."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from opssight.accounts.models import Team
from opssight.core.errors import InvalidInput
from repos import discovery
from repos.filters import Filters, owners
from repos.models import Repository
from tests.factories import make_connection, make_repository
from tests.repos.found import ALL, names, remember, remote
from tests.repos.pages import page, queries, said, settle
from tests.syncs.runs import signed_in

pytestmark = pytest.mark.django_db(transaction=True)

# --- filters -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "fits"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"search": "api ACME"}, [0, 1]),
        ({"owner": "acme"}, [0, 1]),
        ({"owner": "acme/labs/"}, [1]),
        ({"owner": "zeta"}, [3]),
        ({"visibility": "public"}, [1]),
        ({"archived": "no"}, [0, 1, 3, 4]),
        ({"archived": True}, [2]),
        ({"fork": "false"}, [0, 2, 3, 4]),
        ({"topic": "core"}, [0]),
        ({"language": "GO"}, [0, 2]),
        ({"pushed_since": "2026-03-01"}, [2, 3]),
        ({"pushed_since": "2026-03-02"}, [3]),
        ({"include": "^acme/"}, [0, 1]),
        ({"include": "labs", "exclude": "deep"}, [1]),
        ({"state": "imported"}, [0]),
        ({"state": "new", "owner": "acme"}, [1]),
        ({"search": "nothing", "page": "7", "again": "yes"}, []),
    ],
)
def test_filters_narrow(team: Team, given: dict[str, Any], fits: list[int]) -> None:
    connection = make_connection(team)
    make_repository(connection, "acme/api", external_id="acme/api")
    remember(connection, *ALL)
    listing = discovery.stored(connection)
    assert listing is not None
    filters = Filters.read(given)
    assert sorted(names(listing.fitting(filters))) == sorted(ALL[number].full_name for number in fits)
    assert Filters.read(filters.as_json()) == filters
    assert filters.words


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"include": "(["}, "include"),
        ({"exclude": "(?P<a"}, "exclude"),
        ({"include": "a{1000}{1000}"}, "include"),
        ({"include": "(?=x)"}, "include"),
        ({"include": "\ud800"}, "include"),
        ({"search": "x" * 401}, "search"),
        ({"search": "a\0b"}, "search"),
        ({"topic": ["web"]}, "topic"),
        ({"visibility": "secret"}, "visibility"),
        ({"archived": "maybe"}, "archived"),
        ({"pushed_since": "yesterday"}, "pushed_since"),
        ({"pushed_since": 20260101}, "pushed_since"),
    ],
)
def test_a_filter_that_does_not_fit_is_named(given: dict[str, Any], where: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Filters.read(given)
    assert [field for field, _ in refused.value.problems] == [where]
    assert refused.value.sentence.endswith(".")


def test_a_pattern_that_takes_other_engines_for_ever_ends() -> None:
    fits = Filters.read({"include": "(a+)+$"}).matcher()
    assert not fits(remote("a" * 390 + "/b!"), False)


def test_the_tree_counts_what_is_inside() -> None:
    assert list(owners(ALL).items()) == [
        ("acme", 2),
        ("acme/labs", 1),
        ("acme-2", 1),
        ("zeta", 1),
        ("zeta/labs", 1),
        ("zeta/labs/deep", 1),
    ]


# --- the page ------------------------------------------------------------------------------------------


def test_five_thousand_are_paged_and_cost_as_many_queries_as_five() -> None:
    client, team = signed_in()
    connection = make_connection(team, name="Big")
    url = reverse("connection_found", args=[connection.pk])
    remember(connection, *(remote(f"org{n % 40}/team{n % 3}/r{n}", topics=("a",)) for n in range(5)))
    client.get(url)  # the first request of a session asks for more
    few = queries(client, url)
    remember(connection, *(remote(f"org{n % 40}/team{n % 3}/r{n:04}", topics=("a",)) for n in range(5_000)))
    assert queries(client, url) == few
    text = page(client, "connection_found", connection.pk)
    assert "5,000 found 5,000 not here yet as of " in text
    assert "1 to 100 of 5,000 repositories" in text
    text = page(client, "connection_found", connection.pk, owner="org7", include="[0-4]7$", page="2")
    assert "org7 75" in text
    assert "Import all 75 that fit" in text


def test_all_that_fit_are_what_was_looked_at() -> None:
    client, team = signed_in()
    connection = make_connection(team)
    remember(connection, remote("a/one"), remote("a/two"), remote("b/three"), remote("a/bad", usable=False))
    url = reverse("connection_found", args=[connection.pk])
    token = client.get(url, {"owner": "a"}).context["seen"].token
    remember(connection, remote("a/one"), remote("a/two"), remote("a/more"), remote("b/three"))
    [sentence] = said(client.post(url, {"owner": "a", "all": "1", "token": token}, follow=True))
    assert sentence.startswith("The list has changed: 3 repositories would be imported now.")
    assert not Repository.objects.exists()
    token = client.get(url, {"owner": "a"}).context["seen"].token
    [sentence] = said(client.post(url, {"owner": "a", "all": "1", "token": token}, follow=True))
    assert sentence == "3 repositories imported. Nothing starts by itself."
    assert sorted(Repository.objects.values_list("full_name", flat=True)) == ["a/more", "a/one", "a/two"]
    settle()


def test_names_of_strangers_stay_text() -> None:
    client, team = signed_in()
    connection = make_connection(team)
    bad = ["<script>alert(1)</script>/x", 'a"onmouseover="x/y', "javascript:alert(1)/z", "../../etc/passwd"]
    remember(connection, *(remote(name, description=name, language=name, topics=(name,)) for name in bad))
    answer = client.get(reverse("connection_found", args=[connection.pk]), {"owner": "<script>"})
    assert answer.status_code == 200
    answer = client.get(reverse("connection_found", args=[connection.pk]))
    assert b"<script>alert" not in answer.content
    assert b'"onmouseover="' not in answer.content
    assert b'href="javascript' not in answer.content


@pytest.mark.parametrize("query", [{"include": "(["}, {"pushed_since": "x"}, {"visibility": "\x00"}])
def test_filters_that_do_not_fit_are_said_and_bring_in_nothing(query: dict[str, str]) -> None:
    client, team = signed_in()
    connection = make_connection(team)
    remember(connection, remote("a/one"))
    text = page(client, "connection_found", connection.pk, **query)
    assert "must be" in text or "cannot be read" in text
    assert "Import" not in text.partition("Imported")[0]
    url = reverse("connection_found", args=[connection.pk])
    assert client.post(url, {**query, "all": "1"}).status_code == 302
    assert not Repository.objects.exists()

"""Repositories by what a person types."""

from __future__ import annotations

import pytest

from opssight.core.errors import NotFound
from repos.models import Repository
from repos.selectors import named, repository_named
from tests.factories import make_connection, make_repository, make_team, make_user

pytestmark = pytest.mark.django_db


def test_by_id_by_name_and_by_connection() -> None:
    team = make_team(make_user())
    here, there = make_connection(team, name="Here"), make_connection(team, name="A: b")
    one, two = make_repository(here, "acme/site"), make_repository(there, "acme/site")
    alone = make_repository(here, "acme/alone")
    rows = Repository.objects.all()

    assert repository_named(rows, "acme/alone") == alone
    for row in (one, two):
        assert repository_named(rows, str(row.pk)) == row
        assert repository_named(rows, row.qualified_name) == row
    assert two.qualified_name == "A: b:acme/site"
    assert repository_named(rows, "acme/gone") is None
    assert repository_named(rows, "Here:acme/gone") is None
    assert repository_named(rows.exclude(pk=two.pk), "acme/site") == one

    meant = rows.filter(named(["acme/alone", str(one.pk), "A: b:acme/site", "Here:acme/gone"]))
    assert {*meant} == {alone, one, two}
    assert {*rows.filter(named(["A: b:acme/site"]))} == {two}
    assert not rows.filter(named([]))


def test_a_name_that_several_have_is_not_guessed() -> None:
    team = make_team(make_user())
    for name in ("GitHub", "GitLab"):
        make_repository(make_connection(team, name=name), "acme/site")

    with pytest.raises(NotFound) as caught:
        repository_named(Repository.objects.all(), "acme/site")

    assert caught.value.sentence == (
        "Several repositories are called 'acme/site'. "
        "Write GitHub:acme/site or GitLab:acme/site, whichever you mean."
    )


def test_connections_of_one_name_leave_the_ids() -> None:
    rows = [make_repository(make_connection(make_team(make_user()), name="Git"), "a/b") for _ in range(2)]

    with pytest.raises(NotFound) as caught:
        repository_named(Repository.objects.all(), "a/b")

    assert f"{rows[0].pk} or {rows[1].pk}" in caught.value.sentence


def test_a_name_that_looks_like_one_with_its_connection_leaves_the_ids() -> None:
    team = make_team(make_user())
    one = make_repository(make_connection(team, name="GitHub"), "acme/docs")
    two = make_repository(make_connection(team, name="Odd"), "GitHub:acme/docs")

    with pytest.raises(NotFound) as caught:
        repository_named(Repository.objects.all(), "GitHub:acme/docs")

    assert f"Write {one.pk} or {two.pk}," in caught.value.sentence


def test_what_no_database_takes_names_nothing() -> None:
    assert repository_named(Repository.objects.all(), "acme\0/docs") is None

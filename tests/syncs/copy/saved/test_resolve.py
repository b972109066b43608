from __future__ import annotations

import pytest

from opssight.accounts.scope import Principal
from opssight.core.errors import InvalidInput
from repos.models import Repository
from syncs.copy.rules.config import CopyConfig, Target
from syncs.copy.rules.rule import Rule
from syncs.copy.saved.service import resolve_rule
from tests.factories import make_connection, make_repository, make_team, make_user

pytestmark = pytest.mark.django_db


def config(source: str, target: str) -> CopyConfig:
    return CopyConfig(
        name="docs",
        source_repository=source,
        source_branch="main",
        rules=(Rule("glob", "**", "${path}"),),
        targets=(Target(target, "main"),),
    )


def test_repositories_are_found_by_name_and_by_id() -> None:
    user = make_user()
    connection = make_connection(make_team(user))
    source, target = (make_repository(connection, name) for name in ("a/source", "a/target"))

    found = resolve_rule(Principal.of_user(user), config("a/source", str(target.pk)))

    assert (found.source_repository, found.targets[0].repository) == (str(source.pk), str(target.pk))


def test_a_name_that_several_repositories_have_is_not_guessed() -> None:
    user = make_user()
    team = make_team(user)
    for name in ("GitHub", "GitLab"):
        make_repository(make_connection(team, name=name), "a/source")
    target = make_repository(make_connection(team), "a/target")

    found = resolve_rule(Principal.of_user(user), config("GitLab:a/source", "a/target"))
    with pytest.raises(InvalidInput) as caught:
        resolve_rule(Principal.of_user(user), config("a/source", "a/gone"))

    assert dict(caught.value.problems) == {
        "source.repository": (
            "Several repositories are called 'a/source'. "
            "Write GitHub:a/source or GitLab:a/source, whichever you mean."
        ),
        "targets[0].repository": "There is no repository 'a/gone' that you may write to.",
    }
    assert Repository.objects.get(pk=found.source_repository).connection.name == "GitLab"
    assert found.targets[0].repository == str(target.pk)

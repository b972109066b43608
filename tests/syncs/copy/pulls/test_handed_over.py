"""Pull requests that were handed over to the forge to be merged, until a person pushed to their branch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from syncs.models import ItemState
from tests.syncs.copy.story import Story, World

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.http_git]

NATIVE = [("github", "auto_merge"), ("gitlab", "merge_when_pipeline_succeeds"), ("gitea", "scheduled")]


@contextmanager
def handed_over(world: World, kind: str, **options: Any) -> Iterator[tuple[Story, dict[str, Any]]]:
    """The forge is to merge it, and a person pushed to its branch then; it as the forge has it."""
    with world.story(kind) as told:
        told.source.commit({b"docs/a.md": b"a\\n"})
        told.item()
        [pull] = told.pulls()
        told.at.forge.prepare_auto_merge(told.at.repo(), pull.head)
        told.client.auto_merge(told.site, pull.number, "merge")
        told.change(auto_merge=True, **options)
        told.target.commit({b"mine.md": b"mine"}, branch=pull.head)
        yield told, told.at.repo().pulls[pull.number]


@pytest.mark.parametrize(("kind", "flag"), NATIVE)
@pytest.mark.parametrize("others", ["append", "hold"])
def test_a_run_takes_it_back_when_a_person_pushed(world: World, kind: str, flag: str, others: str) -> None:
    with handed_over(world, kind, others_commits=others) as (told, pull):
        assert pull[flag]
        told.source.commit({b"docs/b.md": b"b\\n"})
        item = told.item()
        assert item.state == (ItemState.DONE if others == "append" else ItemState.CONFLICT)
        said = f"{told.client.label} was to merge it by itself; that is switched off."
        assert item.sentence.endswith(said)
        assert not pull[flag]
        assert said not in told.item().sentence


@pytest.mark.parametrize(("kind", "flag"), NATIVE)
def test_a_look_takes_it_back_when_a_person_pushed(world: World, kind: str, flag: str) -> None:
    with handed_over(world, kind) as (told, pull):
        item = told.item(look=True)
        assert item.state == ItemState.CONFLICT
        assert (
            "has commits of others, so it is not merged by itself. Look at it, and merge it." in item.sentence
        )
        assert item.sentence.endswith("that is switched off.")
        assert not pull[flag]


def test_a_forge_that_refuses_to_take_it_back_is_told(world: World) -> None:
    with handed_over(world, "gitea") as (told, pull):
        told.at.forge.refuse_cancelling = True
        item = told.item(look=True)
        assert "Gitea or Forgejo may still merge it by itself." in item.sentence
        assert item.sentence.endswith("Switch that off there.")
        assert pull["scheduled"]

"""A pull request of the source is looked at as if it was merged, on every forge."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from repos import access
from repos.providers.forge import NewPull
from syncs.copy.preview.diff import file_diff
from syncs.copy.preview.moment import Moment, moment, origin_at
from syncs.copy.preview.preview import Preview, preview
from syncs.copy.rules.file_config import read_version
from syncs.copy.rules.options import Options, Transform
from tests.repos.forges import STANDINS
from tests.syncs.copy.story import Story, World

pytestmark = pytest.mark.django_db(transaction=True)


def ready(look: Callable[[], Moment], onto: str | None = None) -> Moment:
    """What `look` answers, once nothing is on its way any more, and the source branch is at `onto` here."""
    ends = time.monotonic() + 20
    while time.monotonic() < ends:
        found = look()
        if not found.fetching and onto in (None, found.onto):
            return found
        time.sleep(0.05)
    raise AssertionError("the source was not fetched in time")


@pytest.mark.parametrize("kind", sorted(STANDINS))
def test_what_a_pull_request_would_bring(kind: str, world: World) -> None:
    with world.story(kind) as told:
        fork = told.source.commit({b"docs/a.md": b"a", b"docs/b.md": b"b"})
        told.source.git("branch", "feature", fork)
        head = told.source.commit({b"docs/new.md": b"n", b"docs/b.md": None}, branch="feature")
        told.source.commit({b"docs/later.md": b"l"})
        row = told.at.row("acme/docs")
        pull = told.client.open_pull(row.external_id, NewPull("feature", "main", "Something new"))

        found = ready(lambda: moment(row, "main", pull=f"#{pull.number}"), told.source.oid("main"))

        assert (found.sentence, found.oid, found.url) == ("", head, pull.url)
        assert found.title == f"pull request {pull.number}: Something new"
        files = origin_at(access.store_of(row), found).files()
        assert {path for path in files if path.startswith(b"docs/")} == {
            b"docs/a.md",
            b"docs/later.md",
            b"docs/new.md",
        }
        wrong = ready(lambda: moment(row, "main", pull="999"))
        assert wrong.oid == ""
        assert wrong.sentence
        plans = ready_plan(told, str(pull.number))
        assert b"copied/new.md" in plans
        assert b"copied/b.md" not in plans


def test_its_number_is_in_the_contents_as_it_will_be(world: World) -> None:
    with world.story("gitea", Options(transforms=(Transform("variables"),))) as told:
        told.source.git("branch", "feature", told.source.oid("main"))
        told.source.commit({b"docs/new.md": b"by ${pr_number}\n"}, branch="feature")
        row = told.at.row("acme/docs")
        pull = told.client.open_pull(row.external_id, NewPull("feature", "main", "Something new"))
        [target] = ready_preview(told, str(pull.number)).targets
        assert file_diff(target, b"copied/new.md").lines[-1] == f"+by {pull.number}"


def ready_plan(told: Story, pull: str) -> set[bytes]:
    """The paths that the rule would write for the pull request."""
    targets = ready_preview(told, pull).targets
    return {write.path for one in targets if one.plan for write in one.plan.writes}


def ready_preview(told: Story, pull: str) -> Preview:
    assert told.job.version is not None
    config = read_version(told.job.version.config)
    ends = time.monotonic() + 20
    while time.monotonic() < ends:
        found = preview(told.at.principal, config, told.job, pull=pull)
        if not found.fetching and all(one.plan for one in found.targets):
            return found
        time.sleep(0.05)
    raise AssertionError([one.sentence for one in found.targets])

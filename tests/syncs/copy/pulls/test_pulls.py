"""Pull requests of a rule, at every kind of forge: real git, and the API as the original speaks it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from repos.providers.types import Capability, PullState
from syncs.copy.rules.options import Deletions
from syncs.copy.saved.service import update_rule
from syncs.models import ItemState
from tests.repos.forges import STANDINS
from tests.syncs.copy.story import Story, World, pull_options, rule_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.http_git]

FILES = {
    b"docs/a.md": b"a\n",
    b"docs/run.sh": b"#!/bin/sh\n",
    b"docs/link": b"a.md",
    b"docs/bin": bytes(range(256)) * 20,
    b"docs/crlf.txt": b"one\r\ntwo\r\n",
    b"other.txt": b"not taken\n",
}
MODES = {b"docs/run.sh": "100755", b"docs/link": "120000"}


@pytest.fixture(params=sorted(STANDINS))
def told(request: pytest.FixtureRequest, world: World) -> Iterator[Story]:
    with world.story(request.param) as made:
        yield made


def test_from_the_first_change_to_the_last(told: Story) -> None:
    """Opened, brought up to date, merged, opened anew, and closed when nothing is left of it."""
    base = told.target.oid("main")
    told.source.commit(FILES, modes=MODES)
    item = told.item()
    [pull] = told.pulls()
    assert (item.state, item.sentence) == ("done", f"5 files written in pull request #{pull.number}.")
    assert item.result["pull_request"] == {"number": pull.number, "url": pull.url, "state": "open"}
    assert (pull.title, pull.base) == ("Bring 5 files", "main")
    assert pull.head == told.branch == item.result["branch"]
    assert pull.head.startswith("opssight/docs-to-site-")
    assert pull.body == "Automated update of 5 file(s) from acme/docs"
    here = told.tree("main", "acme/docs")
    there = told.tree(pull.head)
    assert there.pop("index.html")
    taken = {path.decode(): here[path.decode()] for path in FILES if path.startswith(b"docs/")}
    assert there == {path.replace("docs/", "copied/"): entry for path, entry in taken.items()}
    assert told.target.oid("main") == base
    assert told.target.oid(f"{pull.head}^") == base
    assert item.result["commit"] == told.target.oid(pull.head)
    message = told.target.git("log", "-1", "--format=%B", pull.head)
    assert message.startswith("Bring 5 files\n\nAs they are.\n\nOpsSight-Source: acme/docs@")

    told.source.commit({b"docs/a.md": b"newer\n", b"docs/link": None})
    item = told.item()
    assert [one.number for one in told.pulls()] == [pull.number]
    assert told.text("copied/a.md", pull.head) == "newer"
    assert told.target.oid(f"{pull.head}^") == base, "one commit"
    assert item.state == ItemState.DONE

    told.asked()
    item = told.item()
    assert (item.state, item.sentence) == ("skipped", f"Pull request #{pull.number} has it already.")
    assert {line.split(" ")[0] for line in told.asked()} <= {"GET"}

    assert told.merge().state == PullState.MERGED
    assert told.item().sentence.startswith("No changed file matches the rule.")
    assert not told.target.oid(f"refs/heads/{pull.head}"), "what was merged is deleted"
    assert told.state.source_oid == told.source.oid("main")

    told.source.commit({b"docs/a.md": b"newest\n"})
    told.item()
    [newer] = told.pulls()
    assert newer.number != pull.number
    assert newer.head == pull.head

    told.source.commit({b"docs/a.md": b"newer\n"})
    item = told.item()
    assert item.sentence == f"Pull request #{newer.number} is closed: nothing of it is missing in main."
    assert told.pulls() == []
    assert told.client.pull(told.site, newer.number).state == PullState.CLOSED
    assert "OpsSight closed this" in told.client.pull(told.site, newer.number).body
    assert list(told.target.refs()) == [ref for ref in told.target.refs() if "opssight/" not in ref]


def test_commits_of_people_survive(told: Story) -> None:
    """Ours go on top of theirs; what they made of our files stays, and all of it is merged as one."""
    told.source.commit({b"docs/a.md": b"a\n", b"docs/b.md": b"b\n"})
    told.item()
    [pull] = told.pulls()
    theirs = told.target.commit({b"copied/a.md": b"better\n", b"more.md": b"more\n"}, branch=pull.head)

    told.source.commit({b"docs/b.md": b"newer\n"})
    item = told.item()
    assert [one.number for one in told.pulls()] == [pull.number]
    assert told.target.oid(f"{pull.head}^") == theirs
    assert told.text("copied/a.md", pull.head) == "better"
    assert told.text("copied/b.md", pull.head) == "newer"
    assert told.text("more.md", pull.head) == "more"
    assert "The branch has commits of Ada; ours is on top of them." in item.sentence
    assert "1 file stays as Ada made it there." in item.sentence
    assert item.result["kept"] == ["copied/a.md"]

    told.merge("squash")
    assert told.item().state == ItemState.SKIPPED
    assert told.text("copied/a.md") == "better"
    assert told.state.proposed_oid == ""
    assert told.pulls() == []


def test_what_the_forge_cannot_do_is_left_out_and_said(told: Story) -> None:
    told.change(draft=True, labels=("docs",), reviewers=("bea",), assignees=("bea",))
    if told.at.connection.provider in ("gitea", "gitlab"):
        told.at.forge.add_token("a-token-of-bea-0123456789", "bea")  # others know her by themselves
    told.source.commit({b"docs/a.md": b"a\n"})
    item = told.item()
    [pull] = told.pulls()
    offered = told.client.capabilities
    assert (pull.draft, pull.title) == (True, "Bring 1 files")
    assert pull.labels == (("docs",) if Capability.LABELS in offered else ())
    for capability, words in ((Capability.LABELS, "labels"), (Capability.ASSIGNEES, "assignees")):
        assert (f"has no {words} for pull requests" in item.sentence) is (capability not in offered)
    told.asked()
    told.source.commit({b"docs/a.md": b"b\n"})
    told.item()
    assert [one.draft for one in told.pulls()] == [True]


def test_deletions_are_carried(told: Story) -> None:
    """A file that the rule wrote goes in a pull request of its own; one that somebody edited since stays."""
    options = replace(pull_options(), deletions=Deletions("delete"))
    told.job, _ = update_rule(told.at.principal, told.job, rule_of(told.at, options, told.job.name))
    told.source.commit({b"docs/a.md": b"a\n", b"docs/b.md": b"b\n", b"docs/c.md": b"c\n"})
    told.item()
    told.merge()
    told.item()
    told.target.commit({b"copied/b.md": b"edited\n"})
    told.source.commit({b"docs/a.md": None, b"docs/b.md": None})
    item = told.item()
    assert (item.result["files"], item.result["deletes"]) == (0, 1)
    [pull] = told.pulls()
    assert item.sentence.startswith(f"1 file deleted in pull request #{pull.number}.")
    told.merge()
    told.item()
    assert set(told.tree()) == {"index.html", "copied/b.md", "copied/c.md"}

"""From signing in to files at the target, in a real browser against a real installation."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.chaos.world import World, git
from tests.e2e.browsing import SECONDS, accessible, sign_in
from tests.instance import Instance

pytestmark = pytest.mark.browser

CONNECT = """
import django
django.setup()
from opssight.accounts.local import local_principal, local_team
from repos.connections import create_connection
from repos.inventory import import_repositories
team = local_team()
who = local_principal(team)
connection = create_connection(who, team, "folder", "served", {{"root": {root!r}}}, {{}}, local=True)
import_repositories(who, connection)
"""


def test_a_rule_is_written_seen_saved_and_run(page: Page, instance: Instance, tmp_path: Path) -> None:
    world = World(tmp_path / "world")
    world.commit("source", {"docs/a.md": "a\n", "docs/deep/b.md": "b\n", "docs/tests/t.md": "t\n"})
    world.commit("target", {"copied/a.md": "old\n"})
    email, password = instance.prepare()
    instance.python(CONNECT.format(root=str(world.served)))
    web = instance.start("web")
    instance.start("worker")
    sign_in(page, web.url, email, password, "/copy/")
    expect(page.get_by_role("heading", name="When files change here, change them there")).to_be_visible()
    accessible(page)

    page.get_by_role("link", name="Make a copy rule").click()
    page.wait_for_url("**/copy/new/")
    accessible(page)
    write_rule(page)
    expect(page.locator("#plan-line")).to_contain_text("2 of 4 files match", timeout=SECONDS)
    see_the_plan(page)
    accessible(page)
    choose_what_starts_it(page)

    page.get_by_role("button", name="Save and copy now").click()
    page.wait_for_url("**/runs/*/")
    expect(page.get_by_role("heading", level=1)).to_contain_text(
        "Copied 2 files to 1 of 1 target", timeout=SECONDS
    )
    accessible(page)
    tree = git(world.served / "target", "ls-tree", "-r", "--name-only", "main").split()
    assert tree == ["README.md", "copied/a.md", "copied/deep/b.md"]
    assert world.text("target", "copied/a.md") == "a\n"

    page.goto(f"{web.url}/copy/")
    expect(page.get_by_role("row", name="docs everywhere")).to_contain_text("at HEAD")
    accessible(page)
    page.get_by_role("link", name="docs everywhere").click()
    expect(page.locator("#save")).to_contain_text("Saving changes nothing that is copied", timeout=SECONDS)
    parts = page.get_by_label("Parts of the rule")
    for tab in ("YAML", "Versions 1", "Runs", "Settings"):
        parts.get_by_text(tab, exact=True).click()
        expect(parts.locator("[aria-current]")).to_have_text(tab, timeout=SECONDS)
        accessible(page)


def write_rule(page: Page) -> None:
    page.get_by_label("Name", exact=True).fill("docs everywhere")
    page.get_by_label("Repository", exact=True).fill("source")
    page.get_by_label("Repository of target 1").fill("target")
    page.get_by_label("Take these files, rule 1").fill("docs/**")
    page.get_by_label("Put them here, rule 1").fill("copied/${relative_path}")
    page.get_by_label("But not, rule 1").fill("**/tests/**")


def choose_what_starts_it(page: Page) -> None:
    """Tags beside pushes; a glob that cannot be read is said at its field, and a phone has room for it."""
    page.locator("#arrives > summary").click()
    tags = page.get_by_label("Tags that fit")
    expect(tags).to_be_hidden()
    page.get_by_label("A tag").check()
    tags.fill("[")
    expect(page.locator("#tags-note")).to_contain_text("not closed", timeout=SECONDS)
    expect(page.get_by_role("button", name="Save, from the next push or tag on")).to_be_visible()
    accessible(page)
    page.set_viewport_size({"width": 390, "height": 844})
    accessible(page)
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not page.evaluate(wide)
    page.set_viewport_size({"width": 1440, "height": 1050})
    tags.fill("v*")
    expect(page.locator("#tags-note")).to_be_empty(timeout=SECONDS)
    expect(page.locator("#arrives-line")).to_have_text("After a push or tag, as a commit on the branch")


def see_the_plan(page: Page) -> None:
    """Both trees, the difference of a file, why another is left out; and by keys alone."""
    target = page.get_by_role("group", name="Files of the target after copying")
    expect(target.get_by_role("button", name="a.md")).to_be_visible(timeout=SECONDS)
    expect(page.locator("#save")).to_contain_text("Copying now writes 2 files at 1 target")
    target.get_by_role("button", name="a.md").click()
    expect(page.get_by_role("region", name="copied/a.md")).to_contain_text("old")
    expect(target.get_by_role("button", name="a.md")).to_be_focused()

    source = page.get_by_role("group", name="Files of the source")
    source.locator("summary", has_text="tests").press("ArrowRight")
    left_out = source.get_by_role("button", name="t.md")
    expect(left_out).to_be_visible()
    left_out.press("Enter")
    expect(page.get_by_label("What each rule says")).to_contain_text("Would take it, but leaves it out")
    expect(left_out).to_be_focused()
    expect(left_out).to_be_visible()  # the folder stays open over a new plan
    pattern = page.get_by_label("Take these files, rule 1")
    pattern.press("End")
    pattern.press_sequentially("x")
    expect(page.locator("#plan-line")).to_contain_text("0 of 4 files match")
    expect(pattern).to_be_focused()
    pattern.press("Backspace")
    page.get_by_role("button", name="Target", exact=True).click()  # at once: typing must not undo it
    second = page.get_by_label("Repository of target 2")
    expect(second).to_be_focused()
    page.get_by_role("button", name="Remove target 2").click()
    expect(second).to_have_count(0)
    expect(page.locator("#plan-line")).to_contain_text("2 of 4 files match")

"""A copier's file in a real browser: imported, followed over pushes, good ones and broken ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.chaos.world import World
from tests.e2e.browsing import SECONDS, accessible, sign_in
from tests.e2e.test_copy_rule import CONNECT
from tests.instance import Instance
from tests.repos.git.work import Bare

pytestmark = pytest.mark.browser

FILE = """
workflows:
- name: docs to target
  source: {repo: source, branch: main}
  destination: {repo: target, branch: main}
  commit_strategy: {type: direct}
  transformations:
  - move: {from: docs, to: %s}
"""


def test_a_file_is_imported_and_followed(page: Page, instance: Instance, tmp_path: Path) -> None:
    world = World(tmp_path / "world")
    world.commit("source", {"docs/a.md": "a\n"})
    world.commit("target", {"copied/a.md": "old\n"})
    config = Bare(world.served / "config")
    config.commit({b".copier/main.yaml": (FILE % "copied").encode()})
    email, password = instance.prepare()
    instance.python(CONNECT.format(root=str(world.served)))
    web = instance.start("web")
    instance.start("worker")
    sign_in(page, web.url, email, password, "/copy/import/")
    accessible(page)

    page.get_by_label("Repository", exact=True).fill("config")
    page.get_by_label("Path").fill(".copier/main.yaml")
    page.get_by_role("button", name="Read it").click()
    made = page.get_by_role("region", name="It makes 1 rule")
    expect(made).to_contain_text("~1 changed", timeout=SECONDS)
    accessible(page)
    page.get_by_label("Name").fill("our copier")
    page.get_by_role("button", name="Import the file").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("our copier")
    expect(page.get_by_text("version 1 is in force")).to_be_visible()
    accessible(page)

    address = page.url
    follows(page, config, FILE % "elsewhere", "version 2 is in force")
    follows(page, config, "workflows: [", "The newest file is not in force")
    accessible(page)

    page.get_by_role("link", name="our copier: source").click()
    expect(page.get_by_text("Made from")).to_contain_text("and it follows")
    accessible(page)
    page.get_by_role("link", name="Preview").click()
    expect(page.get_by_text("Nothing would change here.")).to_be_visible(timeout=SECONDS)
    page.goto(f"{page.url}?whole=1&path=docs/a.md")
    page.locator(".plan-files summary", has_text="elsewhere/a.md").click()
    expect(page.locator(".plan-files .code, .plan-files pre").first).to_contain_text("a", timeout=SECONDS)
    expect(page.get_by_text("Takes it to elsewhere/a.md.")).to_be_visible()
    accessible(page)

    page.goto(f"{address}?version=1")
    page.get_by_role("button", name="Make version 1 current").click()
    expect(page.get_by_text("version 3 is in force")).to_be_visible()


def follows(page: Page, config: Bare, text: str, said: str) -> None:
    """A commit, found by looking again; the page tells."""
    config.commit({b".copier/main.yaml": text.encode()})
    page.get_by_role("button", name="Read it again").click()
    for _ in range(60):
        page.wait_for_timeout(500)
        page.reload()
        if said in page.locator("main").inner_text():
            return
    raise AssertionError(f"the page never said {said!r}")

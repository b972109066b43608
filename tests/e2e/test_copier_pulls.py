"""A copier's file with three sources in a real browser: pasted, seen, imported, run to a pull request at the
stand-in of GitHub, set to shadow and rolled back.
"""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.browsing import SECONDS, accessible, sign_in
from tests.e2e.worlds import World, push, until

pytestmark = [pytest.mark.browser, pytest.mark.http_git]

FILE = """\
defaults:
  commit_strategy: {type: pull_request, pr_title: "Examples of ${source_repo}"}
sources:
- repo: acme/api
  copy_rules:
  - name: pages
    source_pattern: {type: prefix, pattern: docs/}
    targets: [{repo: acme/website, path_transform: "api/${relative_path}"}]
  - name: readme
    source_pattern: {type: glob, pattern: "README.*"}
    targets: [{repo: acme/website, path_transform: "api/${filename}"}]
- repo: acme/handbook
  copy_rules:
  - name: handbook
    source_pattern: {type: regex, pattern: "^docs/(?P<page>.+)$"}
    targets:
    - {repo: acme/website, path_transform: "handbook/${page}"}
    - {repo: acme/linter-fork, path_transform: "handbook/${page}"}
- repo: ana/dotfiles
  copy_rules:
  - name: dots
    source_pattern: {type: prefix, pattern: docs/}
    targets: [{repo: acme/linter-fork, path_transform: "dots/${relative_path}"}]
"""


def test_a_file_with_three_sources_to_a_pull_request_and_back(
    page: Page, world: World, tmp_path: Path
) -> None:
    github = world.forges["GitHub"]
    add = ("connection", "add", "GitHub", "--provider", "github", "--set", f"url={github.url}")
    world.instance.command(*add, "--secret", "token=-", input=github.token)
    sign_in(page, world.url, *world.login, path="/copy/import/?from=paste")
    file = pasted(page)

    page.get_by_role("link", name="three sources: acme/api").click()
    rule = page.url
    login = "x-access-token"
    push(tmp_path, f"{github.url}/acme/api.git", login, github.token, "docs/news.md")
    page.get_by_role("link", name="Runs").last.click()
    page.get_by_role("button", name="Copy now").click()
    page.wait_for_url("**/runs/*/")
    accessible(page)
    link = opened(page, rule)
    expect(link).to_have_attribute("href", re.compile(rf"^{github.url}/acme/website/pull/\d+$"))
    accessible(page)
    pulls = f"{github.url}/api/v3/repos/acme/website/pulls"
    [pull] = httpx.get(pulls, headers={"Authorization": f"token {github.token}"}).json()
    assert pull["title"] == "Examples of acme/api"
    assert link.get_attribute("href") == pull["html_url"]

    page.get_by_role("link", name="Settings").click()
    page.get_by_role("radio", name="shadow").check()
    page.get_by_label("What it does").get_by_role("button", name="Save").click()
    expect(page.locator(".page-head")).to_contain_text("shadow: writes nothing")
    accessible(page)
    rolled_back(page, file)


def pasted(page: Page) -> str:
    """The file is imported with the repositories that it speaks of; the address of its page."""
    page.get_by_label("Its text").fill(FILE)
    page.get_by_role("button", name="Read it").click()
    expect(page.get_by_role("heading", name="5 not imported yet")).to_be_visible(timeout=SECONDS)
    accessible(page)
    page.get_by_role("button", name="Import 5 repositories").click()
    made = page.get_by_role("region", name="It makes 3 rules")
    for source, target, files in (
        ("acme/api", "acme/website", "+2"),
        ("acme/handbook", "acme/website", "+1"),
        ("ana/dotfiles", "acme/linter-fork", "+1"),
    ):
        row = made.locator("tr", has_text=source)
        expect(row).to_contain_text(target, timeout=SECONDS)
        expect(row).to_contain_text("pull request")
        expect(row).to_contain_text(files, timeout=SECONDS)
    accessible(page)
    page.get_by_label("Name", exact=True).fill("three sources")
    page.get_by_role("radio", name="enabled").check()
    page.get_by_role("button", name="Import the file").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("three sources")
    accessible(page)
    until(lambda: looked_at(page))
    return page.url


def looked_at(page: Page) -> bool:
    """Whether the rule remembers where its source is: what is pushed from now on is copied."""
    page.reload()
    return page.get_by_text("Ready: acme/api").count() > 0


def opened(page: Page, rule: str) -> Locator:
    """The link to the pull request on the rule's page, once it is there."""
    link = page.locator("td", has_text="pull request").get_by_role("link")

    def shows() -> bool:
        page.goto(rule)
        return link.count() > 0

    until(shows)
    return link


def rolled_back(page: Page, file: str) -> None:
    """A second version takes a path away, and the first one is made current again."""
    page.goto(file)
    page.get_by_label("pasted").fill(FILE.replace('"api/${filename}"', '"api/about.md"'))
    page.get_by_role("button", name="Save as a new version").click()
    expect(page.get_by_text("version 2 is in force", exact=True)).to_be_visible()
    page.get_by_role("link", name="Version 1").click()
    page.get_by_role("button", name="Make version 1 current").click()
    expect(page.get_by_text("version 3 is in force", exact=True)).to_be_visible()
    page.get_by_role("link", name="Version 3").click()
    changes = page.get_by_role("region", name="What version 3 changed")
    expect(changes).to_contain_text("api/${filename}")
    accessible(page)

"""A browser for the tests of this folder; `instance` (a complete installation) comes from above."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from tests.e2e.browsing import FLAGS, SECONDS
from tests.e2e.worlds import Shown, World, until
from tests.instance import Instance
from tests.needs import CHROMIUM

_LEFT = "SELECT (SELECT COUNT(*) FROM repos_providerinstance), (SELECT COUNT(*) FROM accounts_allowedhost)"
_ROW = re.compile(r"^(GitHub|GitLab|Bitbucket|Gitea) +(http://\S+) +(\S+) +(\S+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A browser window; what it complains of fails the test."""
    context = browser.new_context(viewport={"width": 1440, "height": 1050}, reduced_motion="reduce")
    context.set_default_timeout(SECONDS)
    opened = context.new_page()
    complaints: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    opened.on("console", listen)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    context.close()
    assert complaints == []


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with Instance(tmp_path_factory.mktemp("forges") / "installation") as instance:
        login = instance.prepare()
        up = instance.start("up", "--forges", "--no-demo")
        forges = {label: Shown(*rest) for label, *rest in until(lambda: _ROW.findall(up.log()))}
        assert list(forges) == ["GitHub", "GitLab", "Bitbucket", "Gitea"]
        yield World(up.url, forges, login, instance)
        assert up.stop() == 0
        assert instance.rows(_LEFT) == [(0, 0)], "it takes back what it made"

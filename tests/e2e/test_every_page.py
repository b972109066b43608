"""Every page there is, with the demo's real data: no server error, no console error, axe 0 in both schemes.

The pages are read from the URL table, so a new one is covered by itself.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

from tests.api.addresses import Address, addresses
from tests.instance import Instance

NOT_PAGES = ("/api/", "/admin/", "/hooks/", "/healthz", "/readyz", "/health", "/metrics")
NOT_OURS_TO_OPEN = {"logout"}
AT_LEAST = {
    "overview", "copy", "copy_history", "connections", "repositories", "repository", "runs", "run",
    "deliveries",
}  # fmt: skip
_KEYS = """
import django, json, sys
django.setup()
from django.apps import apps
ours = ("accounts", "audit", "notices", "repos", "syncs", "copy")
keys = [str(pk) for model in apps.get_models() if model._meta.app_label in ours
        for pk in model._base_manager.order_by("pk").values_list("pk", flat=True)[:6]]
json.dump(sorted(set(keys)), sys.stdout)
"""

pytestmark = pytest.mark.browser


@dataclass
class Site:
    """The demo, served, with somebody signed in, and an address for each page that there is."""

    context: BrowserContext
    url: str
    pages: dict[str, str] = field(default_factory=dict)  # name of the route -> address
    failed: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def site(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Instance(tmp_path_factory.mktemp("site") / "installation") as instance:
        email, password = instance.prepare()
        instance.command("demo")
        web = instance.start("web")
        instance.start("worker")
        context = browser.new_context(viewport={"width": 1440, "height": 1000})
        page = context.new_page()
        page.goto(f"{web.url}/accounts/signin/")
        page.fill("input[name=username]", email)
        page.fill("input[name=password]", password)
        page.click("button[type=submit]")
        page.close()
        site = Site(context, web.url)
        _find_pages(site, [_key(text) for text in json.loads(instance.python(_KEYS))])
        yield site
        context.close()


def _key(text: str) -> uuid.UUID | int | str:
    if text.isdecimal():
        return int(text)
    try:
        return uuid.UUID(text)
    except ValueError:
        return text


def _find_pages(site: Site, keys: list[uuid.UUID | int | str]) -> None:
    """The first address of each route that answers with a page."""
    for route in addresses():
        if route.route.startswith(NOT_PAGES) or route.name in NOT_OURS_TO_OPEN:
            continue
        for path in _candidates(route, keys):
            answer = site.context.request.get(site.url + path, max_redirects=0)
            if answer.status >= 500:
                site.failed.append(f"{path}: {answer.status}")
            if answer.status == 200 and "<html" in answer.text():
                site.pages[route.name or route.route] = path
                break


def _candidates(route: Address, keys: list[uuid.UUID | int | str]) -> Iterator[str]:
    return (path for path in route.filled(keys) if "%" not in path)


def test_no_page_fails_and_the_important_ones_are_there(site: Site) -> None:
    assert site.failed == []
    assert set(site.pages) >= AT_LEAST, sorted(site.pages)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible_and_quiet(site: Site, scheme: str) -> None:
    page = site.context.new_page()
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    console: list[str] = []
    page.on("console", lambda message: _note(message, console))
    problems = {path: found for path in site.pages.values() if (found := _problems(page, site.url + path))}
    page.close()
    assert problems == {}
    assert console == []


def _note(message: ConsoleMessage, console: list[str]) -> None:
    if message.type == "error":
        console.append(f"{message.location.get('url')}: {message.text}")


def _problems(page: Page, url: str) -> list[str]:
    page.goto(url)
    page.wait_for_timeout(300)  # live parts arrive
    results = Axe().run(page)
    return [
        f"{violation['id']}: {node['html'][:160]}"
        for violation in results.response["violations"]
        for node in violation["nodes"][:3]
    ]


def test_no_page_scrolls_sideways_on_a_phone(site: Site) -> None:
    page = site.context.new_page()
    page.set_viewport_size({"width": 360, "height": 740})
    wide = []
    for path in site.pages.values():
        page.goto(site.url + path)
        if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            wide.append(path)
    page.close()
    assert wide == []

"""Every component in a real browser: accessible, within the page, under the security policy, with keys."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.e2e.browsing import FLAGS
from tests.needs import CHROMIUM

PAGES = [
    "",
    "page/overview/",
    "page/repository/",
    "page/run/",
    "page/workbench/",
    "page/empty/",
    "page/drawer/",
    "login/",
    "error/404/",
    "page/overview/?no-worker",
]

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    root = Path(__file__).resolve().parents[2]
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.web.serve"], cwd=root, stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    yield server.stdout.readline().strip()
    server.terminate()
    server.wait(10)
    server.stdout.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    context = browser.new_context(base_url=address, reduced_motion="reduce")
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    opened = context.new_page()
    complaints: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and "status of 404" not in message.text:
            complaints.append(message.text)

    opened.on("console", listen)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    context.close()
    assert complaints == []


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("path", PAGES)
def test_no_accessibility_violation(page: Page, path: str, width: int) -> None:
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(path)
    light = Axe().run(page)
    assert light.violations_count == 0, light.generate_report()
    page.emulate_media(color_scheme="dark")
    dark = Axe().run(page, options={"runOnly": ["color-contrast"]})
    assert dark.violations_count == 0, dark.generate_report()


@pytest.mark.parametrize("path", PAGES)
def test_nothing_scrolls_sideways(page: Page, path: str) -> None:
    page.goto(path)
    for width in (360, 390, 768, 1024, 1440, 1920):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, width


def test_controls_on_a_phone_are_large_enough_to_touch(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("page/run/")
    small = page.evaluate(
        """() => [...document.querySelectorAll('.button, .segmented > a, .bottombar > *, input, select')]
            .filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 40)
            .map(e => e.outerHTML)"""
    )
    assert small == []


def test_the_theme_follows_the_system_until_one_is_chosen_and_is_remembered(page: Page) -> None:
    canvas = "getComputedStyle(document.documentElement).backgroundColor"
    page.emulate_media(color_scheme="dark")
    page.goto("page/overview/")
    assert page.evaluate(canvas) == "rgb(12, 15, 19)"
    page.get_by_role("button", name="Mira Holt").click()
    page.get_by_role("button", name="Light").click()
    assert page.evaluate(canvas) == "rgb(246, 247, 249)"
    page.reload()
    assert page.evaluate(canvas) == "rgb(246, 247, 249)"
    assert page.evaluate("localStorage.theme") == "light"


def test_slash_goes_to_the_search_field_but_not_while_typing(page: Page) -> None:
    page.goto("page/overview/")
    page.keyboard.press("/")
    find = page.get_by_role("searchbox", name="Find anything")
    expect(find).to_be_focused()
    page.keyboard.type("a/b")
    expect(find).to_have_value("a/b")


def test_keys_walk_through_a_tree(page: Page) -> None:
    page.goto("page/workbench/")
    tree = page.get_by_role("group", name="acme/docs at 9c41e07")
    tree.locator("summary").first.focus()
    for key, name in [
        ("ArrowDown", "examples"), ("ArrowDown", "go"), ("ArrowLeft", "go"), ("ArrowDown", "python"),
        ("ArrowRight", "async_client.py"), ("ArrowLeft", "python"), ("Home", "docs"), ("ArrowRight", "docs"),
    ]:  # fmt: skip
        page.keyboard.press(key)
        expect(page.locator(":focus .row-name").first).to_have_text(name)
    expect(tree.locator("details").first).to_have_attribute("open", "")


def test_a_dialog_is_modal_and_gives_focus_back(page: Page) -> None:
    page.goto("")
    opener = page.get_by_role("button", name="Approve 214 deletions…")
    opener.click()
    dialog = page.get_by_role("dialog", name="Approve 214 deletions")
    expect(dialog).to_be_visible()
    assert page.evaluate("document.querySelector('#approve').matches(':modal')")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(opener).to_be_focused()


def test_a_menu_opens_with_keys_and_closes_with_escape(page: Page) -> None:
    page.goto("page/repository/")
    page.locator("summary", has_text="More").focus()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("link", name="Share…")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Share…")).to_be_hidden()
    expect(page.locator("summary", has_text="More")).to_be_focused()


def test_copy_and_reveal(page: Page) -> None:
    page.goto("")
    page.get_by_role("button", name="Copy the text").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "text to copy"
    token = page.locator("#id_s-token")
    page.get_by_role("button", name="Show what is typed").first.click()
    expect(token).to_have_attribute("type", "text")


def test_filters_submit_themselves(page: Page) -> None:
    page.goto("")
    page.get_by_role("searchbox", name="Filter 40 mirrors").fill("acme")
    page.keyboard.press("Tab")
    page.wait_for_url("**/?q=acme")


def test_live_parts_poll_only_while_they_must_and_not_in_a_hidden_tab(page: Page) -> None:
    page.goto("page/live/")
    part = page.locator("#live")
    expect(part).to_have_text("done after 3")
    assert part.get_attribute("hx-trigger") is None
    page.goto("page/live/?endless")
    expect(part).to_have_text("asked 2")
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true})")
    page.wait_for_timeout(400)
    held = part.inner_text()
    page.wait_for_timeout(400)
    assert part.inner_text() == held


def test_everything_is_there_without_a_script(browser: Browser, address: str) -> None:
    context = browser.new_context(base_url=address, java_script_enabled=False)
    page = context.new_page()
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("")
    page.get_by_role("button", name="More", exact=True).last.click()
    expect(page.get_by_role("link", name="Audit log")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Approve 214 deletions…").click()
    expect(page.get_by_role("dialog", name="Approve 214 deletions")).to_be_visible()
    expect(page.get_by_role("button", name="Copy the text")).to_be_hidden()
    context.close()

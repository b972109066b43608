"""What tests in a browser share beside the fixtures."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
SECONDS = 30_000  # milliseconds that anything may take on a busy machine


def accessible(page: Page) -> None:
    """No violation in light and dark, once the page is there as a whole."""
    page.wait_for_load_state("networkidle")
    expect(page.locator("main")).to_be_attached()
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        found = Axe().run(page)
        assert found.violations_count == 0, f"{page.url} {scheme}: {found.generate_report()}"


def sign_in(page: Page, url: str, email: str, password: str, path: str = "/") -> None:
    page.goto(f"{url}{path}")
    page.get_by_label("E-mail").fill(email)
    page.locator("input[type=password]").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{url}{path}")

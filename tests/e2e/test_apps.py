"""In a real browser: signing in with a forge, and a GitHub App from one press to its repositories."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import cast

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.browsing import accessible, sign_in
from tests.forges.github_app import GitHubWithApp
from tests.instance import Instance

pytestmark = pytest.mark.browser

_ALLOW = """
import django; django.setup()
from opssight.accounts.models import AllowedHost
AllowedHost.objects.create(pattern="127.0.0.1", cidr="127.0.0.0/8", ports="{port}")
"""
_REGISTER = """
from repos.models import ProviderInstance
ProviderInstance.objects.create(
    provider="github", url="{url}", client_id="client-1", client_secret="canary-client-secret"
)
"""


@pytest.fixture(autouse=True)
def _no_icon(page: Page) -> None:
    """The pages of the stand-in have none, and a browser asks for one."""
    page.route(re.compile(r"/favicon\.ico$"), lambda route: route.fulfill(status=204))


def look(page: Page, name: str) -> None:
    """Pictures for a person, where they are asked for."""
    if folder := os.environ.get("OPSSIGHT_TEST_PICTURES"):
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=cast("object", scheme))  # type: ignore[arg-type]
            page.screenshot(path=Path(folder) / f"{name}-{scheme}.png", full_page=True)


def test_linking_and_signing_in_with_a_forge(page: Page, instance: Instance, tmp_path: Path) -> None:
    email, password = instance.prepare()
    with GitHubWithApp(tmp_path / "forge") as forge:
        instance.python(_ALLOW.format(port=forge.port) + _REGISTER.format(url=forge.url))
        url = instance.start("web").url
        sign_in(page, url, email, password, "/accounts/")
        look(page, "account")
        accessible(page)
        page.get_by_label("Your password here").fill(password)
        page.get_by_role("button", name="Link 127.0.0.1").click()
        page.get_by_role("button", name="Allow as ana").click()
        page.wait_for_url(f"{url}/accounts/")
        expect(page.get_by_text("You can sign in with GitHub from now on")).to_be_visible()
        look(page, "account-linked")
        page.context.clear_cookies()
        page.goto(f"{url}/accounts/signin/?next=/status/")
        look(page, "signin")
        accessible(page)
        page.get_by_role("button", name="127.0.0.1").click()
        page.get_by_role("button", name="Allow as ana").click()
        page.wait_for_url(f"{url}/status/")


def test_a_github_app_in_one_press(page: Page, instance: Instance, tmp_path: Path) -> None:
    email, password = instance.prepare()
    with GitHubWithApp(tmp_path / "forge") as forge:
        forge.own_organization("acme", "ana")
        forge.add_repository("acme/site", {b"README.md": b"hello\n"})
        instance.python(_ALLOW.format(port=forge.port))
        url = instance.start("web").url
        sign_in(page, url, email, password, "/connections/new/?provider=plain")
        page.get_by_role("button", name="Make a key").click()
        look(page, "connect-key")
        accessible(page)
        page.get_by_role("link", name="Make a GitHub App").click()
        look(page, "github-app")
        accessible(page)
        page.get_by_label("Address").fill(forge.url)
        page.get_by_label("Other accounts may install it too").check()
        page.get_by_role("button", name="Make a GitHub App").click()
        page.get_by_role("button", name="Create").click()
        page.wait_for_url(f"{url}/connections/github-app/")
        look(page, "github-app-made")
        accessible(page)
        page.get_by_role("button", name="Install it").click()
        page.get_by_role("button", name="Install at acme").click()
        page.get_by_role("button", name="Allow as ana").click()
        expect(page.get_by_text("GitHub: acme is connected")).to_be_visible()
        expect(page.get_by_text("acme/site").first).to_be_visible()
        look(page, "github-app-found")

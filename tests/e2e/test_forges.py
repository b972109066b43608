"""From `opssight up --forges` to a push that is heard, as a person does it: GitHub with a button, GitLab with
a token that is pasted, Bitbucket with an API token. The stand-ins serve real git and speak the real API.
"""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.browsing import SECONDS, accessible, sign_in
from tests.e2e.worlds import World, push, until

pytestmark = [pytest.mark.browser, pytest.mark.http_git]


@pytest.fixture(autouse=True)
def signed_in(page: Page, world: World) -> None:
    sign_in(page, world.url, *world.login)


def test_github_with_a_button(page: Page, world: World, tmp_path: Path) -> None:
    github = world.forges["GitHub"]
    page.goto(f"{world.url}/connections/new/")
    accessible(page)
    page.get_by_role("button", name="Continue with GitHub").click()
    page.get_by_role("button", name="Allow as ana").click()
    page.wait_for_url(re.compile(f"^{re.escape(world.url)}/connections/.*/found/$"))
    expect(page.get_by_text("6 found")).to_be_visible(timeout=SECONDS)
    accessible(page)

    page.get_by_label("Archived", exact=True).select_option("no")
    page.wait_for_url("**archived=no**")
    page.get_by_label("Name matches").fill("^acme/(website|api|handbook)$")
    page.get_by_label("Name matches").press("Enter")
    page.wait_for_url("**include=**")
    expect(page.get_by_role("button", name="Import all 3")).to_be_visible(timeout=SECONDS)
    accessible(page)
    page.get_by_role("button", name="Import all 3").click()
    expect(page.get_by_text("3 repositories imported")).to_be_visible()
    accessible(page)
    connection = page.url.partition("?")[0]

    hooks = f"{github.url}/api/v3/repos/acme/website/hooks"
    headers = {"Authorization": f"token {github.token}"}
    [hook] = until(lambda: httpx.get(hooks, headers=headers).json())
    assert hook["config"]["url"].startswith(f"{world.url}/hooks/")
    assert (hook["active"], "push" in hook["events"]) == (True, True)
    oid = push(tmp_path, f"{github.url}/acme/website.git", "x-access-token", github.token)
    heard(page, connection, "acme/website", oid)


def test_gitlab_with_a_pasted_token(page: Page, world: World, tmp_path: Path) -> None:
    gitlab = world.forges["GitLab"]
    page.goto(f"{world.url}/connections/new/")
    page.get_by_label("Token, address or folder").fill(gitlab.token)
    page.get_by_role("button", name="Recognise").click()
    expect(page.get_by_text("recognised by what you pasted")).to_be_visible()
    page.locator("#connect-form").get_by_label("Address").fill(gitlab.url)
    tried(page, "ana")
    page.get_by_label("Name", exact=True).fill("Our GitLab")
    connect_and_pick(page, ["acme/api", "acme/handbook", "acme/website"])
    connection = page.url.partition("?")[0]

    headers = {"Authorization": f"Bearer {gitlab.token}"}
    hooks = f"{gitlab.url}/api/v4/projects/acme%2Fapi/hooks"
    [hook] = until(lambda: httpx.get(hooks, headers=headers).json())
    assert hook["url"].startswith(f"{world.url}/hooks/")
    oid = push(tmp_path, f"{gitlab.url}/acme/api.git", "oauth2", gitlab.token)
    heard(page, connection, "acme/api", oid)


def test_bitbucket_with_an_api_token(page: Page, world: World, tmp_path: Path) -> None:
    bitbucket = world.forges["Bitbucket"]
    page.goto(f"{world.url}/connections/new/?provider=bitbucket")
    page.locator("#connect-form").get_by_label("Address").fill(bitbucket.url)
    page.get_by_label("E-mail").fill(bitbucket.email)
    page.get_by_label("Token", exact=True).fill(bitbucket.token)
    tried(page, "ana")
    page.get_by_label("Name", exact=True).fill("Our Bitbucket")
    connect_and_pick(page, ["acme/api", "acme/handbook", "acme/website"])
    connection = page.url.partition("?")[0]

    hooks = f"{bitbucket.url}/2.0/repositories/acme/handbook/hooks"
    login = (bitbucket.email, bitbucket.token)
    [hook] = until(lambda: httpx.get(hooks, auth=login).json()["values"])
    assert hook["url"].startswith(f"{world.url}/hooks/")
    address = f"{bitbucket.url}/acme/handbook.git"
    oid = push(tmp_path, address, "x-bitbucket-api-token-auth", bitbucket.token)
    heard(page, connection, "acme/handbook", oid)


# --- steps ------------------------------------------------------------------------------------------


def tried(page: Page, account: str) -> None:
    """Who it is and what it may do, before anything is saved."""
    page.wait_for_load_state("networkidle")
    page.get_by_role("button", name="Test", exact=True).click()
    expect(page.locator("#tested")).to_contain_text(account, timeout=SECONDS)
    accessible(page)


def connect_and_pick(page: Page, names: list[str]) -> None:
    page.get_by_role("button", name="Connect and find repositories").click()
    page.wait_for_url(re.compile("/found/$"))
    expect(page.get_by_text("6 found")).to_be_visible(timeout=SECONDS)
    for name in names:
        page.get_by_role("row", name=name).get_by_role("checkbox").check()
    page.get_by_role("button", name="Import what is ticked").click()
    expect(page.get_by_text(f"{len(names)} repositories imported")).to_be_visible()


def heard(page: Page, connection: str, name: str, oid: str) -> None:
    """The repository's page shows the new head."""
    page.goto(connection)
    page.get_by_role("link", name=name, exact=True).first.click()
    page.wait_for_url("**/repositories/**")

    def shows() -> bool:
        page.reload()
        return page.get_by_text(oid[:7]).count() > 0

    until(shows)
    accessible(page)

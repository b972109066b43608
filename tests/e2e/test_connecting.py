"""From an empty installation to files, refs and a webhook that starts a run: in a real browser."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.browsing import SECONDS, accessible, sign_in
from tests.instance import Instance
from tests.repos.git.work import Bare

pytestmark = pytest.mark.browser


def test_from_nothing_to_a_push_that_is_heard(page: Page, instance: Instance, tmp_path: Path) -> None:
    served = tmp_path / "served"
    served.mkdir()
    oid = Bare(served / "docs.git").commit({b"guides/one.md": b"# One\n", b"guides/deep/two.md": b"two\n"})
    Bare(served / "site.git").commit({b"index.html": b"hello\n"})
    instance.env["OPSSIGHT_FOLDER_ROOTS"] = str(tmp_path)
    email, password = instance.prepare()
    url = instance.start("web").url
    sign_in(page, url, email, password)
    expect(page.get_by_role("heading", name="One place for every repository you own")).to_be_visible()
    accessible(page)

    connect(page, served)
    expect(page.get_by_text("2 found")).to_be_visible()
    accessible(page)
    page.get_by_role("button", name="Import all 2").click()
    expect(page.get_by_role("heading", name="What next")).to_be_visible()
    accessible(page)

    page.get_by_role("link", name="docs", exact=True).click()
    browse(page, oid)
    hook, secret = make_hook(page)
    assert deliver(hook, secret, oid) == 202
    page.get_by_role("link", name="I have entered it").click()
    expect(page.get_by_role("row", name="accepted")).to_contain_text("push docs")
    accessible(page)
    page.get_by_role("row", name="accepted").get_by_role("link", name="push").click()
    expect(page.get_by_role("region", name="Payload")).to_contain_text('"by": "Ana Prieto"')
    expect(page.get_by_text("Nothing: no job waits")).to_be_visible()
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_text("Replayed.")).to_be_visible()
    expect(page.get_by_text("Replay of")).to_be_visible()
    accessible(page)


def connect(page: Page, root: Path) -> None:
    """Paste, test without storing, be told what is wrong, connect."""
    page.get_by_role("link", name="Connect a forge, a git server or a folder").click()
    page.get_by_label("Token, address or folder").fill(str(root))
    page.get_by_role("button", name="Recognise").click()
    tested = page.locator("#tested")
    page.get_by_role("button", name="Test", exact=True).click()
    expect(tested).to_contain_text("2 repositories", timeout=SECONDS)
    folder = page.get_by_role("textbox", name="Folder", exact=True)
    folder.fill("/etc")
    page.get_by_role("button", name="Test", exact=True).click()
    expect(tested).to_contain_text("/etc is not below an allowed folder.")
    accessible(page)
    folder.fill(str(root))
    page.get_by_label("Name").fill("Team git")
    page.get_by_role("button", name="Connect and find repositories").click()
    page.wait_for_url(re.compile("/found/$"))


def browse(page: Page, oid: str) -> None:
    """The head that was looked at beside, the tree folder by folder, a file, the refs."""
    tabs = page.get_by_label("docs", exact=True)
    tabs.get_by_role("link", name="Files").click()
    page.locator("summary", has_text="guides").click(timeout=SECONDS)
    page.locator("summary", has_text="deep").click()
    page.get_by_role("link", name="two.md").click()
    expect(page.get_by_role("region", name="guides/deep/two.md")).to_contain_text("two")
    accessible(page)
    tabs.get_by_role("link", name="Refs").click()
    expect(page.get_by_role("row", name="main")).to_contain_text(oid[:7], timeout=SECONDS)
    accessible(page)


def make_hook(page: Page) -> tuple[str, str]:
    """Its address and the secret that is shown once."""
    page.get_by_label("docs", exact=True).get_by_role("link", name="Hook").click()
    page.get_by_role("link", name="Add a webhook").click()
    page.get_by_text("Any sender (HMAC)").click()
    accessible(page)
    page.get_by_role("button", name="Make the webhook").click()
    expect(page.get_by_text("The secret is not shown again.")).to_be_visible()
    accessible(page)
    address, secret = page.locator("ol.steps code").all_inner_texts()[:2]
    return address, secret


def deliver(url: str, secret: str, oid: str) -> int:
    body = json.dumps({"ref": "refs/heads/main", "after": oid, "by": "Ana Prieto"}).encode()
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "X-OpsSight-Signature-256": f"sha256={signature}"}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30) as answer:
        return int(answer.status)

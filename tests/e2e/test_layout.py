"""What stands where on the pages of connections, measured in a real browser, wide and on a phone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.browsing import SECONDS, sign_in
from tests.instance import Instance
from tests.repos.git.work import Bare

pytestmark = pytest.mark.browser
_ROWS = """
import json, sys
import django; django.setup()
from opssight.accounts.models import User
from opssight.core.clock import now
from repos import discovery
from repos.models import Connection, Discovery, Repository
from repos.providers.types import RemoteRepository

team = User.objects.get().personal_team
def connection(name, provider, **more):
    return Connection.objects.create(team=team, name=name, provider=provider, **more)
ours = connection("Ours", "gitea", state="ok", account="ana", last_ok_at=now(), options={{"url": "{site}"}})
dead = connection("Dead", "gitlab", state="reauth_required", options={{"url": "{site}"}},
                  sentence="The server refuses the credential. Enter a valid one for this connection.")
folder = connection("Folder", "folder", local=True, options={{"root": "{root}"}})
names = ("acme/api", "acme/site", "acme/docs")
more = {{"visibility": "public", "default_branch": "main", "description": "What it is"}}
found = [RemoteRepository(name, name, archived=name == "acme/docs", **more) for name in names]
Discovery.objects.create(connection=ours, found=discovery.packed(found), count=3, found_at=now())
Repository.objects.create(team=team, connection=ours, external_id="acme/site", full_name="acme/site")
json.dump({{one.name: str(one.pk) for one in (ours, dead, folder)}}, sys.stdout)
"""
_TEXT = """element => {
    const range = document.createRange();
    range.selectNodeContents(element.firstChild);
    const box = range.getBoundingClientRect();
    return [box.left, box.top, box.right, box.bottom];
}"""
Box = tuple[float, float, float, float]  # left, top, right, bottom of a text


@pytest.fixture(scope="module")
def site(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Page, Any]]:
    """A page of somebody who is signed in, and the address of each connection by its name."""
    folder = tmp_path_factory.mktemp("layout")
    (folder / "git").mkdir()
    Bare(folder / "git" / "docs.git").commit({b"README": b"docs"})
    with Instance(folder / "installation") as instance:
        email, password = instance.prepare()
        url = instance.start("web").url
        made = json.loads(instance.python(_ROWS.format(site="http://127.0.0.1:9", root=folder / "git")))
        context = browser.new_context(viewport={"width": 1440, "height": 1000}, reduced_motion="reduce")
        context.set_default_timeout(SECONDS)
        page = context.new_page()
        sign_in(page, url, email, password)
        yield page, {"": url, **{name: f"{url}/connections/{pk}/" for name, pk in made.items()}}
        context.close()


@pytest.fixture
def phone(site: tuple[Page, Any]) -> Iterator[tuple[Page, Any]]:
    page, urls = site
    page.set_viewport_size({"width": 390, "height": 844})
    yield page, urls
    page.set_viewport_size({"width": 1440, "height": 1000})


def texts(page: Page, selector: str) -> list[Box]:
    page.wait_for_load_state("networkidle")
    return [tuple(one.evaluate(_TEXT)) for one in page.locator(selector).all()]


def same(numbers: list[float]) -> bool:
    return max(numbers) - min(numbers) <= 0.6


def test_heads_stand_over_their_numbers_and_words_on_one_line(site: tuple[Page, Any]) -> None:
    page, urls = site
    page.goto(f"{urls['']}/connections/")
    row = page.locator("tbody tr", has_text="Ours")
    expect(row).to_be_visible()
    heads = texts(page, "thead th.number a")
    cells = [tuple(one.evaluate(_TEXT)) for one in row.locator("td.number > *").all()]
    assert len(heads) == len(cells) == 2
    assert all(same([head[2], cell[2]]) for head, cell in zip(heads, cells, strict=True))
    word = row.locator(".state .word").evaluate(_TEXT)
    assert same([word[1], *(cell[1] for cell in cells)])
    name, note = (row.locator(part).evaluate(_TEXT) for part in (".name a", ".name .note"))
    assert same([name[0], note[0]])


def test_rows_do_not_move_with_a_tick_or_an_import(site: tuple[Page, Any]) -> None:
    page, urls = site
    page.goto(f"{urls['Ours']}found/")
    lines = page.locator(".pick-line")
    expect(lines).to_have_count(3)

    def offsets() -> list[list[float]]:
        """Of each row: how far right and down the name stands, and its tag's middle from its own."""
        found = []
        for row in page.locator(".found tbody tr").all():
            box = row.bounding_box()
            assert box is not None
            name = row.locator(".pick > span[title]").evaluate(_TEXT)
            tag = row.locator(".tag").first.evaluate(_TEXT)
            found.append([name[0], name[1] - box["y"], (tag[1] + tag[3] - name[1] - name[3]) / 2])
        return found

    before = offsets()
    assert all(same(list(column)) for column in list(zip(*before, strict=True)))
    assert all(abs(row[2]) <= 1 for row in before), "name and tags are on one line"
    page.get_by_role("row", name="acme/api").get_by_role("checkbox").check()
    assert offsets() == before


def test_the_bar_of_providers_ends_with_the_last_one(site: tuple[Page, Any]) -> None:
    page, urls = site
    page.goto(f"{urls['']}/connections/new/")
    bar = page.get_by_label("What to connect", exact=True)
    whole, last = bar.bounding_box(), bar.locator("a").last.bounding_box()
    assert whole is not None
    assert last is not None
    assert whole["x"] + whole["width"] - last["x"] - last["width"] <= 2


def test_a_key_that_was_made_is_in_view(site: tuple[Page, Any]) -> None:
    page, urls = site
    page.goto(f"{urls['']}/connections/new/?provider=plain")
    page.get_by_role("button", name="Make a key").click()
    page.wait_for_url("**/connections/new/#key")
    key, bar = page.locator("#key").bounding_box(), page.locator(".topbar").bounding_box()
    assert key is not None
    assert bar is not None
    assert bar["y"] + bar["height"] <= key["y"] < 500
    expect(page.locator("#key code")).to_contain_text("ssh-ed25519")
    expect(page.get_by_label("Private key")).to_be_hidden()


def test_the_steps_of_a_test_have_no_half_lines_on_a_phone(phone: tuple[Page, Any]) -> None:
    page, urls = phone
    page.goto(f"{urls['Folder']}?tested")
    names = page.locator("#steps th.name")
    expect(names.first).to_be_visible()
    styles = names.evaluate_all(
        "all => all.map(one => getComputedStyle(one)).map(s => [s.borderTopWidth, s.paddingLeft])"
    )
    assert {tuple(style) for style in styles} == {("0px", "0px")}
    left = page.locator("#steps td:first-child").first.bounding_box()
    said = page.locator("#steps td.whole").first.bounding_box()
    assert left is not None
    assert said is not None
    assert same([left["x"], said["x"]])


def test_a_banner_with_a_button_keeps_its_text_wide_on_a_phone(phone: tuple[Page, Any]) -> None:
    page, urls = phone
    page.goto(urls["Dead"])
    banner = page.locator(".message.bad")
    text, button = banner.locator("> span").bounding_box(), banner.locator(".button").bounding_box()
    assert text is not None
    assert button is not None
    assert text["width"] > 280
    assert button["y"] >= text["y"] + text["height"]


def test_logging_out_of_the_admin_site_looks_like_the_links_beside_it(site: tuple[Page, Any]) -> None:
    page, urls = site
    page.goto(f"{urls['']}/admin/")
    look = "one => (style => [style.fontSize, style.fontWeight, style.color])(getComputedStyle(one))"
    link = page.get_by_role("link", name="Change password").evaluate(look)
    assert page.get_by_role("button", name="Log out").evaluate(look) == link

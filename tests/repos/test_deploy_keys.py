"""A key that is made on the connect page: shown by its public part, stored with the connection."""

from __future__ import annotations

import re

import pytest
from cryptography.hazmat.primitives import serialization
from django.test import Client

from opssight.accounts.models import Team, User
from repos.git import keys
from repos.models import Connection
from tests.factories import make_team, make_user

pytestmark = pytest.mark.django_db
HOST_KEY = "git.example.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKx"
VALUES = {
    "provider": "plain",
    "name": "Git",
    "urls": "git@git.example.org:team/site.git",
    "host_key": HOST_KEY,
}


@pytest.fixture
def user() -> User:
    return make_user()


@pytest.fixture
def team(user: User) -> Team:
    return make_team(user)


@pytest.fixture
def browser(user: User, team: Team) -> Client:
    browser = Client()
    browser.force_login(user)
    browser.post("/accounts/team/", {"team": str(team.pk)})
    return browser


def shown(page: str) -> str:
    found = re.search(r"<code>(ssh-ed25519 [^ <]+) opssight@[^<]+</code>", page)
    return found[1] if found else ""


def test_the_public_part_is_shown_and_the_private_part_is_stored(browser: Client) -> None:
    assert "Make a key" in browser.get("/connections/new/?provider=plain").content.decode()
    page = browser.post("/connections/new/", {**VALUES, "make_key": "1"}).content.decode()
    public = shown(page)
    assert public
    assert "git@git.example.org:team/site.git" in page, "what was typed stays"
    assert "PRIVATE KEY" not in page
    assert "PRIVATE KEY" not in repr(dict(browser.session))
    browser.post("/connections/new/", {**VALUES, "made_key": "1"})
    stored = Connection.objects.get().credentials.get(purpose="private_key").secret
    assert keys.public_line(keys.opened(stored)) == public
    assert not shown(browser.get("/connections/new/?provider=plain").content.decode()), "it is used once"


def test_a_wrong_form_does_not_show_the_private_part(browser: Client) -> None:
    browser.post("/connections/new/", {**VALUES, "make_key": "1"})
    page = browser.post("/connections/new/", {**VALUES, "host_key": "", "made_key": "1"})
    assert page.status_code == 422
    assert "PRIVATE KEY" not in page.content.decode()
    assert shown(page.content.decode())


def test_a_key_that_was_typed_counts_more(browser: Client) -> None:
    browser.post("/connections/new/", {**VALUES, "make_key": "1"})
    typed = keys.make()
    browser.post("/connections/new/", {**VALUES, "private_key": typed, "made_key": "1"})
    assert Connection.objects.get().credentials.get(purpose="private_key").secret.strip() == typed.strip()


def test_other_forms_have_none(browser: Client) -> None:
    browser.post("/connections/new/", {**VALUES, "make_key": "1"})
    assert "ssh-ed25519" not in browser.get("/connections/new/?provider=github").content.decode()
    https = {**VALUES, "urls": "https://git.example.org/team/site.git", "host_key": "", "made_key": "1"}
    browser.post("/connections/new/", https)
    assert not Connection.objects.get().credentials.exists()


def test_a_key_is_of_one_person(browser: Client) -> None:
    browser.post("/connections/new/", {**VALUES, "make_key": "1"})
    session = browser.session
    other = make_user()
    make_team(other)
    stranger = Client()
    stranger.force_login(other)
    copied = stranger.session
    copied["made_key"] = session["made_key"]
    copied.save()
    assert not shown(stranger.get("/connections/new/?provider=plain").content.decode())


def test_an_encrypted_key_needs_its_passphrase(browser: Client) -> None:
    key = keys.opened(keys.make())
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.BestAvailableEncryption(b"canary"),
    ).decode()
    page = browser.post("/connections/new/", {**VALUES, "private_key": locked})
    assert "Enter its passphrase" in page.content.decode()
    browser.post("/connections/new/", {**VALUES, "private_key": locked, "passphrase": "canary"})
    assert Connection.objects.get().credentials.get(purpose="passphrase").secret == "canary"

"""The connect page: what a paste that nobody knows, a key and an app say; where a test ends."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from opssight.accounts.models import AllowedHost, User
from repos.models import ProviderInstance
from tests.factories import make_user
from tests.forges.gitea import GiteaStandIn
from tests.repos.pages import page, words
from tests.syncs.runs import signed_in

pytestmark = pytest.mark.django_db(transaction=True)
TOKEN = "5f1c0de0a7b94b2d8c5f1c0de0a7b94b2d8c5f1c"


def test_a_token_without_a_mark_is_not_called_wrong() -> None:
    client, _ = signed_in()
    text = words(client.post(reverse("connection_new"), {"paste": TOKEN}).content)
    assert "If it is a token, choose its forge below." in text
    assert "neither a token" not in text
    assert TOKEN not in text


def test_a_forge_that_tells_no_end_says_so(tmp_path: Path) -> None:
    client, _ = signed_in()
    with GiteaStandIn(tmp_path) as forge:
        forge.add_token(TOKEN, "ana")
        AllowedHost.objects.create(pattern="127.0.0.1", cidr="127.0.0.0/8", ports=str(forge.port))
        given = {"provider": "gitea", "name": "Ours", "url": forge.url, "token": TOKEN, "test": "1"}
        answer = client.post(reverse("connection_new"), given, headers={"HX-Request": "true"})
    text = words(answer.content)
    assert "It ends not told" in text
    assert "Job What it does here Needs This token" in text
    assert 'class="scope">write:repository<' in answer.content.decode()


def test_a_key_that_was_made_comes_first_and_replaces_its_fields() -> None:
    client, _ = signed_in()
    url = reverse("connection_new")
    before = page(client, "connection_new", provider="plain")
    assert before.index("Make a key") < before.index("Private key")
    assert f'formaction="{url}#key"' in client.get(url, {"provider": "plain"}).content.decode()
    answer = client.post(url, {"provider": "plain", "name": "Srv", "make_key": "1"})
    text = answer.content.decode()
    assert text.index('id="key"') < text.index('name="name"')
    assert text.count("ssh-ed25519") >= 1
    own = text.partition("A key of your own instead")
    assert 'name="private_key"' not in own[0]
    assert 'name="passphrase"' not in own[0]
    assert text.count('name="private_key"') == text.count('name="passphrase"') == 1


def test_the_card_of_an_app_leads_administrators_to_its_page() -> None:
    ProviderInstance.objects.create(provider="github", client_id="x", app_id="7", app_slug="ours")
    for user, there in ((make_user(is_superuser=True), True), (make_user(), False)):
        text = browser(user).get(reverse("connection_new")).content.decode()
        assert "Install it" in text
        assert (f'href="{reverse("github_app")}"' in text) is there


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client

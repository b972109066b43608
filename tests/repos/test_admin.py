from __future__ import annotations

import pytest
from django.test import Client

from opssight.accounts.models import Team, User
from opssight.accounts.scope import Principal
from repos import managed_webhooks, receiving, webhooks
from repos.models import (
    Connection,
    Credential,
    Delivery,
    ProviderInstance,
    Repository,
    RepositoryStatus,
    Webhook,
)
from tests.factories import make_connection, make_repository
from tests.repos.deliveries import github_headers

pytestmark = pytest.mark.django_db

SECRET = "canary-in-the-admin-site"


@pytest.fixture
def client(owner: User) -> Client:
    owner.is_staff = True
    owner.save()
    client = Client()
    client.force_login(owner)
    return client


@pytest.fixture
def rows(team: Team, principal: Principal) -> dict[str, object]:
    connection = make_connection(team, "plain", name="Our server")
    Credential.objects.create(connection=connection, purpose="password", secret=SECRET)
    repository = make_repository(connection, "acme/site")
    RepositoryStatus.objects.create(repository=repository, lane="copy", state="ok", sentence="At HEAD.")
    hook, _ = webhooks.create_hook(principal, team, "github", secret=SECRET, repository=repository)
    managed_webhooks.rotate(principal, hook, f"{SECRET}-new")
    receiving.receive(hook, github_headers(b"{}", secret="wrong"), b"{}")
    return {
        "connection": connection.pk,
        "repository": repository.pk,
        "webhook": hook.pk,
        "delivery": Delivery.objects.get().pk,
    }


@pytest.mark.parametrize("name", ["connection", "repository", "webhook", "delivery"])
def test_lists_and_forms_show_rows_and_no_secret(client: Client, rows: dict[str, object], name: str) -> None:
    stored = [
        *Credential.objects.values_list("secret", flat=True),
        *Webhook.objects.values_list("secret", flat=True),
    ]
    for path in (f"/admin/repos/{name}/", f"/admin/repos/{name}/{rows[name]}/change/"):
        answer = client.get(path)
        assert answer.status_code == 200
        text = answer.content.decode()
        assert SECRET not in text
        assert not [value for value in stored if value in text]
    assert client.get(f"/admin/repos/{name}/add/").status_code == 403


def test_what_is_checked_elsewhere_cannot_be_changed_here(client: Client, rows: dict[str, object]) -> None:
    client.post(
        f"/admin/repos/connection/{rows['connection']}/change/",
        {
            "name": "Renamed",
            "options": '{"urls": ["https://evil.example.net/x"]}',
            "local": "on",
            "provider": "folder",
        },
    )
    row = Connection.objects.get()
    assert (row.name, row.options, row.local, row.provider) == ("Renamed", {}, False, "plain")


def test_an_administrator_says_which_server_is_trusted_with_addresses(client: Client) -> None:
    row = ProviderInstance.objects.create(
        provider="gitlab", url="https://git.example.org", client_id="x", client_secret="y"
    )
    page = f"/admin/repos/providerinstance/{row.pk}/change/"
    assert "Only for a server that confirms every address" in client.get(page).content.decode()
    given = {"provider": "gitlab", "url": row.url, "client_id": "x"}
    client.post(page, {**given, "trusts_email": "on"})
    assert ProviderInstance.objects.get().trusts_email
    client.post(page, given)
    assert not ProviderInstance.objects.get().trusts_email


def test_objects_have_names(rows: dict[str, object]) -> None:
    connection, repository = Connection.objects.get(), Repository.objects.get()
    assert str(connection) == "Our server"
    assert str(repository) == "acme/site"
    assert "password" in str(Credential.objects.get())
    assert "copy" in str(RepositoryStatus.objects.get())
    assert str(Webhook.objects.get()) == "GitHub: acme/site"
    assert str(Delivery.objects.get()).startswith("delivery ")

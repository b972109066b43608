"""Connections with an authority and a proxy of their own: for the API and for git, and nobody reads along."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.db import connection as database

from opssight.accounts.models import AllowedHost, Team
from opssight.accounts.scope import Principal
from opssight.audit.models import AuditEvent
from opssight.core.clock import now
from opssight.core.errors import Failure, InvalidInput
from opssight.core.outbound import AddressRefused
from repos import access, connections
from repos.models import Connection, ProviderInstance
from repos.network import checked, network_of, shown
from tests.factories import make_connection, make_repository
from tests.forges.github import GitHubStandIn
from tests.forges.wires import Proxy, TlsFront

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.http_git]

SECRET = "canary-proxy-5e1c"
TOKEN = "canary-token-77b0"


@dataclass
class Place:
    """A forge behind TLS with a certificate that only `ca` vouches for, and a proxy that wants a login."""

    forge: GitHubStandIn
    front: TlsFront
    proxy: Proxy
    ca: str

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.front.port}"

    @property
    def proxy_url(self) -> str:
        return f"http://ada:{SECRET}@127.0.0.1:{self.proxy.port}"


def self_signed(folder: Path) -> tuple[str, ssl.SSLContext]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "own authority")])
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() - dt.timedelta(days=1))
        .not_valid_after(now() + dt.timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM).decode()
    both = folder / "server.pem"
    plain = serialization.NoEncryption()
    both.write_text(
        pem + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return pem, context


@pytest.fixture
def place(tmp_path: Path, folder: Path) -> Iterator[Place]:
    ca, context = self_signed(tmp_path)
    with (
        GitHubStandIn(tmp_path / "forge") as forge,
        TlsFront(forge.port, context) as front,
        Proxy("ada", SECRET) as proxy,
    ):
        forge.add_token(TOKEN, "ana", scopes=["repo"])
        forge.add_repository("acme/site", {b"index.html": b"hello"})
        AllowedHost.objects.create(pattern="127.0.0.1", cidr="127.0.0.0/8", ports=f"{front.port}")
        yield Place(forge, front, proxy, ca)


def allow_proxy(place: Place) -> None:
    AllowedHost.objects.create(pattern="127.0.0.1", cidr="127.0.0.0/8", ports=f"{place.proxy.port}")


def connect(principal: Principal, team: Team, place: Place, **network: Any) -> Connection:
    return connections.create_connection(
        principal, team, "github", "Acme", {"url": place.url}, {"token": TOKEN}, **network
    )


def git_connection(team: Team, place: Place, **network: str) -> Connection:
    url = f"{place.url}/acme/site.git"
    made = make_connection(team, "plain", options={"urls": [url], "username": "ana"}, **network)
    made.credentials.create(purpose="password", secret=TOKEN)
    return made


def test_the_api_needs_the_authority(principal: Principal, team: Team, place: Place) -> None:
    with pytest.raises(Failure, match="certificate"):
        access.client_of(connect(principal, team, place)).identity()
    Connection.objects.all().delete()
    assert access.client_of(connect(principal, team, place, ca=place.ca)).identity().account == "ana"


def test_git_needs_the_authority(team: Team, place: Place) -> None:
    url = f"{place.url}/acme/site.git"
    for ca, refused in (("", True), (place.ca, False)):
        row = make_repository(git_connection(team, place, ca=ca), f"site{ca[:1]}", external_id=url)
        if refused:
            with pytest.raises(Failure, match="TLS certificate"):
                access.look(row)
        else:
            assert access.look(row).refs


def test_the_api_goes_through_the_proxy(principal: Principal, team: Team, place: Place) -> None:
    made = connect(principal, team, place, ca=place.ca, proxy=place.proxy_url)
    with pytest.raises(AddressRefused):
        access.client_of(made).identity()
    assert place.proxy.asked == [], "an address that is not public needs an administrator"
    allow_proxy(place)
    assert access.client_of(made).identity().account == "ana"
    assert set(place.proxy.asked) == {f"127.0.0.1:{place.front.port}"}


def test_git_goes_through_the_proxy_with_a_login_that_stands_nowhere(team: Team, place: Place) -> None:
    made = git_connection(team, place, ca=place.ca, proxy=place.proxy_url)
    row = make_repository(made, "site", external_id=f"{place.url}/acme/site.git")
    with pytest.raises(AddressRefused):
        access.look(row)
    allow_proxy(place)
    remote = access.remote_of(row)
    assert access.look(row).refs
    assert set(place.proxy.asked) == {f"127.0.0.1:{place.front.port}"}
    assert SECRET in remote.secrets
    assert SECRET not in repr(remote)


def test_what_an_administrator_entered_for_the_instance_counts(
    principal: Principal, team: Team, place: Place
) -> None:
    ProviderInstance.objects.create(
        provider="github", url=place.url, client_id="1", client_secret="s", ca=place.ca
    )
    made = connect(principal, team, place)
    assert access.client_of(made).identity().account == "ana"
    assert connections.try_out("github", {"url": place.url}, {"token": TOKEN}).ok
    made.ca = "own"
    assert network_of(made).ca == "own"


def test_the_proxy_is_stored_encrypted_and_shown_without_its_login(
    principal: Principal, team: Team, place: Place
) -> None:
    made = connect(principal, team, place, ca=place.ca, proxy=place.proxy_url)
    with database.cursor() as cursor:
        cursor.execute("SELECT proxy FROM repos_connection")
        assert SECRET not in repr(cursor.fetchall())
    connections.update_connection(principal, made, proxy="")
    diff = AuditEvent.objects.get(action="connection.update").diff
    assert diff["proxy"] == [f"http://127.0.0.1:{place.proxy.port}", ""]
    assert SECRET not in str(diff)


def test_a_stored_secret_goes_no_new_way(principal: Principal, team: Team, place: Place) -> None:
    made = connect(principal, team, place)
    changes: list[dict[str, Any]] = [{"ca": place.ca}, {"proxy": place.proxy_url}]
    for change in changes:
        with pytest.raises(InvalidInput, match="Enter it again") as refused:
            connections.update_connection(principal, made, **change)
        assert [where for where, _ in refused.value.problems] == ["token"]
    connections.update_connection(principal, made, ca=place.ca, secrets={"token": TOKEN})
    connections.update_connection(principal, made, name="Other name", ca=place.ca)
    assert Connection.objects.get().ca == place.ca


@pytest.mark.parametrize(
    ("ca", "proxy", "wrong"),
    [
        ("not a certificate", "", ["ca"]),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "", ["ca"]),
        ("-----BEGIN PRIVATE KEY-----", "", ["ca"]),
        ("", "socks5://proxy:1080", ["proxy"]),
        ("", "http://proxy:x", ["proxy"]),
        ("", "http://proxy/path", ["proxy"]),
        ("", "http://", ["proxy"]),
        ("", "http://a b:1", ["proxy"]),
        ("no", "no", ["ca", "proxy"]),
    ],
)
def test_what_cannot_be_used_is_said_at_its_field(ca: str, proxy: str, wrong: list[str]) -> None:
    with pytest.raises(InvalidInput) as refused:
        checked(ca, proxy)
    assert [where for where, _ in refused.value.problems] == wrong
    assert shown("https://ada:x@proxy.example.org:3128") == "https://proxy.example.org:3128"

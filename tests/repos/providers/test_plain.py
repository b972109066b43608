from __future__ import annotations

from typing import Any

import pytest

from opssight.core.errors import AuthFailure, InvalidInput
from opssight.core.outbound import AddressRefused, AllowedTarget, Policy
from repos.access import vetted
from repos.git import keys
from repos.git.remote import PasswordCredential, Remote, SshCredential
from repos.git.runner import Git
from repos.providers.errors import NotOfThisConnection
from repos.providers.plain.provider import PlainProvider
from repos.providers.types import Context
from tests.forges.githttp import GitServer
from tests.repos.providers.contract import Case

HOST_KEY = "git.example.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKx"
KEY = keys.make().strip()
HTTPS = "https://git.example.org/team/site.git"
SSH = "ssh://git@git.example.org/team/site.git"


@pytest.fixture
def context(git: Git) -> Context:
    return Context(git=git, vet=lambda remote: remote)


def problems(
    context: Context, options: dict[str, Any], secrets: dict[str, str] | None = None
) -> dict[str, str]:
    with pytest.raises(InvalidInput) as refused:
        PlainProvider(options, secrets or {}, context)
    return dict(refused.value.problems)


def test_https_with_a_token_alone(context: Context) -> None:
    client = PlainProvider({"urls": HTTPS}, {"password": "t0ken"}, context)
    remote = client.remote(HTTPS, "team/site")
    assert remote.credential == PasswordCredential("git", "t0ken")
    assert (remote.url, remote.label) == (HTTPS, "team/site")


def test_no_credential_for_a_public_repository(context: Context) -> None:
    assert PlainProvider({"urls": [HTTPS]}, {}, context).remote(HTTPS, "x").credential is None


def test_ssh_with_a_pinned_host_key(context: Context) -> None:
    options = {"urls": ["git@git.example.org:team/site.git"], "host_key": ["# comment", HOST_KEY]}
    client = PlainProvider(options, {"private_key": KEY}, context)
    [url] = client._remotes
    assert url == SSH
    assert client.remote(url, "x").credential == SshCredential(KEY, HOST_KEY)


def test_ssh_without_a_host_key_says_how_to_get_it(context: Context) -> None:
    found = problems(context, {"urls": [SSH.replace("org/", "org:2222/")]}, {"private_key": KEY})
    assert "ssh-keyscan -p 2222 git.example.org" in found["host_key"]
    found = problems(context, {"urls": [SSH], "host_key": ["# only a comment"]}, {"private_key": KEY})
    assert "ssh-keyscan git.example.org" in found["host_key"]


def test_ssh_without_a_key(context: Context) -> None:
    assert set(problems(context, {"urls": [SSH]})) == {"private_key", "host_key"}


def test_a_host_key_that_is_none(context: Context) -> None:
    options = {"urls": [SSH], "host_key": "ssh-ed25519 AAAA"}
    assert "three parts" in problems(context, options, {"private_key": KEY})["host_key"]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("file:///srv/git/site.git", "connection of the kind folder"),
        ("/srv/git/site.git", "connection of the kind folder"),
        ("ext::sh -c id", "not an address"),
        ("--upload-pack=id", "begins with a dash"),
        ("git://git.example.org/x", "Only https, http, ssh and file"),
        ("https://git.example.org/" + "x" * 400, "longer than"),
    ],
)
def test_addresses_that_are_refused(context: Context, url: str, words: str) -> None:
    assert words in problems(context, {"urls": [HTTPS, url]})["urls"]


def test_a_password_in_the_address_is_refused_without_repeating_it(context: Context) -> None:
    said = problems(context, {"urls": ["https://ada:canary-7@git.example.org/x"]})["urls"]
    assert "canary-7" not in said
    assert "git.example.org/x" in said


def test_one_connection_gives_its_secrets_to_one_server(context: Context) -> None:
    options = {"urls": [HTTPS, "https://other.example.org/x"]}
    assert "different servers" in problems(context, options, {"password": "t0ken"})["urls"]
    assert len(PlainProvider(options, {}, context).origins) == 2


def test_a_user_name_without_a_password(context: Context) -> None:
    assert "without a password" in problems(context, {"urls": [HTTPS], "username": "ada"})["password"]


def test_an_address_that_was_taken_out(context: Context) -> None:
    client = PlainProvider({"urls": [HTTPS]}, {}, context)
    with pytest.raises(NotOfThisConnection, match="any more"):
        client.remote("https://git.example.org/other.git", "other")


@pytest.mark.http_git
def test_a_wrong_password(plain_case: Case) -> None:
    client = plain_case.client(secrets={"password": "wrong"})
    with pytest.raises(AuthFailure, match="refuses the credential"):
        client.identity()
    assert [one.usable for one in client.repositories()] == [False, False]


@pytest.mark.http_git
def test_a_missing_repository_does_not_hide_the_others(plain_case: Case, git_server: GitServer) -> None:
    urls = [*plain_case.options["urls"], git_server.url_of("gone.git")]
    found = {
        one.full_name: one
        for one in plain_case.client(options={"urls": urls, "username": "robot"}).repositories()
    }
    assert {name: one.usable for name, one in found.items()} == {
        "site": True,
        "team/docs": True,
        "gone": False,
    }
    assert "is not there" in found["gone"].reason


@pytest.mark.http_git
def test_identity_names_user_and_server(plain_case: Case, git_server: GitServer) -> None:
    identity = plain_case.client().identity()
    assert identity.account == f"robot@127.0.0.1:{git_server.port}"
    assert identity.detail == "site has 1 branch"


def policy(*allowed: AllowedTarget, addresses: tuple[str, ...] = ("93.184.216.34",)) -> Policy:
    return Policy(allowed, resolve=lambda host, port: addresses)


def test_vetting_pins_the_looked_up_addresses() -> None:
    assert vetted(Remote.from_url(HTTPS), policy()).addresses == ("93.184.216.34",)
    assert vetted(Remote.from_url(SSH), policy()).addresses == ("93.184.216.34",)


def test_vetting_refuses_private_addresses() -> None:
    for url in (HTTPS, SSH):
        with pytest.raises(AddressRefused, match="administrator allows"):
            vetted(Remote.from_url(url), policy(addresses=("93.184.216.34", "10.0.0.7")))


def test_vetting_refuses_plain_http_that_nobody_allowed() -> None:
    remote = Remote.from_url("http://git.example.org/x")
    with pytest.raises(AddressRefused, match="plain http"):
        vetted(remote, policy())
    allowed = AllowedTarget("git.example.org", "93.184.216.0/24", (80,))
    assert vetted(remote, policy(allowed)).addresses == ("93.184.216.34",)

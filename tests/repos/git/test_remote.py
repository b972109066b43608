from __future__ import annotations

from pathlib import Path

import pytest

from opssight.core.errors import InvalidInput
from repos.git.remote import PasswordCredential, Remote, SshCredential

KEY = SshCredential(
    "-----BEGIN KEY-----\nc2VjcmV0LXNlY3JldC1zZWNyZXQ=\n-----END KEY-----", "host ssh-ed25519 AAAA"
)


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("https://Forge.example/team/app.git", "https://forge.example/team/app.git"),
        ("HTTPS://forge.example:8443/team/app", "https://forge.example:8443/team/app"),
        ("  http://forge.example/app.git ", "http://forge.example/app.git"),
        ("https://forge.example/Ä b/app.git", "https://forge.example/%C3%84%20b/app.git"),
        ("https://forge.example/a%20b.git", "https://forge.example/a%20b.git"),
        ("https://[2001:db8::1]:8443/app.git", "https://[2001:db8::1]:8443/app.git"),
        ("ssh://git@forge.example:2222/team/app.git", "ssh://git@forge.example:2222/team/app.git"),
        ("git@forge.example:team/app.git", "ssh://git@forge.example/team/app.git"),
        ("forge.example:/srv/app.git", "ssh://forge.example/srv/app.git"),
        ("git@forge.example:~/app.git", "ssh://git@forge.example/~/app.git"),
        ("git@[2001:db8::1]:app.git", "ssh://git@[2001:db8::1]/app.git"),
        ("/srv/git/app.git", "file:///srv/git/app.git"),
        ("/srv/git/ä #1 %.git", "file:///srv/git/%C3%A4%20%231%20%25.git"),
        ("file:///srv/git/app.git", "file:///srv/git/app.git"),
    ],
)
def test_what_people_write_becomes_one_form(written: str, url: str) -> None:
    assert Remote.from_url(written).url == url
    assert Remote.from_url(url).url == url


@pytest.mark.parametrize(
    "written",
    [
        "",
        "app.git",
        "../app.git",
        "-oProxyCommand=evil",
        "--upload-pack=evil",
        "ext::sh -c evil",
        "ext::sh%20-c%20evil",
        "fd::17",
        "file::/srv/app.git",
        "git://forge.example/app.git",
        "ftp://forge.example/app.git",
        "javascript://forge.example/app",
        "https://user@forge.example/app.git",
        "https://user:secret@forge.example/app.git",
        "https://@forge.example/app.git",
        "ssh://git:secret@forge.example/app.git",
        "ssh://-oProxyCommand=evil/app.git",
        "ssh://-l@forge.example/app.git",
        "ssh://git@-forge.example/app.git",
        "-x@forge.example:app.git",
        "git@-forge.example:app.git",
        "git@forge.example:-app.git",
        "https://-forge.example/app.git",
        "https://forge.example",
        "https://forge.example/",
        "https:///app.git",
        "https://forge.example:0/app.git",
        "https://forge.example:99999/app.git",
        "https://forge.example:port/app.git",
        "https://forge.example/app.git?token=secret",
        "https://forge.example/app.git#main",
        "https://forge example/app.git",
        "https://forge%2eexample/app.git",
        "https://evil%40good.example/app.git",
        "https://[::1/app.git",
        "https://[nonsense]/app.git",
        "https://[::1]x/app.git",
        "https://forge.example/a\nb.git",
        "https://forge.example/a%0ab.git",
        "https://forge.example/a\0b.git",
        "https://forge.example\\@evil.example/app.git",
        "file://server/share/app.git",
        "file://",
    ],
)
def test_hostile_and_useless_addresses_are_refused(written: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Remote.from_url(written)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["HTTPS://forge.example/a", "/srv/app.git", "git@forge.example:a", "-x"])
def test_the_constructor_takes_the_plain_form_only(url: str) -> None:
    with pytest.raises(InvalidInput):
        Remote(url)


def test_secrets_are_in_no_repr() -> None:
    remote = Remote.from_url("https://forge.example/app", PasswordCredential("robot", "hunter2"))
    assert "hunter2" not in repr(remote)
    assert "c2VjcmV0" not in repr(Remote.from_url("git@forge.example:app", KEY))
    assert "AAAA" not in repr(KEY)


def test_a_credential_fits_its_scheme() -> None:
    with pytest.raises(InvalidInput):
        Remote.from_url("https://forge.example/app", KEY)
    with pytest.raises(InvalidInput):
        Remote.from_url("git@forge.example:app", PasswordCredential("u", "p"))
    with pytest.raises(InvalidInput):
        Remote.from_url("/srv/app.git", PasswordCredential("u", "p"))


@pytest.mark.parametrize("password", ["two\nlines", "two\rlines", "nul\0"])
def test_a_password_is_one_line(password: str) -> None:
    with pytest.raises(InvalidInput):
        PasswordCredential("u", password)


def test_addresses_must_be_addresses() -> None:
    with pytest.raises(ValueError):
        Remote.from_url("https://forge.example/app", addresses=("forge.example",))


def test_parts() -> None:
    remote = Remote.from_url("https://forge.example:8443/app.git", label="the app")
    assert (remote.scheme, remote.host, remote.port) == ("https", "forge.example", 8443)
    assert (remote.origin, remote.path, remote.name) == ("https://forge.example:8443", None, "the app")
    ssh = Remote.from_url("git@forge.example:app.git")
    assert (ssh.origin, ssh.port, ssh.name) == ("ssh://forge.example", 22, "ssh://git@forge.example/app.git")
    folder = Remote.from_url("/srv/ä #1 %.git")
    assert (folder.path, folder.port, folder.host) == (Path("/srv/ä #1 %.git"), None, "")

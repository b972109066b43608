"""After a whole round trip through OAuth in an installation of its own, with real processes and database: no
access token, refresh token, client secret or code stands in clear in a dump, a log, a page or an address.

What is folded (base64, hexadecimal, zlib: sessions, the cache, stored answers) is unfolded first.
"""

from __future__ import annotations

import binascii
import re
import sqlite3
import subprocess
import zlib
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.forges.connect import GitHubWithOAuth
from tests.instance import Instance
from tests.postgres import programs

SECRET = "canary-client-secret-5b1e90"
_PREPARE = """
import django
django.setup()
from opssight.accounts.models import AllowedHost
from repos.models import ProviderInstance
AllowedHost.objects.create(pattern="127.0.0.1", cidr="127.0.0.1/32", ports="{port}")
app = dict(client_id="client-1", client_secret="{secret}")
ProviderInstance.objects.create(provider="github", url="{url}", **app)
"""
_FOLDED = re.compile(rb"[A-Za-z0-9+/_-]{24,}")
_HEX = re.compile(rb"(?:[0-9a-fA-F]{2}){12,}")
_DEEP = 3


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[GitHubWithOAuth]:
    with GitHubWithOAuth(tmp_path / "forge") as running:
        running.apps = {"client-1": SECRET}
        running.add_repository("acme/site", {b"index.html": b"hello"})
        running.add_repository("acme/docs", {b"README": b"hello"})
        running.lifetime = 120  # so soon that the first use renews it
        yield running


def test_sqlite(tmp_path: Path, forge: GitHubWithOAuth) -> None:
    with Instance(tmp_path / "one", env={"OPSSIGHT_LOG_LEVEL": "debug"}) as instance:
        pages = round_trip(instance, forge)
        check(instance, forge, pages, sqlite_dump)


def test_postgresql(tmp_path: Path, forge: GitHubWithOAuth, postgres_url: str) -> None:
    with Instance(
        tmp_path / "one", database_url=postgres_url, env={"OPSSIGHT_LOG_LEVEL": "debug"}
    ) as instance:
        pages = round_trip(instance, forge)
        check(instance, forge, pages, postgres_dump)


def check(
    instance: Instance, forge: GitHubWithOAuth, pages: list[str], dump: Callable[[Instance], bytes]
) -> None:
    """Nothing is found, and what is planted is."""
    secrets = [*forge.given, SECRET]
    assert len(forge.given) >= 5, "a code, and two tokens each with what renews it"
    dumped = dump(instance)
    assert b"acme/site" in dumped, "it is the dump of what was done"
    assert found(dumped, secrets) == []
    logs = b"".join(path.read_bytes() for path in instance.folder.glob("*.log"))
    assert b"/login/oauth/access_token" in logs, "it logs everything, requests too"
    assert found(logs, secrets) == []
    assert found("".join(pages).encode(), secrets) == []
    addresses = [f"{asked.path}?{asked.raw_query}" for asked in forge.asked]
    assert any("/user/repos" in one for one in addresses)
    assert found("\n".join(addresses).encode(), secrets) == []
    planted = forge.given[: len(PLANTS)]
    lines = [plant.format(secret=secret) for plant, secret in zip(PLANTS, planted, strict=True)]
    instance.python("".join([_SETUP, *lines]))
    assert found(dump(instance), secrets) == planted


def round_trip(instance: Instance, forge: GitHubWithOAuth) -> list[str]:
    """Connect with the button, list, import, renew, and be refused in the end; the pages that were seen."""
    email, password = instance.prepare()
    instance.python(_PREPARE.format(port=forge.port, url=forge.url, secret=SECRET))
    url = instance.start("web").url
    seen: list[httpx.Response] = []
    with httpx.Client(base_url=url, follow_redirects=True, timeout=60) as browser:
        browser.event_hooks["response"] = [seen.append]

        def post(path: str, **fields: str) -> httpx.Response:
            given = {"csrfmiddlewaretoken": browser.cookies["opssight-csrf"], **fields}
            return browser.post(path, data=given, headers={"Referer": url})

        browser.get("/accounts/signin/")
        post("/accounts/signin/", username=email, password=password)
        page = post("/connections/new/oauth/", provider="github", url=forge.url)
        address = page.headers["Refresh"].partition("url=")[2]
        back = urlsplit(httpx.post(address).headers["location"])
        found_page = browser.get(f"{back.path}?{back.query}")
        assert found_page.url.path.endswith("/found/")
        listed = browser.get(f"{found_page.url.path}?wait").text
        assert "acme/docs" in listed
        assert forge.refreshed > 0
        shown = re.findall(r'name="token" value="([^"]+)"', listed)
        post(found_page.url.path, all="1", token=shown[0])
        connection = str(found_page.url.path).removesuffix("found/")
        post(f"{connection}test/")
        for token in forge.tokens.values():
            token.revoked = True
        forge.refresh_tokens.clear()
        post(f"{connection}test/")
        browser.get(connection)
    assert [one.url for one in seen if one.status_code >= 500] == []
    return [response.text for response in seen]


# --- dumps ------------------------------------------------------------------------------------------


def sqlite_dump(instance: Instance) -> bytes:
    """As SQL, and the files as they are: they keep what was deleted."""
    path = instance.data / "opssight.sqlite3"
    with closing(sqlite3.connect(path)) as file:
        text = "\n".join(file.iterdump())
    beside = [one.read_bytes() for one in sorted(path.parent.glob(f"{path.name}*"))]
    return b"\n".join([text.encode(), *beside])


def postgres_dump(instance: Instance) -> bytes:
    url = instance.env["OPSSIGHT_DATABASE_URL"]
    done = subprocess.run([str(programs() / "pg_dump"), "--dbname", url], capture_output=True, check=True)
    return done.stdout


# --- looking ----------------------------------------------------------------------------------------


def found(text: bytes, secrets: list[str]) -> list[str]:
    """The secrets that stand in `text`, or in what is folded in it."""
    pieces = list(unfolded(text, _DEEP))
    return [secret for secret in secrets if any(secret.encode() in piece for piece in pieces)]


def unfolded(data: bytes, deep: int) -> Iterator[bytes]:
    yield data
    if not deep:
        return
    for folded in {*_FOLDED.findall(data)}:
        for inner in _opened(folded):
            yield from unfolded(inner, deep - 1)


def _opened(folded: bytes) -> Iterator[bytes]:
    options = []
    if _HEX.fullmatch(folded.lstrip(b"x")):  # PostgreSQL begins bytes with an x
        options.append(binascii.unhexlify(folded.lstrip(b"x")))
    plain = folded.replace(b"+", b"-").replace(b"/", b"_")
    for rest in (plain, plain[1:]):  # a dot or a slash may stand before it
        try:
            options.append(urlsafe_b64decode(rest + b"=" * (-len(rest) % 4)))
        except binascii.Error:
            continue
    for option in options:
        yield option
        try:
            yield zlib.decompress(option)
        except zlib.error:
            continue


_SETUP = """
import zlib
import django
django.setup()
from django.contrib.sessions.backends.db import SessionStore
from repos.models import Connection, Etag
made = Connection.objects.get()
"""
PLANTS = [
    "Connection.objects.update(sentence='token={secret} was refused')\n",
    "Connection.objects.update(options={{'note': '{secret}'}})\n",
    "body = zlib.compress(b'[\"{secret}\"]')\n"
    "Etag.objects.create(connection=made, url_hash='x', etag='x', body=body)\n",
    "session = SessionStore('planted')\nsession['token'] = '{secret}' + 'x' * 500\n"
    "session.save(must_create=True)\n",
]
"""Leaks that have to be found: as it is, in JSON, in a stored answer, in a session."""

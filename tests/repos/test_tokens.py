"""OAuth against a server whose refresh tokens are accepted once, by workers that want them at once."""

from __future__ import annotations

import datetime as dt
import os
import secrets
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from django.db import connection as database, connections

from opssight.core.clock import now
from opssight.core.errors import AuthFailure, PermanentFailure, Revoked, TransientFailure
from opssight.core.outbound import AllowedTarget, Policy
from opssight.core.outbound_http import client
from repos import tokens
from repos.models import Connection, Credential
from repos.providers.oauth import Grant, OAuth, OAuthApp, OAuthClient
from repos.tokens import DatabaseTokens, store_grant
from tests.factories import make_connection, make_team
from tests.forges.oauth import OAuthSide
from tests.forges.standin import Asked, Reply, route

LOOPBACK = Policy([AllowedTarget("127.0.0.1", "127.0.0.0/8")])
BACK = "https://ops.example.org/auth/callback/example"
OAUTH = OAuth("/oauth/authorize", "/oauth/token", ("repo", "hooks"))
pytestmark = pytest.mark.django_db(transaction=True)


class Server(OAuthSide):
    api_prefix = "/oauth/"

    @route("GET", "/oauth/authorize")
    @route("POST", "/oauth/authorize")
    def ask_the_person(self, asked: Asked) -> Reply:
        return self.authorize(asked)

    @route("POST", "/oauth/token")
    def give_a_token(self, asked: Asked) -> Reply:
        return self.token(asked)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path) as running:
        yield running


def oauth(server: Server, secret: str = "canary-client-secret") -> OAuthClient:  # noqa: S107
    app = OAuthApp(server.url, "client-1", secret)
    return OAuthClient(OAUTH, app, lambda url: client(LOOPBACK, timeout=10, max_bytes=10_000), "Example")


def allowed(server: Server, verifier: str) -> str:
    """What the browser brings back once the person allowed it: the code."""
    url = oauth(server).authorize_url(BACK, "state-1", verifier)
    answer = httpx.post(url, follow_redirects=False)
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    assert query["state"] == ["state-1"]
    return query["code"][0]


def connected(server: Server) -> Connection:
    """A connection whose token ends now."""
    verifier = secrets.token_urlsafe(48)
    grant = oauth(server).exchange(allowed(server, verifier), BACK, verifier)
    connection = make_connection(make_team())
    store_grant(connection, grant)
    end_now(connection)
    return connection


def end_now(connection: Connection) -> None:
    connection.credentials.filter(purpose="token").update(expires_at=now() + dt.timedelta(seconds=30))


def test_a_code_becomes_tokens_once_and_only_for_us(server: Server) -> None:
    verifier = secrets.token_urlsafe(48)
    code = allowed(server, verifier)
    with pytest.raises(AuthFailure, match="does not accept this sign-in"):
        oauth(server).exchange(code, BACK, secrets.token_urlsafe(48))
    code = allowed(server, verifier)
    grant = oauth(server).exchange(code, BACK, verifier)
    assert grant.scopes == ("repo", "hooks")
    assert grant.expires_at is not None
    assert grant.expires_at > now() + dt.timedelta(hours=1)
    with pytest.raises(AuthFailure):
        oauth(server).exchange(code, BACK, verifier)
    assert server.exchanged == 1
    for asked in server.asked:
        for secret in (grant.token, grant.refresh_token, verifier, "canary-client-secret"):
            assert secret not in f"{asked.path}?{asked.query}"
    assert grant.token not in repr(grant)


def test_a_wrong_client_secret_is_the_administrators_trouble(server: Server) -> None:
    verifier = secrets.token_urlsafe(48)
    with pytest.raises(PermanentFailure, match="client id and secret") as failed:
        oauth(server, "wrong").exchange(allowed(server, verifier), BACK, verifier)
    assert not isinstance(failed.value, AuthFailure)


@pytest.mark.parametrize(
    "reply",
    [Reply(200, {}), Reply(200, []), Reply(200, raw=b"<html>"), Reply(503), Reply(200, {"access_token": 7})],
)
def test_odd_answers_for_a_token(server: Server, reply: Reply) -> None:
    server.next_replies = [reply]
    with pytest.raises(TransientFailure):
        oauth(server).refresh("x")


def test_a_token_is_renewed_before_it_ends_and_stored_encrypted(server: Server) -> None:
    connection = connected(server)
    before = Credential.objects.get(connection=connection, purpose="token")
    source = DatabaseTokens(connection, oauth(server).refresh)
    token = source.current()
    after = Credential.objects.get(connection=connection, purpose="token")
    assert token == after.secret != before.secret
    assert (after.version, after.refresh_owner, after.refresh_until) == (before.version + 1, None, None)
    assert source.current() == token
    assert server.refreshed == 1
    with database.cursor() as cursor:
        cursor.execute("SELECT secret FROM repos_credential")
        stored = repr(cursor.fetchall())
    assert token not in stored
    assert "ort-" not in stored


def test_a_refused_token_is_renewed_unless_another_worker_did(server: Server) -> None:
    connection = connected(server)
    one, other = (DatabaseTokens(connection, oauth(server).refresh) for _ in range(2))
    refused = Credential.objects.get(connection=connection, purpose="token").secret
    fresh = one.renewed(refused)
    assert other.renewed(refused) == fresh
    assert server.refreshed == 1


def test_a_token_without_a_refresh_token_has_no_other() -> None:
    connection = make_connection(make_team())
    store_grant(connection, Grant("only-one"))
    source = DatabaseTokens(connection, lambda token: pytest.fail("nothing can be renewed"))
    assert source.current() == "only-one"
    assert source.renewed("only-one") == ""
    connection.credentials.all().delete()
    with pytest.raises(AuthFailure, match="Connect again"):
        source.current()


def test_two_workers_at_once_renew_once_200_times(server: Server) -> None:
    connection = connected(server)
    together = threading.Barrier(2)
    got: list[str] = []

    def worker() -> None:
        source = DatabaseTokens(connection, oauth(server).refresh)
        for _ in range(200):
            together.wait(30)
            got.append(source.current())
            if together.wait(30) == 0:
                end_now(connection)
        connections.close_all()

    threads = [threading.Thread(target=worker) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 400
    assert len(set(got)) == server.refreshed == 200


def test_a_lease_that_ran_out_is_taken_over(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = connected(server)
    row = Credential.objects.get(connection=connection, purpose="token")
    source = DatabaseTokens(connection, oauth(server).refresh)
    held = now() + dt.timedelta(minutes=1)
    Credential.objects.filter(pk=row.pk).update(refresh_owner=row.pk, refresh_until=held)
    monkeypatch.setattr(tokens, "WAIT_SECONDS", 0.2)
    with pytest.raises(TransientFailure, match="being renewed"):
        source.current()
    over = now() - dt.timedelta(seconds=1)
    Credential.objects.filter(pk=row.pk).update(refresh_until=over)
    assert source.current() != row.secret
    assert server.refreshed == 1


def test_a_kill_between_the_answer_and_our_commit_ends_with_a_sentence(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connected(server)

    def refresh_and_die(token: str) -> Grant:
        oauth(server).refresh(token)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    connections.close_all()
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        DatabaseTokens(connection, refresh_and_die).current()
        os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert server.refreshed == 1

    Credential.objects.filter(purpose="token").update(refresh_until=now() - dt.timedelta(seconds=1))
    for _ in range(2):
        with pytest.raises(AuthFailure, match=r"the answer was lost.*Connect again") as failed:
            DatabaseTokens(connection, oauth(server).refresh).current()
        assert not isinstance(failed.value, Revoked)
    assert server.refreshed == 1
    assert Credential.objects.get(connection=connection, purpose="token").refresh_until is None
    verifier = secrets.token_urlsafe(48)
    store_grant(connection, oauth(server).exchange(allowed(server, verifier), BACK, verifier))
    end_now(connection)
    assert DatabaseTokens(connection, oauth(server).refresh).current().startswith("oat-")
    assert server.refreshed == 2, "once connected again it renews itself as before"


def test_a_renewal_that_is_refused_out_of_the_blue_was_taken_back(server: Server) -> None:
    connection = connected(server)
    source = DatabaseTokens(connection, oauth(server).refresh)
    source.current()
    server.refresh_tokens.clear()
    end_now(connection)
    for _ in range(2):
        with pytest.raises(Revoked, match=r"taken back there.*Connect again"):
            source.current()
    row = Credential.objects.get(connection=connection, purpose="token")
    assert (row.refresh_owner, row.refresh_until) == (None, None)


def test_an_answer_that_was_lost_on_the_way_is_not_called_taken_back(server: Server) -> None:
    connection = connected(server)

    def refresh_without_hearing(token: str) -> Grant:
        oauth(server).refresh(token)
        raise TransientFailure("The line broke.")

    with pytest.raises(TransientFailure):
        DatabaseTokens(connection, refresh_without_hearing).current()
    with pytest.raises(AuthFailure, match="the answer was lost") as failed:
        DatabaseTokens(connection, oauth(server).refresh).current()
    assert not isinstance(failed.value, Revoked)


def test_a_token_that_is_entered_meanwhile_is_not_overwritten_by_a_renewal(server: Server) -> None:
    connection = connected(server)

    def refresh_while_another_token_is_entered(token: str) -> Grant:
        grant = oauth(server).refresh(token)
        store_grant(connection, Grant("entered-by-hand"))
        return grant

    source = DatabaseTokens(connection, refresh_while_another_token_is_entered)
    assert source.current() == "entered-by-hand"
    assert Credential.objects.get(connection=connection, purpose="token").secret == "entered-by-hand"

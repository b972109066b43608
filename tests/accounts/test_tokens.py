from __future__ import annotations

import datetime as dt
import io
import logging
from typing import Any

import pytest
from django.core import serializers
from django.db import connection
from django.test.utils import CaptureQueriesContext

from opssight.accounts import tokens
from opssight.accounts.models import ApiToken, Membership, Role
from opssight.accounts.scope import NotAllowed, Principal
from opssight.core import crypto, keys, rotation
from opssight.core.clock import now
from opssight.core.errors import InvalidInput
from opssight.core.logs import CleanFilter
from tests.factories import make_team, make_user

pytestmark = pytest.mark.django_db
HOUR = dt.timedelta(hours=1)


def make_token(role: Role = Role.OWNER, **extra: Any) -> tuple[ApiToken, str]:
    user = make_user()
    team = make_team(user, role)
    values: dict[str, Any] = {"name": "ci", "scopes": ["runs:read"], **extra}
    return tokens.issue(Principal.of_user(user), team, **values)


def test_a_token_is_shown_once_and_its_secret_is_stored_nowhere() -> None:
    token, shown = make_token()
    secret = shown.split(".")[1]
    assert shown == f"osp_{token.key}.{secret}"
    assert len(secret) == 40
    dump = serializers.serialize("json", ApiToken.objects.all())
    assert token.digest in dump
    assert secret not in dump
    assert shown not in dump


def test_a_token_does_not_stand_in_a_log_line() -> None:
    _, shown = make_token()
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(CleanFilter())
    logger = logging.getLogger("tests.tokens")
    logger.addHandler(handler)
    try:
        logger.error("refused %s and %s", shown, shown.split(".")[1])
        logger.error("refused Authorization: Bearer %s", shown)
    finally:
        logger.removeHandler(handler)
    assert "refused" in stream.getvalue()
    assert shown.split(".")[1] not in stream.getvalue()


def test_the_shown_text_is_verified_and_anything_else_is_not() -> None:
    token, shown = make_token()
    assert tokens.verify(shown) == token
    wrong_secret = shown[:-1] + ("a" if shown[-1] != "a" else "b")
    unknown_key = f"osp_{'x' * 12}.{shown.split('.')[1]}"
    for text in (
        "",
        "osp_",
        shown[4:],
        wrong_secret,
        unknown_key,
        shown + "x",
        shown.replace(".", ""),
        "ghp_abc",
    ):
        assert tokens.verify(text) is None, text


def test_a_token_ends_by_time_by_revocation_and_with_its_account() -> None:
    token, shown = make_token(expires_at=now() + HOUR)
    assert tokens.verify(shown, at=now() + HOUR / 2) is not None
    assert tokens.verify(shown, at=now() + HOUR) is None
    token.user.is_active = False
    token.user.save()
    assert tokens.verify(shown) is None
    token.user.is_active = True
    token.user.save()
    tokens.revoke(Principal.of_user(token.user), token)
    assert token.revoked_at is not None
    assert tokens.verify(shown) is None


def test_use_is_noted_at_most_once_a_minute() -> None:
    token, shown = make_token()
    first = now()
    tokens.verify(shown, at=first)
    token.refresh_from_db()
    assert token.last_used_at == first
    tokens.verify(shown, at=first + dt.timedelta(seconds=59))
    token.refresh_from_db()
    assert token.last_used_at == first
    tokens.verify(shown, at=first + dt.timedelta(seconds=61))
    token.refresh_from_db()
    assert token.last_used_at == first + dt.timedelta(seconds=61)


def test_a_token_survives_key_rotation_and_moves_to_the_new_key(monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = ("k1", b"1" * 32), ("k2", b"2" * 32)
    monkeypatch.setattr(tokens, "keyring", lambda: crypto.Keyring([old]))
    token, shown = make_token()
    assert token.pepper_id == "k1"
    monkeypatch.setattr(tokens, "keyring", lambda: crypto.Keyring([new, old]))
    assert tokens.verify(shown) == token
    token.refresh_from_db()
    assert token.pepper_id == "k2"
    monkeypatch.setattr(tokens, "keyring", lambda: crypto.Keyring([new]))
    assert tokens.verify(shown) == token
    monkeypatch.setattr(tokens, "keyring", lambda: crypto.Keyring([old]))
    assert tokens.verify(shown) is None  # made with a key that is not here


def test_the_hash_depends_on_the_installation_s_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    token, shown = make_token()
    stolen = crypto.Keyring([(keys.keyring().primary, b"9" * 32)])
    monkeypatch.setattr(tokens, "keyring", lambda: stolen)
    assert tokens.verify(shown) is None
    assert token.digest != ""


def test_an_unknown_key_costs_the_same_work_as_a_wrong_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    _, shown = make_token()
    digests: list[str] = []
    original = tokens._digest

    def counting(*args: str) -> str:
        digests.append(args[1])
        return original(*args)

    monkeypatch.setattr(tokens, "_digest", counting)
    tokens.verify(shown[:-3] + "zzz")
    with CaptureQueriesContext(connection) as queries:
        tokens.verify(f"osp_{'y' * 12}.{'z' * 40}")
    assert len(digests) == 2
    assert len(queries) == 1


@pytest.mark.parametrize(
    ("extra", "field"),
    [
        ({"name": "  "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["runs:fly"]}, "scopes"),
        ({"expires_at": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)}, "expires_at"),
    ],
)
def test_what_cannot_be_used_is_named(extra: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        make_token(**extra)
    assert [where for where, _ in caught.value.problems] == [field]
    assert not ApiToken.objects.exists()


def test_only_a_member_gets_a_token_of_a_team() -> None:
    stranger = Principal.of_user(make_user())
    with pytest.raises(NotAllowed):
        tokens.issue(stranger, make_team(make_user()), "ci", ["all"])


def test_a_token_makes_no_token_that_may_do_more_or_lasts_longer() -> None:
    token, _ = make_token(scopes=["tokens:write", "runs:read"], expires_at=now() + HOUR)
    principal = Principal.of_token(token)
    with pytest.raises(NotAllowed, match="jobs:write"):
        tokens.issue(principal, token.team, "more", ["jobs:write"], now() + HOUR / 2)
    with pytest.raises(NotAllowed, match="lasts longer"):
        tokens.issue(principal, token.team, "longer", ["runs:read"])
    made, _ = tokens.issue(principal, token.team, "less", ["runs:read"], now() + HOUR / 2)
    assert made.user == token.user


def test_one_revokes_one_s_own_and_an_administrator_any() -> None:
    token, shown = make_token(Role.VIEWER)
    operator, admin = make_user(), make_user()
    Membership.objects.create(team=token.team, user=operator, role=Role.OPERATOR)
    Membership.objects.create(team=token.team, user=admin, role=Role.ADMIN)
    assert token not in tokens.listed(Principal.of_user(operator))
    assert token in tokens.listed(Principal.of_user(admin))
    with pytest.raises(NotAllowed):
        tokens.revoke(Principal.of_user(operator), token)
    assert tokens.verify(shown) is not None
    tokens.revoke(Principal.of_user(admin), token)
    assert tokens.verify(shown) is None


def test_leaving_the_team_takes_the_token_s_rights_away() -> None:
    token, _ = make_token()
    Membership.objects.filter(user=token.user, team=token.team).delete()
    assert Principal.of_token(token).roles == {}


def test_a_key_that_a_token_needs_is_not_removable() -> None:
    token, _ = make_token()
    assert rotation.status().places["accounts.ApiToken.digest"] == {token.pepper_id: 1}

    ApiToken.objects.update(revoked_at=now())

    assert rotation.status().places["accounts.ApiToken.digest"] == {}

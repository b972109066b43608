from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from opssight.accounts.models import Team
from opssight.core import keys, rotation
from opssight.core.crypto import Keyring
from opssight.core.env import load
from opssight.core.fields import Stored
from repos.models import Connection, Credential, Webhook

pytestmark = pytest.mark.django_db

SECRETS = ("repos.Webhook.secret", "repos.Credential.secret")


@pytest.fixture(autouse=True)
def data(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(rotation, "_uses", {})
    settings.ENV = load({"OPSSIGHT_DATA": str(tmp_path)})
    return tmp_path


@pytest.fixture
def team() -> Team:
    return Team.objects.create(name="Team", slug="team")


def make_webhooks(team: Team, count: int) -> list[Webhook]:
    return [Webhook.objects.create(team=team, scheme="github", secret=f"secret-{n}") for n in range(count)]


def rotated(batch: int = 500) -> dict[str, int]:
    done: dict[str, int] = {}
    for progress in rotation.rotate(batch):
        done[progress.place] = done.get(progress.place, 0) + progress.rotated
    return done


def test_every_encrypted_field_of_the_installation_is_known() -> None:
    places = rotation.status().places
    assert set(SECRETS) | {"repos.Webhook.previous_secret"} <= set(places)
    assert not any(places.values())


def test_rotation_brings_every_secret_under_the_first_key(team: Team) -> None:
    make_webhooks(team, 5)
    connection = Connection.objects.create(team=team, provider="plain", name="here")
    Credential.objects.create(connection=connection, purpose="password", secret="hunter22")
    old = keys.keyring().primary
    new = keys.add_key()
    assert rotation.status().totals == {new: 0, old: 6}
    assert rotated(batch=2) == {"repos.Webhook.secret": 5, "repos.Credential.secret": 1}
    state = rotation.status()
    assert state.totals == {new: 6, old: 0}
    assert state.removable == (old,)
    assert {webhook.secret for webhook in Webhook.objects.all()} == {f"secret-{n}" for n in range(5)}
    assert rotated() == {}  # once is enough


def test_rotation_that_was_stopped_goes_on_where_it_was(team: Team) -> None:
    make_webhooks(team, 5)
    new = keys.add_key()
    first = next(rotation.rotate(batch=2))
    assert first.rotated == 2
    assert rotation.status().totals[new] == 2
    assert rotated(batch=2) == {"repos.Webhook.secret": 3}


def test_a_secret_saved_meanwhile_is_kept(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = sorted(make_webhooks(team, 2), key=lambda webhook: webhook.pk)
    keys.add_key()
    decrypt = Keyring.decrypt

    def save_while_decrypting(ring: Keyring, stored: str, aad: str) -> str:
        text = decrypt(ring, stored, aad)
        if str(first.pk) in aad:
            monkeypatch.setattr(Keyring, "decrypt", decrypt)
            other = Webhook.objects.get(pk=first.pk)
            other.secret = "typed in just now"
            other.save()
        return text

    monkeypatch.setattr(Keyring, "decrypt", save_while_decrypting)
    assert rotated() == {"repos.Webhook.secret": 1}
    assert Webhook.objects.get(pk=first.pk).secret == "typed in just now"
    assert Webhook.objects.get(pk=second.pk).secret in {"secret-0", "secret-1"}
    assert rotation.status().totals[keys.keyring().kids[1]] == 0


def test_unreadable_rows_are_named_left_alone_and_do_not_stop_the_rest(team: Team) -> None:
    webhooks = make_webhooks(team, 4)
    lost = Keyring([("gone", b"g" * 32)]).encrypt("x", "anywhere")
    Webhook.objects.filter(pk=webhooks[0].pk).update(secret=Stored(lost))
    old = keys.keyring().primary
    new = keys.add_key()
    progress = [step for step in rotation.rotate(batch=1) if step.unreadable]
    assert [step.unreadable for step in progress] == [(f"repos.Webhook.secret {webhooks[0].pk}",)]
    assert Webhook.objects.values_list("secret", flat=True).get(pk=webhooks[0].pk) == lost
    state = rotation.status()
    assert state.totals == {new: 3, old: 0, "gone": 1}
    assert state.missing == ("gone",)


def test_a_key_in_use_is_not_removable(team: Team) -> None:
    make_webhooks(team, 2)
    old = keys.keyring().primary
    keys.add_key()
    state = rotation.status()
    assert state.removable == ()
    assert state.places["repos.Webhook.secret"] == {old: 2}


def test_a_key_that_something_else_needs_is_not_removable() -> None:
    seals: dict[str, int] = {}
    rotation.register_use("seals", lambda: seals)
    old = keys.keyring().primary
    keys.add_key()
    assert rotation.status().removable == (old,)
    seals[old] = 7
    assert rotation.status().removable == ()

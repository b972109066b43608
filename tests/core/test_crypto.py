from __future__ import annotations

import base64

import pytest
from hypothesis import given, strategies as st

from opssight.core.crypto import Keyring, SecretUnreadable

OLD, NEW = ("k1", b"1" * 32), ("k2", b"2" * 32)


@given(st.text(), st.text())
def test_what_was_encrypted_decrypts_in_its_place(plaintext: str, aad: str) -> None:
    ring = Keyring([NEW])
    assert ring.decrypt(ring.encrypt(plaintext, aad), aad) == plaintext


def test_the_stored_form_names_version_and_key_and_hides_the_text() -> None:
    stored = Keyring([NEW, OLD]).encrypt("hunter22", "t:1:c")
    version, kid, body = stored.split(":")
    assert (version, kid) == ("v1", "k2")
    assert len(base64.b64decode(body)) == 12 + len("hunter22") + 16
    assert b"hunter22" not in base64.b64decode(body)


def test_the_same_text_is_never_stored_the_same_way_twice() -> None:
    ring = Keyring([NEW])
    assert len({ring.encrypt("x", "t:1:c") for _ in range(100)}) == 100


def test_the_first_key_encrypts_and_all_decrypt() -> None:
    stored = Keyring([OLD]).encrypt("hunter22", "t:1:c")
    ring = Keyring([NEW, OLD])
    assert ring.primary == "k2"
    assert ring.kids == ("k2", "k1")
    assert ring.decrypt(stored, "t:1:c") == "hunter22"
    assert ring.encrypt("x", "t:1:c").startswith("v1:k2:")


@pytest.mark.parametrize("place", ["t:2:c", "u:1:c", "t:1:d", ""])
def test_a_secret_moved_to_another_place_does_not_decrypt(place: str) -> None:
    ring = Keyring([NEW])
    with pytest.raises(SecretUnreadable, match="moved from another place") as caught:
        ring.decrypt(ring.encrypt("hunter22", "t:1:c"), place)
    assert "hunter22" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_every_changed_byte_is_noticed() -> None:
    ring = Keyring([NEW])
    sealed = bytearray(base64.b64decode(ring.encrypt("ab", "t:1:c").split(":")[2]))
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        with pytest.raises(SecretUnreadable):
            ring.decrypt(f"v1:k2:{base64.b64encode(changed).decode()}", "t:1:c")


def test_another_key_under_the_same_name_does_not_decrypt() -> None:
    stored = Keyring([("k1", b"1" * 32)]).encrypt("hunter22", "t:1:c")
    with pytest.raises(SecretUnreadable, match="the key has changed"):
        Keyring([("k1", b"9" * 32)]).decrypt(stored, "t:1:c")


def test_a_missing_key_is_named() -> None:
    stored = Keyring([OLD]).encrypt("hunter22", "t:1:c")
    with pytest.raises(SecretUnreadable, match="needs the encryption key k1"):
        Keyring([NEW]).decrypt(stored, "t:1:c")


@pytest.mark.parametrize(
    "stored", ["", "hunter22", "v2:k2:AAAA", "v1:k2:!!!", "v1:k2:AAAA", "v1:k2", "v1", ":::"]
)
def test_what_is_no_stored_secret_is_said_to_be_damaged(stored: str) -> None:
    with pytest.raises(SecretUnreadable, match="damaged"):
        Keyring([NEW]).decrypt(stored, "t:1:c")


def test_a_derived_key_is_for_one_purpose_and_one_key() -> None:
    ring = Keyring([NEW, OLD])
    seal = ring.derive("audit seal")
    assert len(seal) == 32
    assert seal == ring.derive("audit seal", "k2") == Keyring([NEW]).derive("audit seal")
    assert len({seal, ring.derive("token pepper"), ring.derive("audit seal", "k1"), NEW[1], OLD[1]}) == 5
    with pytest.raises(SecretUnreadable, match="The encryption key k9 is not among"):
        ring.derive("audit seal", "k9")

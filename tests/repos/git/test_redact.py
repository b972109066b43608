from __future__ import annotations

import pytest

from repos.git.redact import redact


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("fatal: https://robot:hunter2@forge.example/app", "fatal: https://***@forge.example/app"),
        ("to 'https://tok3n@forge.example/'", "to 'https://***@forge.example/'"),
        ("bad ghp_abcdefghijklmnop1234 here", "bad *** here"),
        ("github_pat_11ABCDEFG0123456789_abc", "***"),
        ("glpat-abcdefghij0123456789", "***"),
        ("gloas-abcdefghij0123456789", "***"),
        ("ATBBabcdefghij0123456789", "***"),
        ("ATCTTabcdefghij0123456789", "***"),
        ("xoxb-1234567890-abcdef", "***"),
        ("Authorization: Basic cm9ib3Q6aHVudGVyMg==", "Authorization: ***"),
        ('authorization: Digest username="bob", response="6629fae4"', "authorization: ***"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "***"),
        ("remote: \x1b[31mred\x1b[0m\x07", "remote: [31mred[0m"),
        ("ssh://git@forge.example/app", "ssh://***@forge.example/app"),
        ("nothing to hide: 100% (3/3)", "nothing to hide: 100% (3/3)"),
    ],
)
def test_known_shapes(text: str, clean: str) -> None:
    assert redact(text) == clean


def test_the_given_secrets_longest_first() -> None:
    assert redact("a hunter2-long b hunter2 c", ["hunter2", "hunter2-long", ""]) == "a *** b *** c"

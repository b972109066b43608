from __future__ import annotations

import pytest

from opssight.core.errors import (
    AuthFailure,
    Failure,
    NotFound,
    PermanentFailure,
    RateLimited,
    TransientFailure,
)
from repos.git.errors import (
    DiskFull,
    Forbidden,
    MissingObject,
    Moved,
    RefClash,
    ShallowSource,
    StoreCorrupt,
    TooLarge,
    corrupt,
    local_failure,
    remote_failure,
)

REMOTE = [
    ("fatal: Authentication failed for 'https://forge.example/app.git/'", AuthFailure),
    ("fatal: could not read Username for 'https://forge.example': terminal prompts disabled", AuthFailure),
    (
        "git@forge.example: Permission denied (publickey).\nfatal: Could not read from remote repository.",
        AuthFailure,
    ),
    ("remote: HTTP Basic: Access denied.\nfatal: Authentication failed for 'https://f/'", AuthFailure),
    ("Host key verification failed.\nfatal: Could not read from remote repository.", PermanentFailure),
    (
        "fatal: unable to access 'https://f/': SSL certificate problem: self-signed certificate",
        PermanentFailure,
    ),
    ("fatal: unable to access 'https://f/': The requested URL returned error: 403", Forbidden),
    ("remote: Write access to repository not granted.\nfatal: ... returned error: 403", Forbidden),
    ("fatal: unable to access 'https://f/': The requested URL returned error: 429", RateLimited),
    ("fatal: unable to access 'https://f/': The requested URL returned error: 302", Moved),
    ("remote: Repository not found.\nfatal: repository 'https://f/app.git/' not found", NotFound),
    ("fatal: '/srv/x' does not appear to be a git repository", NotFound),
    ("fatal: https://f/x/info/refs not valid: is this a git repository?", NotFound),
    ("fatal: couldn't find remote ref refs/heads/none", NotFound),
    ("fatal: remote error: upload-pack: not our ref 1111", NotFound),
    ("fatal: unable to access 'https://f/': Could not resolve host: f", TransientFailure),
    ("ssh: Could not resolve hostname f: Name or service not known", TransientFailure),
    ("fatal: unable to access 'https://f/': Failed to connect to f port 443", TransientFailure),
    ("ssh: connect to host f port 22: Connection timed out", TransientFailure),
    ("error: RPC failed; HTTP 502 curl 22 The requested URL returned error: 502", TransientFailure),
    (
        "error: RPC failed; curl 18 transfer closed with outstanding read data\nfatal: early EOF",
        TransientFailure,
    ),
    ("fatal: the remote end hung up unexpectedly", TransientFailure),
    ("something nobody ever saw", TransientFailure),
    ("fatal: write error: No space left on device", DiskFull),
    ("fatal: write error: File too large\nfatal: fetch-pack: invalid index-pack output", TooLarge),
    ("error: index-pack died of signal 25", TooLarge),
    ("fatal: mismatched algorithms: client sha1; server sha256", PermanentFailure),
    ("warning: rejected refs/heads/x because shallow roots are not allowed to be updated", ShallowSource),
    (
        "error: cannot lock ref 'refs/heads/a/b': 'refs/heads/a' exists; cannot create 'refs/heads/a/b'",
        RefClash,
    ),
]
LOCAL = [
    ("fatal: bad object 1111", MissingObject),
    ("fatal: Not a valid object name 1111", MissingObject),
    ("error: object file objects/11/11 is empty", StoreCorrupt),
    ("error: file objects/pack/pack-1.pack is far too short to be a packfile", StoreCorrupt),
    ("fatal: not a git repository: '/srv/stores/x'", StoreCorrupt),
    ("fatal: write error: No space left on device", DiskFull),
    ("something nobody ever saw", PermanentFailure),
]


@pytest.mark.parametrize(("words", "error"), REMOTE)
def test_of_a_remote(words: str, error: type[Failure]) -> None:
    failure = remote_failure(words, "the app")
    assert type(failure) is error
    assert failure.detail == words
    check(failure)


@pytest.mark.parametrize(("words", "error"), LOCAL)
def test_of_this_machine(words: str, error: type[Failure]) -> None:
    failure = local_failure(words, "log")
    assert type(failure) is error
    check(failure)


def check(failure: Failure) -> None:
    assert failure.sentence[0].isupper() or failure.sentence.startswith(("the app", "git "))
    assert failure.sentence.endswith(".")
    assert "!" not in failure.sentence
    assert "{" not in failure.sentence


def test_what_the_other_side_says_is_not_damage_here() -> None:
    assert not corrupt("remote: error: object file x is empty\nfatal: early EOF")
    assert corrupt("error: inflate: data stream error (incorrect data check)")

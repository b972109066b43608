"""What a provider that makes commits by its API must do; see `forge_contract`."""

from __future__ import annotations

import pytest

from opssight.core.errors import Failure
from repos.git.signing import is_signed
from repos.providers.forge import NewCommit
from tests.repos.providers.forge_case import ForgeCase, site_of

MESSAGE = "A copy\n\nOf files\n\nOpsSight-Run-Key: 1/2/3\n"


def makes_commits_of_files(case: ForgeCase) -> None:
    """With exactly these files, on exactly this parent, signed; the branch is taken wherever it stood."""
    client, site = case.forge_client(), case.id_of(case.site)
    bare = case.forge.bare(site_of(case))
    bare.commit({b"there": b"old", b"gone": b"x", b"kept": b"kept"})
    parent = bare.oid("main")
    bare.commit({b"later": b"later"})
    blob = b"\0\xff" + bytes(range(256))
    new = NewCommit(
        "opssight/made", parent, MESSAGE, {"d/caf\u00e9": blob, "empty": b""}, {"there": b"new"}, ["gone"]
    )
    for again in (new, NewCommit("opssight/made", parent, "Another\n", {"other": b"1"})):
        oid = client.commit_files(site, again)
        assert bare.oid("opssight/made") == oid
        assert bare.git("log", "-1", "--format=%P", oid) == parent
        assert bare.git("log", "-1", "--format=%B", oid).strip() == again.message.strip()
        assert is_signed(bare.git("cat-file", "commit", oid).encode())
        names = set(bare.git("ls-tree", "-r", "-z", "--name-only", oid).strip("\0").split("\0"))
        before = set(bare.git("ls-tree", "-r", "-z", "--name-only", parent).strip("\0").split("\0"))
        assert names == before - set(again.deleted) | again.added.keys()
        for path, data in (*again.added.items(), *again.changed.items()):
            entry = bare.git("ls-tree", oid, "--", path).split()
            assert (entry[0], entry[2]) == ("100644", _blob(case, data))
    assert bare.git("show", "main:later") == "later"
    assert client.commit_bytes > 1_000_000
    with pytest.raises(Failure):
        client.commit_files(site, NewCommit("opssight/made", "1" * 40, "No parent", {"x": b"x"}))


def _blob(case: ForgeCase, data: bytes) -> str:
    folder = case.forge.bare(site_of(case)).path
    path = folder / "some-file"
    path.write_bytes(data)
    return case.forge.bare(site_of(case)).git("hash-object", "some-file")

"""The agent, asked by OpenSSH's own tools, and by git over SSH to a server that is not OpenSSH's."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE

import asyncssh
import pytest

from opssight.core.errors import AuthFailure, Failure, InvalidInput
from repos.git import agent, keys
from repos.git.fetching import look
from repos.git.remote import Remote, SshCredential
from repos.git.runner import Git
from tests.repos.git.work import Bare

pytestmark = pytest.mark.ssh
KINDS = [("ed25519", []), ("ecdsa", ["-b", "256"]), ("ecdsa", ["-b", "521"]), ("rsa", ["-b", "2048"])]


def generated(folder: Path, kind: str, more: list[str], passphrase: str = "") -> str:
    path = folder / f"{kind}{len(list(folder.iterdir()))}"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, *more, "-N", passphrase, "-a", "1", "-f", str(path)], check=True
    )
    return path.read_text()


@pytest.mark.parametrize(("kind", "more"), KINDS)
def test_it_lists_its_one_key_and_signs_with_it(tmp_path: Path, kind: str, more: list[str]) -> None:
    key = keys.opened(generated(tmp_path, kind, more))
    line = keys.public_line(key)
    public = tmp_path / "public"
    public.write_text(line)
    with agent.serving(key) as path:
        env = {"SSH_AUTH_SOCK": path, "PATH": os.environ["PATH"]}
        listed = subprocess.run(["ssh-add", "-L"], env=env, capture_output=True, check=True).stdout.decode()
        assert listed == f"{line} opssight\n"
        if kind != "rsa":  # ssh-add asks for SHA-1 there
            tried = subprocess.run(["ssh-add", "-T", str(public)], env=env, capture_output=True)
            assert tried.returncode == 0, tried.stderr
        assert os.stat(path).st_mode & 0o777 == 0o600
        assert os.stat(os.path.dirname(path)).st_mode & 0o777 == 0o700
        refused = subprocess.run(["ssh-add", "-D"], env=env, capture_output=True)
        assert refused.returncode != 0, "it keeps its key, whatever it is told"
    assert not os.path.exists(os.path.dirname(path))
    assert "ssh-agent" not in {thread.name for thread in threading.enumerate()}


def asked(path: str, message: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(path)
        peer.settimeout(10)
        peer.sendall(message)
        return peer.recv(100)


def test_nonsense_is_refused_and_it_goes_on(tmp_path: Path) -> None:
    key = keys.opened(keys.make())
    failure = b"\0\0\0\1\5"
    with agent.serving(key) as path:
        other = struct.pack(">I", 3) + b"key" + struct.pack(">I", 4) + b"data" + struct.pack(">I", 0)
        assert asked(path, struct.pack(">I", 1 + len(other)) + b"\x0d" + other) == failure, "another key"
        assert asked(path, b"\0\0\0\1\x1b") == failure, "an extension"
        for odd in (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\0\0\0\2\x0d\0", b"\0\0\0\5\x0d\xff\xff\xff\xff"):
            assert asked(path, odd) == b""
        assert asked(path, b"\0\0\0\1\x0b")[4] == 12


def test_an_rsa_key_does_not_sign_with_sha1(tmp_path: Path) -> None:
    key = keys.opened(generated(tmp_path, "rsa", ["-b", "2048"]))
    assert agent._signature(key, b"data", 0) == b""


@pytest.mark.parametrize("form", ["RFC4716", "PEM", "PKCS8"])
def test_a_key_with_a_passphrase_is_opened_in_memory(tmp_path: Path, form: str) -> None:
    text = generated(tmp_path, "rsa", ["-b", "2048", "-m", form], "canary-phrase")
    assert keys.public_line(keys.opened(text, "canary-phrase")).startswith("ssh-rsa ")
    for wrong, words in (("", "is encrypted. Enter its passphrase"), ("other", "does not open")):
        with pytest.raises(InvalidInput) as refused:
            keys.opened(text, wrong)
        assert words in refused.value.sentence
        assert refused.value.problems[0][0] == "passphrase"


def test_what_is_no_key_says_so(tmp_path: Path) -> None:
    weak = generated(tmp_path, "rsa", ["-b", "1024"])
    for text, words in (
        ("x", "not a private key"),
        (keys.make()[:90], "not a private key"),
        (weak, "1024 bits"),
    ):
        with pytest.raises(InvalidInput, match=words) as refused:
            keys.opened(text)
        assert refused.value.problems[0][0] == "private_key"
    with pytest.raises(InvalidInput, match="does not open"):
        keys.opened(keys.make(), "a phrase that it does not have")


async def served(process: asyncssh.SSHServerProcess[bytes]) -> None:
    """Run what the client asks for, as sshd does for a login with a shell."""
    child = await asyncio.create_subprocess_shell(
        process.command or "exit 1", stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    await process.redirect(child.stdin, child.stdout, child.stderr)
    process.exit(await child.wait())
    await process.wait_closed()


@contextmanager
def ssh_server(authorized: list[str]) -> Iterator[tuple[int, str]]:
    """A server for git with these keys on a port of its own: the port, and its line of known hosts."""
    host = asyncssh.generate_private_key("ssh-ed25519")
    loop, port, ended = asyncio.new_event_loop(), Future[int](), asyncio.Event()

    async def serve() -> None:
        async with asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[host],
            authorized_client_keys=asyncssh.import_authorized_keys("\n".join(authorized)),
            process_factory=served,
            encoding=None,
        ) as server:
            port.set_result(server.get_port())
            await ended.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=[serve()], daemon=True)
    thread.start()
    try:
        yield port.result(10), f"[127.0.0.1]:{port.result()} {host.export_public_key().decode().strip()}"
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(10)
        loop.close()


def test_git_over_ssh_with_keys_of_each_kind(tmp_path: Path, git: Git) -> None:
    bare = Bare(tmp_path / "site.git")
    bare.commit({b"README": b"hello"})
    folder = tmp_path / "keys"
    folder.mkdir()
    texts = [generated(folder, kind, more) for kind, more in KINDS]
    locked = generated(folder, "ed25519", [], "canary-phrase")
    phrases = [*[""] * len(texts), "canary-phrase"]
    opened = [keys.opened(text, phrase) for text, phrase in zip([*texts, locked], phrases, strict=True)]
    with ssh_server([keys.public_line(key) for key in opened]) as (port, known):
        url = f"ssh://git@127.0.0.1:{port}{bare.path}"
        for text, phrase in zip([*texts, locked], phrases, strict=True):
            refs = look(git, Remote.from_url(url, SshCredential(text, known, phrase)))
            assert list(refs.heads) == [b"refs/heads/main"]
        with pytest.raises(AuthFailure):
            look(git, Remote.from_url(url, SshCredential(keys.make(), known)))
        stranger = known.rpartition(" ")[0] + " " + keys.public_line(keys.opened(keys.make())).split()[1]
        with pytest.raises(Failure) as refused:
            look(git, Remote.from_url(url, SshCredential(texts[0], stranger)))
        assert "host key" in refused.value.sentence.lower()

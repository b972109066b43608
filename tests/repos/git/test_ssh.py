"""What ssh is told, asked of the real ssh (`ssh -G` prints what it would do); no ssh server runs here."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from opssight.core.errors import PermanentFailure, TransientFailure
from repos.git.fetching import look
from repos.git.login import prepared
from repos.git.remote import Remote, SshCredential
from repos.git.runner import Git

pytestmark = pytest.mark.ssh


@pytest.fixture
def key(tmp_path: Path) -> SshCredential:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    text = (tmp_path / "key").read_text()
    (tmp_path / "key").unlink()
    return SshCredential(text.strip().replace("\n", "\r\n"), "[forge.example]:2222 ssh-ed25519 AAAA")


def asked(git: Git, remote: Remote, stack: ExitStack) -> tuple[str, dict[str, str]]:
    """The ssh command of a remote, and the options that ssh makes of it."""
    extra, fds = prepared(remote, git.home, Path("/nowhere"), stack)
    assert fds == ()
    command = extra["GIT_SSH_COMMAND"]
    text = subprocess.run(
        ["/bin/sh", "-c", f"{command} -G -p {remote.port} git@{remote.host}"], capture_output=True, check=True
    ).stdout.decode()
    return command, dict(line.split(" ", 1) for line in text.splitlines() if " " in line)


def test_the_key_stays_here_and_nothing_else_is_tried(git: Git, key: SshCredential) -> None:
    remote = Remote.from_url("ssh://git@forge.example:2222/app.git", key)
    before = set(git.home.iterdir())
    with ExitStack() as stack:
        command, options = asked(git, remote, stack)
        assert key.private_key[50:90] not in command
        assert set(git.home.iterdir()) == before
        path = options["identityagent"]
        env = {"SSH_AUTH_SOCK": path, "PATH": os.environ["PATH"]}
        listed = subprocess.run(["ssh-add", "-L"], env=env, capture_output=True, check=True).stdout
        assert listed.startswith(b"ssh-ed25519 ")
        assert Path(options["userknownhostsfile"]).read_text().startswith("[forge.example]:2222 ")
    assert not os.path.exists(path)
    assert options.get("identityfile", "none") == "none"
    assert options["stricthostkeychecking"] in {"true", "yes"}
    assert options["batchmode"] == "yes"
    assert options["globalknownhostsfile"] == "/dev/null"
    assert options["forwardagent"] == "no"


def test_a_pinned_address_keeps_the_host_key_of_the_name(git: Git, key: SshCredential) -> None:
    with ExitStack() as stack:
        remote = Remote.from_url("ssh://git@forge.example:2222/app.git", key, addresses=("192.0.2.7",))
        _, options = asked(git, remote, stack)
        assert (options["hostname"], options["hostkeyalias"]) == ("192.0.2.7", "[forge.example]:2222")
        _, options = asked(git, Remote.from_url("git@forge.example:app", key, ("192.0.2.7",)), stack)
        assert options["hostkeyalias"] == "forge.example"


def test_a_system_without_anonymous_memory(
    git: Git, key: SshCredential, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "memfd_create")
    before = set(git.home.iterdir())
    with ExitStack() as stack:
        _, options = asked(git, Remote.from_url("ssh://git@forge.example:2222/app.git", key), stack)
        assert Path(options["userknownhostsfile"]).stat().st_mode & 0o777 == 0o600
        assert Path(options["userknownhostsfile"]).read_text() == "[forge.example]:2222 ssh-ed25519 AAAA\n"
    assert set(git.home.iterdir()) == before


def test_a_server_that_hangs_up(git: Git, key: SshCredential) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def hang_up() -> None:
            connection, _ = server.accept()
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(TransientFailure):
            look(git, Remote.from_url(f"ssh://git@127.0.0.1:{port}/app.git", key))
        thread.join()


def test_nobody_listens(git: Git, key: SshCredential) -> None:
    remote = Remote.from_url("ssh://git@nowhere.invalid:1/app.git", key, addresses=("127.0.0.1",))
    with pytest.raises(TransientFailure) as caught:
        look(git, remote)
    assert "127.0.0.1" in caught.value.detail, "it went to the pinned address"
    assert not isinstance(caught.value, PermanentFailure)

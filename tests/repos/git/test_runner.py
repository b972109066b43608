from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from opssight.core.errors import (
    AuthFailure,
    Failure,
    NotFound,
    PermanentFailure,
    RateLimited,
    TransientFailure,
)
from repos.git.errors import Forbidden, Moved, Stalled, Stopped, TooLarge
from repos.git.fetching import look
from repos.git.remote import PasswordCredential, Remote
from repos.git.runner import Git
from repos.git.store import Store
from tests.forges.githttp import GitServer
from tests.repos.git.conftest import PASSWORD, USER
from tests.repos.git.work import HEADS, Bare, many


@dataclass
class Recorder:
    """A watch that remembers, and stops when told to."""

    stop: Callable[[], bool] = lambda: False
    seen: list[tuple[str, int, int | None, int]] = field(default_factory=list)

    def progress(self, phase: str, done: int, total: int | None, nbytes: int) -> None:
        self.seen.append((phase, done, total, nbytes))

    def stopped(self) -> bool:
        return self.stop()


def shown(git: Git, *args: str) -> str:
    return git.run(["-c", f"alias.x=!{' '.join(args)}", "x"]).stdout.decode()


def processes_with(mark: str) -> list[str]:
    """Command lines of living processes in whose arguments or environment `mark` stands."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if int(folder.name) == os.getpid():
                continue
            text = (folder / "cmdline").read_bytes() + b"\0" + (folder / "environ").read_bytes()
        except (OSError, ValueError):
            continue
        if mark.encode() in text:
            found.append(text.replace(b"\0", b" ").decode(errors="replace"))
    return found


def until(condition: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def test_the_environment_is_ours_alone(git: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/somewhere")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("OPSSIGHT_KEYS", "canary")
    monkeypatch.setenv("https_proxy", "http://canary")
    names = {line.split("=")[0] for line in shown(git, "env").splitlines()}
    assert not names & {"GIT_DIR", "OPSSIGHT_KEYS", "https_proxy"}
    assert {"GIT_TERMINAL_PROMPT", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM"} <= names


def test_configuration_is_a_read_only_file_of_ours(git: Git, tmp_path: Path) -> None:
    other = git.trusting([tmp_path / 'a "quoted" \\ folder'])
    listed = other.run(["config", "--global", "--get-all", "safe.directory"]).stdout.decode().splitlines()
    assert str(tmp_path / 'a "quoted" \\ folder') in listed
    assert git.run(["config", "--global", "--get-all", "safe.directory"], ok=(1,)).stdout == b""
    assert git.run(["config", "core.hooksPath"]).stdout == b"/dev/null\n"
    config = next(git.home.glob("gitconfig-*"))
    assert config.stat().st_mode & 0o777 == 0o400
    assert git.home.stat().st_mode & 0o077 == 0


def test_a_folder_name_cannot_add_configuration(git: Git, tmp_path: Path) -> None:
    with pytest.raises(PermanentFailure):
        git.trusting([tmp_path / "a\n[core]\n\tsshCommand = evil"])


@pytest.mark.parametrize(
    "url", ["file:///nowhere", "https://127.0.0.1:1/x", "ssh://127.0.0.1:1/x", "ext::true x"]
)
def test_no_protocol_is_allowed_for_local_commands(git: Git, url: str) -> None:
    with pytest.raises(Failure) as caught:
        git.run(["ls-remote", "--", url])
    assert "not allowed" in caught.value.detail


def test_a_remote_allows_only_its_own_protocol(git: Git, source: Bare, source_remote: Remote) -> None:
    source.commit({b"a": b"1"})
    assert look(git, source_remote).head == b"refs/heads/main"
    with pytest.raises(PermanentFailure) as caught:
        git.contact(["ls-remote", "--", "http://127.0.0.1:1/x"], source_remote)
    assert "not allowed" in caught.value.detail


def test_hooks_of_a_folder_do_not_run(
    store: Store, source: Bare, source_remote: Remote, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    for hook in ("post-update", "pre-receive", "reference-transaction", "post-checkout"):
        path = source.path / "hooks" / hook
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\ntouch {ran}\n")
        path.chmod(0o755)
    subprocess.run(["git", "-C", str(source.path), "update-ref", "-d", "refs/heads/none"], check=False)
    assert ran.exists()  # the hook itself works
    ran.unlink()
    store.git.run(["update-ref", "-d", "refs/heads/none"], git_dir=source.path, ok=(0, 1))
    source_commit = source.git("commit-tree", "-m", "x", source.git("mktree"))
    ran.unlink(missing_ok=True)
    source.git("update-ref", "refs/heads/main", source_commit)
    ran.unlink()
    store.fetch(source_remote, HEADS)
    assert not ran.exists()


def test_progress_and_bytes_are_read(git: Git, store: Store, source: Bare, source_remote: Remote) -> None:
    source.commit(many(200))
    watch = Recorder()
    store.git = git.watched(watch)
    fetched = store.fetch(source_remote, HEADS)
    received = [entry for entry in watch.seen if entry[0] == "Receiving objects"]
    assert received[-1][1] == received[-1][2] == 200 + 20 + 1 + 1 + 1
    assert received[-1][3] == fetched.nbytes > 2_000


def test_a_stalled_transfer_is_killed(server: GitServer, target_remote: Remote, tmp_path: Path) -> None:
    server.stall = True
    git = Git(tmp_path / "home", stall_seconds=0.6)
    with pytest.raises(Stalled) as caught:
        look(git, target_remote)
    assert caught.value.retryable
    assert until(lambda: not processes_with(target_remote.url))


def test_a_watch_stops_git_and_all_its_helpers(git: Git, server: GitServer, target_remote: Remote) -> None:
    server.stall = True
    watched = git.watched(Recorder(stop=server.stalled.is_set))
    with pytest.raises(Stopped):
        look(watched, target_remote)
    assert until(lambda: not processes_with(target_remote.url))


def test_a_local_command_is_stopped_too(git: Git) -> None:
    with pytest.raises(Stopped):
        shown(git.watched(Recorder(stop=lambda: True)), "sleep", "30")


def test_git_outlives_the_thread_that_asked_for_it(git: Git) -> None:
    """The kernel ends a process together with the thread that started it: no asking thread may be that."""
    stream = git.stream(["-c", "alias.x=!echo one; sleep 0.5; echo two", "x"])
    first: list[bytes] = []
    asking = threading.Thread(target=lambda: first.append(next(stream)))
    asking.start()
    asking.join()
    assert first == [b"one\n"]
    assert b"".join(stream) == b"two\n"


def test_it_works_after_a_fork(git: Git) -> None:
    assert git.run(["version"]).stdout.startswith(b"git version")
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        os._exit(0 if git.run(["version"]).stdout.startswith(b"git version") else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.chaos
def test_kill_9_of_the_worker_leaves_no_git(server: GitServer, target_remote: Remote, tmp_path: Path) -> None:
    server.stall = True
    program = (
        "import sys, pathlib; from repos.git.runner import Git; from repos.git.fetching import look;"
        "from repos.git.remote import Remote, PasswordCredential;"
        "look(Git(pathlib.Path(sys.argv[1])), Remote(sys.argv[2], PasswordCredential(*sys.argv[3:])))"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "h"), target_remote.url, USER, PASSWORD]
    )
    assert server.stalled.wait(20)
    running = processes_with("git-remote-http")
    assert running, "the helper runs while the server is silent"
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    assert until(lambda: not processes_with(target_remote.url), 5)


def test_a_secret_is_in_no_argument_environment_or_file(
    git: Git, server: GitServer, source: Bare, target_remote: Remote, tmp_path: Path, store: Store
) -> None:
    Bare(server.root / "team/target.git").commit(many(50))
    seen: list[str] = []
    done = threading.Event()

    def sample() -> None:
        while not done.is_set():
            seen.extend(processes_with("git-remote-http"))
            seen.extend(processes_with("askpass"))

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        for _ in range(4):
            look(git, target_remote)
        store.fetch(target_remote, HEADS)
        store.fetch(target_remote, HEADS, partial=True)
    finally:
        done.set()
        sampler.join()
    assert seen, "git was looked at while it ran"
    assert not [text for text in seen if "canary-7f3a" in text]
    files = [path for path in tmp_path.rglob("*") if path.is_file() and "githttp" not in str(path)]
    assert len(files) > 10
    assert not [path for path in files if b"canary-7f3a" in path.read_bytes()]


def test_both_questions_are_answered_and_only_for_the_right_server(
    git: Git, server: GitServer, target_remote: Remote
) -> None:
    assert look(git, target_remote).refs == {}
    other = Remote.from_url(server.url_of("team/target.git").replace("127.0.0.1", "localhost"))
    with pytest.raises(AuthFailure):
        look(git, other)


def test_the_helper_is_silent_about_other_servers(git: Git, target_remote: Remote) -> None:
    from repos.git import askpass

    helper = next(git.home.glob("askpass-*"))
    port = target_remote.port
    with askpass.in_memory(askpass.answers(target_remote), git.home) as fd:
        answers = {
            question: subprocess.run(
                [str(helper), question],
                pass_fds=[fd],
                env={askpass.FD_VARIABLE: str(fd)},
                capture_output=True,
                check=False,
            ).stdout.decode()
            for question in (
                f"Username for 'http://127.0.0.1:{port}': ",
                f"Password for 'http://{USER}@127.0.0.1:{port}': ",
                f"Password for 'https://{USER}@127.0.0.1:{port}': ",
                f"Password for 'http://{USER}@127.0.0.1': ",
                f"Password for 'http://{USER}@evil:{port}': ",
                f"Password for 'http://{USER}@evil@127.0.0.1:{port}': ",
                f"Password for 'http://other@127.0.0.1:{port}': ",
                "",
            )
        }
    assert list(answers.values()) == [f"{USER}\n", f"{PASSWORD}\n", "", "", "", "", "", ""]


@pytest.mark.parametrize("username", ["robot", "user@example.com", "domäne\\user name", "a%b"])
def test_unusual_user_names(git: Git, tmp_path: Path, username: str) -> None:
    root = tmp_path / "other"
    root.mkdir()
    with GitServer(root, username=username, password=PASSWORD) as server:
        server.create("app.git")
        remote = Remote.from_url(server.url_of("app.git"), PasswordCredential(username, PASSWORD))
        assert look(git, remote).refs == {}
        assert server.headers[-1]["Authorization"].startswith("Basic ")


def test_a_system_without_anonymous_memory(
    git: Git, target_remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "memfd_create")
    before = set(git.home.iterdir())
    assert look(git, target_remote).refs == {}
    assert set(git.home.iterdir()) == before


def test_a_redirect_is_not_followed_and_gets_no_credential(
    git: Git, server: GitServer, target_remote: Remote, tmp_path: Path
) -> None:
    root = tmp_path / "evil"
    root.mkdir()
    with GitServer(root) as evil:
        evil.create("team/target.git")
        server.redirect_to = evil.url
        with pytest.raises(Moved):
            look(git, target_remote)
        assert evil.headers == []


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (403, Forbidden),
        (404, NotFound),
        (410, NotFound),
        (429, RateLimited),
        (500, TransientFailure),
        (503, TransientFailure),
    ],
)
def test_answers_of_a_server(
    git: Git, server: GitServer, target_remote: Remote, status: int, error: type[Failure]
) -> None:
    server.answer_with = status
    with pytest.raises(error) as caught:
        look(git, target_remote)
    assert target_remote.url in caught.value.sentence


def test_a_wrong_password(git: Git, server: GitServer, target: Bare) -> None:
    remote = Remote.from_url(server.url_of("team/target.git"), PasswordCredential(USER, "wrong-canary"))
    with pytest.raises(AuthFailure) as caught:
        look(git, remote)
    assert "wrong-canary" not in caught.value.sentence + caught.value.detail


def test_not_there_not_reachable_not_a_name(git: Git, server: GitServer, tmp_path: Path) -> None:
    credential = PasswordCredential(USER, PASSWORD)
    with pytest.raises(NotFound):
        look(git, Remote.from_url(server.url_of("team/none.git"), credential))
    with pytest.raises(NotFound):
        look(git, Remote.from_url(str(tmp_path / "none.git")))
    with pytest.raises(TransientFailure):
        look(git, Remote.from_url("http://127.0.0.1:1/app.git"))
    with pytest.raises(TransientFailure):
        look(git, Remote.from_url("http://nowhere.invalid/app.git"))


def test_http_goes_to_the_vetted_address_only(git: Git, server: GitServer, target: Bare) -> None:
    url = f"http://forge.invalid:{server.port}/team/target.git"
    remote = Remote.from_url(url, PasswordCredential(USER, PASSWORD), addresses=("127.0.0.1",))
    assert look(git, remote).refs == {}
    elsewhere = Remote.from_url(
        f"http://localhost:{server.port}/team/target.git", remote.credential, addresses=("127.0.0.9",)
    )
    server.reset_counts()
    server_saw = look_fails(git, elsewhere)
    assert isinstance(server_saw, TransientFailure)
    assert server.headers == []


def look_fails(git: Git, remote: Remote) -> Failure:
    with pytest.raises(Failure) as caught:
        look(git, remote)
    return caught.value


def test_no_file_above_the_limit(store: Store, source: Bare, source_remote: Remote, tmp_path: Path) -> None:
    source.commit({b"big": os.urandom(300_000)})
    store.git = Git(tmp_path / "limited", max_file_bytes=100_000)
    with pytest.raises(TooLarge):
        store.fetch(source_remote, HEADS)
    assert store.current is None
    assert [path.name for path in store.folder.iterdir() if path.is_dir()] == []


def test_stdin_and_stdout_larger_than_any_pipe(git: Git, source: Bare) -> None:
    data = os.urandom(3 << 20)
    args = ["hash-object", "-w", "--stdin"]
    oid = (
        git.run(args, git_dir=source.path, stdin=iter([data[: 1 << 20], data[1 << 20 :]]))
        .stdout.decode()
        .strip()
    )
    assert b"".join(git.stream(["cat-file", "blob", oid], git_dir=source.path)) == data


def test_a_failure_names_the_command(git: Git, tmp_path: Path) -> None:
    with pytest.raises(PermanentFailure) as caught:
        git.run(["-c", "a.b=c", "hash-object", "--", str(tmp_path)])
    assert caught.value.sentence.startswith("git hash-object failed")
    assert "Unable to hash" in caught.value.detail


def test_a_stream_that_nobody_reads_to_its_end_is_killed(git: Git) -> None:
    stream = git.stream(["-c", "alias.x=!echo one; sleep 30 #canary-stream", "x"])
    assert next(stream) == b"one\n"
    stream.close()
    assert until(lambda: not processes_with("canary-stream"))

"""Runs git. The only module here that starts a process."""

from __future__ import annotations

import copy
import functools
import hashlib
import os
import shutil
import subprocess
import threading
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from opssight.core.errors import PermanentFailure
from repos.git import askpass, login
from repos.git.errors import Stalled, Stopped, local_failure, remote_failure
from repos.git.process import Child, StalledChild, serve
from repos.git.redact import redact
from repos.git.remote import Remote
from repos.git.watch import ProgressReader, Unwatched, Watch

__all__ = ["Git", "Output", "Stopped", "Watch"]

_CONFIG = """\
[core]
\thooksPath = /dev/null
\tfsmonitor = false
\tattributesFile = /dev/null
\texcludesFile = /dev/null
[safe]
\tbareRepository = explicit
[credential]
\thelper =
[http]
\tfollowRedirects = false
[protocol]
\tversion = 2
[gc]
\tauto = 0
[maintenance]
\tauto = false
[fetch]
\tunpackLimit = 1
\twriteCommitGraph = false
[uploadpack]
\tallowFilter = true
\tallowAnySHA1InWant = true
[advice]
\tpushUpdateRejected = false
[log]
\tshowSignature = false
"""

_MOST_SAID = 256_000_000  # bytes of a list of references: some three million
_GUARD = ["/bin/sh", "-c", "read -r _; kill -9 0"]
# Without a limit where the system's own is lower, which then holds. The number is of 512 bytes (POSIX).
_LIMITED = ["/bin/sh", "-c", 'ulimit -f "$1" 2>/dev/null; shift; exec "$@"', "sh"]


@dataclass(frozen=True)
class Output:
    """What a git command wrote. `stderr` is redacted and without progress lines."""

    stdout: bytes
    stderr: str
    code: int
    transferred: int = 0  # bytes of the pack that went over the wire


class Git:
    """A git that runs as alone as it can: own configuration, no hooks, no prompts, no protocol it does
    not need, killed with its parent.

    `home` is a private folder for its configuration. `safe_directories` are folders of other users that
    may be read or pushed to. A transfer in which nothing moves for `stall_seconds` is killed; a file it
    writes may have `max_file_bytes`.
    """

    def __init__(
        self,
        home: Path,
        *,
        safe_directories: Sequence[Path] = (),
        stall_seconds: float = 120,
        max_file_bytes: int | None = None,
    ) -> None:
        self.home = home.absolute()
        self.safe_directories = tuple(path.absolute() for path in safe_directories)
        self.stall_seconds = stall_seconds
        self.max_file_bytes = max_file_bytes
        self.watch: Watch = Unwatched()
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._askpass = _written(self.home, "askpass", askpass.SCRIPT, 0o500)
        self._config = _written(self.home, "gitconfig", _config(self.safe_directories), 0o400)

    def watched(self, watch: Watch) -> Self:
        """The same git, telling `watch` how far it is and stopping when that says so."""
        other = copy.copy(self)
        other.watch = watch
        return other

    def trusting(self, directories: Sequence[Path]) -> Self:
        """The same git with other `safe_directories`."""
        other = copy.copy(self)
        other.safe_directories = tuple(path.absolute() for path in directories)
        other._config = _written(self.home, "gitconfig", _config(other.safe_directories), 0o400)
        return other

    def limited(self, max_file_bytes: int) -> Self:
        """The same git, whose transfers write files of at most so many bytes."""
        other = copy.copy(self)
        other.max_file_bytes = min(max_file_bytes, self.max_file_bytes or max_file_bytes)
        return other

    def raise_if_stopped(self) -> None:
        if self.watch.stopped():
            raise Stopped

    def run(
        self,
        args: Sequence[str],
        *,
        git_dir: Path | None = None,
        stdin: Iterable[bytes] = (),
        ok: Collection[int] = (0,),
        guarded: bool = False,
    ) -> Output:
        """A command that only touches this machine; no protocol is allowed. Raises a `Failure`.

        `guarded`: for a command that starts helpers and takes long.
        """
        end = _End()
        stdout = b"".join(self._pieces(args, git_dir, stdin, ok, end, guarded=guarded))
        return Output(stdout, end.stderr, end.code)

    def stream(
        self, args: Sequence[str], *, git_dir: Path | None = None, stdin: Iterable[bytes] = ()
    ) -> Generator[bytes, None, None]:
        """Like `run`, but yields stdout in pieces as they come. Raises a `Failure` at the end."""
        yield from self._pieces(args, git_dir, stdin, (0,), _End(), guarded=False)

    def contact(
        self,
        args: Sequence[str],
        remote: Remote,
        *,
        git_dir: Path | None = None,
        stdin: Iterable[bytes] = (),
        ok: Collection[int] = (0,),
    ) -> Output:
        """A command that talks to `remote` and nobody else. Raises a `Failure` that names the remote."""
        with ExitStack() as stack:
            extra, fds = login.prepared(remote, self.home, self._askpass, stack)
            env = self._environment(remote.scheme) | extra
            argv = self._argv([*login.pinned(remote), *args], git_dir, limited=True)
            reader = ProgressReader(self.watch)
            with self._child(argv, env, fds, guarded=True) as child:
                try:
                    pieces = serve(child, stdin, reader, self.watch, self.stall_seconds)
                    stdout = _joined(pieces, remote.name)
                except StalledChild:
                    child.kill()
                    raise Stalled(_stalled(remote.name, self.stall_seconds)) from None
            code = child.close()
            stderr = redact(reader.text(), remote.secrets)
        if child.killed.is_set():
            raise Stopped
        if code not in ok:
            raise remote_failure(_with_signal(stderr, code), remote.name)
        return Output(stdout, stderr, code, reader.transferred)

    def _pieces(
        self,
        args: Sequence[str],
        git_dir: Path | None,
        stdin: Iterable[bytes],
        ok: Collection[int],
        end: _End,
        *,
        guarded: bool,
    ) -> Iterator[bytes]:
        argv = self._argv(args, git_dir, limited=False)
        reader = ProgressReader(self.watch)
        with self._child(argv, self._environment("none"), (), guarded=guarded) as child:
            yield from serve(child, stdin, reader, self.watch, None)
        end.code = child.close()
        end.stderr = redact(reader.text())
        if child.killed.is_set():
            raise Stopped
        if end.code not in ok:
            raise local_failure(_with_signal(end.stderr, end.code), _command(args))

    @contextmanager
    def _child(
        self, argv: list[str], env: Mapping[str, str], fds: tuple[int, ...], *, guarded: bool
    ) -> Iterator[Child]:
        child = _start(argv, env, fds, guarded, self.home)
        try:
            yield child
        finally:
            child.close()

    def _argv(self, args: Sequence[str], git_dir: Path | None, *, limited: bool) -> list[str]:
        argv = list(_bound())
        if limited and self.max_file_bytes is not None:
            argv += [*_LIMITED, str(-(-self.max_file_bytes // 512))]
        argv += ["git"]
        if git_dir is not None:
            argv += [f"--git-dir={git_dir}"]
        return [*argv, *args]

    def _environment(self, protocol: str) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home),
            "LC_ALL": "C",
            "TZ": "UTC",
            "GIT_CONFIG_GLOBAL": str(self._config),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": protocol,
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_NO_LAZY_FETCH": "1",  # for git 2.44 and later; older ones stop at the protocol
            "GIT_LFS_SKIP_SMUDGE": "1",
        }


@dataclass
class _End:
    """How a command ended; filled when its stdout is used up."""

    code: int = 0
    stderr: str = ""


class _Spawner:
    """One thread per process that starts every git and lives as long as the process.

    The kernel kills a git when the *thread* that started it ends, so no short-lived thread may do it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: ThreadPoolExecutor | None = None

    def start(self, argv: list[str], **options: Any) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, thread_name_prefix="git-spawner")
            future = self._thread.submit(_popen, argv, options)
        return future.result()


def _popen(argv: list[str], options: dict[str, Any]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(argv, **options)


_spawner = _Spawner()


def _after_fork() -> None:
    global _spawner  # threads do not survive a fork: the child gets its own
    _spawner = _Spawner()


os.register_at_fork(after_in_child=_after_fork)


def _start(argv: list[str], env: Mapping[str, str], fds: tuple[int, ...], guarded: bool, cwd: Path) -> Child:
    null, pipe = subprocess.DEVNULL, subprocess.PIPE
    guard = None
    if guarded:
        guard = _spawner.start(_GUARD, stdin=pipe, stdout=null, stderr=null, env={}, cwd=cwd, process_group=0)
    try:
        process = _spawner.start(
            argv,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            env=env,
            cwd=cwd,
            pass_fds=fds,
            restore_signals=False,  # too large a file is then an error that git can tell about
            process_group=guard.pid if guard else 0,
        )
    except BaseException as error:
        if guard:
            guard.kill()
            guard.communicate()
        if isinstance(error, FileNotFoundError):
            raise PermanentFailure(
                "git is not installed on this machine. Install git 2.39 or later."
            ) from None
        raise
    return Child(process, guard)


@functools.cache
def _bound() -> tuple[str, ...]:
    """The command that ties git to the life of this process, where the system has it."""
    setpriv = shutil.which("setpriv")
    return (setpriv, "--pdeathsig", "KILL", "--no-new-privs", "--") if setpriv else ()


def _config(safe_directories: Sequence[Path]) -> str:
    """Our git configuration. Folders are named in each way git may ask for them."""
    names: dict[str, None] = {}
    for path in safe_directories:
        for form in (path, path.resolve()):
            names |= {str(form): None, str(form / ".git"): None}
    if any(c in name for name in names for c in "\n\r\0"):
        raise PermanentFailure("The name of an allowed folder has a line break in it. Rename the folder.")
    quoted = (name.replace("\\", "\\\\").replace('"', '\\"') for name in names)
    lines = [f'\tdirectory = "{name}"\n' for name in quoted]
    return _CONFIG + "".join(["[safe]\n", *lines] if lines else [])


def _written(home: Path, stem: str, text: str, mode: int) -> Path:
    """The file with this text, written once; another text has another name."""
    data = os.fsencode(text)
    path = home / f"{stem}-{hashlib.sha256(data).hexdigest()[:16]}"
    if not path.exists():
        fresh = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}")
        fresh.write_bytes(data)
        fresh.chmod(mode)
        fresh.replace(path)
    return path


def _command(args: Sequence[str]) -> str:
    """The git command among the arguments, behind its `-c name=value` pairs."""
    at = 0
    while args[at] == "-c":
        at += 2
    return args[at]


def _with_signal(stderr: str, code: int) -> str:
    return f"{stderr}\ndied of signal {-code}".strip() if code < 0 else stderr


def _joined(pieces: Iterable[bytes], name: str) -> bytes:
    """What a server made git write, as long as that is not without end."""
    stdout = bytearray()
    for piece in pieces:
        stdout += piece
        if len(stdout) > _MOST_SAID:
            raise PermanentFailure(f"{name} lists more references than OpsSight reads. Delete some there.")
    return bytes(stdout)


def _stalled(name: str, seconds: float) -> str:
    return f"Nothing moved between here and {name} for {seconds:.0f} seconds. It is tried again."

"""How git gets to a remote and logs in there: to the vetted addresses only, with secrets from memory."""

from __future__ import annotations

import ipaddress
import shlex
from contextlib import ExitStack
from pathlib import Path

from repos.git import askpass
from repos.git.remote import PasswordCredential, Remote, SshCredential


def prepared(
    remote: Remote, home: Path, helper: Path, stack: ExitStack
) -> tuple[dict[str, str], tuple[int, ...]]:
    """What lets git log in to `remote` until `stack` closes: an environment without secrets, and the
    descriptors that git must inherit. `helper` is the askpass program.
    """
    credential = remote.credential
    if isinstance(credential, PasswordCredential):
        fd = stack.enter_context(askpass.in_memory(askpass.answers(remote), home))
        return {"GIT_ASKPASS": str(helper), askpass.FD_VARIABLE: str(fd)}, (fd,)
    if remote.scheme == "ssh":
        return {"GIT_SSH_VARIANT": "ssh", "GIT_SSH_COMMAND": _ssh(remote, home, stack)}, ()
    return {}, ()


def pinned(remote: Remote) -> list[str]:
    """git options that let http reach the vetted addresses only (ssh is pinned by its own options)."""
    if not remote.addresses or not remote.scheme.startswith("http") or _is_address(remote.host):
        return []
    addresses = ",".join(f"[{a}]" if ":" in a else a for a in remote.addresses)
    return ["-c", f"http.curloptResolve={remote.host}:{remote.port}:{addresses}"]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _ssh(remote: Remote, home: Path, stack: ExitStack) -> str:
    key = hosts = "/dev/null"
    if isinstance(remote.credential, SshCredential):
        key = stack.enter_context(askpass.as_file(_ending(remote.credential.private_key), home))
        hosts = stack.enter_context(askpass.as_file(_ending(remote.credential.known_hosts), home))
    options = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": hosts,
        "GlobalKnownHostsFile": "/dev/null",
        "UpdateHostKeys": "no",
        "CheckHostIP": "no",
        "IdentityFile": key,
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "PreferredAuthentications": "publickey",
        "ForwardAgent": "no",
        "ClearAllForwardings": "yes",
        "PermitLocalCommand": "no",
        "ControlPath": "none",
        "ConnectTimeout": "30",
        "ServerAliveInterval": "15",
        "LogLevel": "ERROR",
    }
    if remote.addresses:
        options["HostName"] = remote.addresses[0]
        options["HostKeyAlias"] = remote.host if remote.port == 22 else f"[{remote.host}]:{remote.port}"
    return shlex.join(["ssh", "-F", "/dev/null", *(f"-o{name}={value}" for name, value in options.items())])


def _ending(text: str) -> str:
    """With Unix line ends and one at the end: ssh refuses a key without."""
    return text.replace("\r\n", "\n").rstrip("\n") + "\n"

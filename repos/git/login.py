"""How git gets to a remote and logs in there: to the vetted addresses only, with secrets from memory."""

from __future__ import annotations

import ipaddress
import shlex
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote, urlsplit

from repos.git import agent, askpass, keys
from repos.git.remote import Remote, SshCredential


def prepared(
    remote: Remote, home: Path, helper: Path, stack: ExitStack
) -> tuple[dict[str, str], tuple[int, ...]]:
    """What lets git log in to `remote` until `stack` closes: an environment without secrets, and the
    descriptors that git must inherit. `helper` is the askpass program.
    """
    if remote.scheme == "ssh":
        return {"GIT_SSH_VARIANT": "ssh", "GIT_SSH_COMMAND": _ssh(remote, home, stack)}, ()
    env = _routed(remote, home, stack)
    answers = askpass.answers(remote)
    if not answers:
        return env, ()
    fd = stack.enter_context(askpass.in_memory(answers, home))
    return {**env, "GIT_ASKPASS": str(helper), askpass.FD_VARIABLE: str(fd)}, (fd,)


def _routed(remote: Remote, home: Path, stack: ExitStack) -> dict[str, str]:
    """Certificates to trust, and the proxy with its user name; git asks for its password as for others."""
    if remote.scheme == "file":
        return {}
    route, env = remote.route, {}
    if route.ca:
        env["GIT_SSL_CAINFO"] = stack.enter_context(askpass.as_file(route.ca, home))
    if route.proxy:
        scheme, _, server = route.proxy_server.partition("://")
        user = quote(route.proxy_login[0], safe="")
        proxy = f"{scheme}://{user}@{server}" if user else route.proxy_server
        env |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "http.proxy", "GIT_CONFIG_VALUE_0": proxy}
    return env


def pinned(remote: Remote) -> list[str]:
    """git options that let http reach the vetted addresses only (ssh is pinned by its own options)."""
    if not remote.scheme.startswith("http"):
        return []
    proxy = urlsplit(remote.route.proxy_server) if remote.route.proxy else None
    options = _pin(remote.host, remote.port, remote.addresses)
    if proxy is not None:
        options += _pin(proxy.hostname or "", proxy.port, remote.route.proxy_addresses)
    return options


def _pin(host: str, port: int | None, addresses: Sequence[str]) -> list[str]:
    if not addresses or _is_address(host):
        return []
    listed = ",".join(f"[{a}]" if ":" in a else a for a in addresses)
    return ["-c", f"http.curloptResolve={host}:{port}:{listed}"]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _ssh(remote: Remote, home: Path, stack: ExitStack) -> str:
    hosts, socket, credential = "/dev/null", "none", remote.credential
    if isinstance(credential, SshCredential):
        key = keys.opened(credential.private_key, credential.passphrase)
        socket = stack.enter_context(agent.serving(key))
        hosts = stack.enter_context(askpass.as_file(_ending(credential.known_hosts), home))
    options = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": hosts,
        "GlobalKnownHostsFile": "/dev/null",
        "UpdateHostKeys": "no",
        "CheckHostIP": "no",
        "IdentityFile": "none",
        "IdentitiesOnly": "no",  # those of the agent: it has the one key
        "IdentityAgent": socket,
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
    """With Unix line ends and one at the end."""
    return text.replace("\r\n", "\n").rstrip("\n") + "\n"

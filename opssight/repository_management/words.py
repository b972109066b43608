"""The words of the original API, and what they are here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from opssight.core.errors import InvalidInput
from repos.git.remote import Remote
from repos.models import Connection, Repository
from repos.providers.forge import Forge
from repos.providers.registry import PROVIDERS, provider_named

NOT_YET: Final = {"azure": "Azure DevOps"}
OFFERED: Final = [kind for kind in PROVIDERS if kind != "folder"]  # a folder has no address
CREDENTIALS: Final = (
    "oauth_token",
    "personal_access_token",
    "access_token",
    "app_password",
    "ssh_key",
    "app_installation",
)
STATUSES: Final = ("active", "inactive", "error", "syncing", "disconnected")
NOT_COLLECTED: Final = (
    "commit_analytics",
    "pr_analytics",
    "issue_analytics",
    "ci_analytics",
    "contributor_analytics",
    "code_quality_trends",
)

_TOKEN_NAMES: Final = ("token", "access_token", "personal_access_token", "oauth_token", "password")
_ENDED: Final = (
    "Bitbucket ended app passwords in 2026. Make an API token at Atlassian with the scopes that "
    "docs/reference/providers.md names, and send it as credential_type personal_access_token with email "
    "and token."
)
_DEAD: Final = ("reauth_required", "revoked", "blocked_by_org", "degraded")


@dataclass(frozen=True)
class Place:
    """A repository by its address: the provider's options that lead to its server, and its name there."""

    options: Mapping[str, Any]
    full_name: str


def place_of(kind: str, repository_url: str) -> Place:
    """Where a repository is. InvalidInput for what is no address of one."""
    remote = Remote.from_url(repository_url)
    if kind == "plain":
        return Place({"urls": [repository_url]}, "")
    if remote.scheme == "file":
        raise _wrong("repository_url", "Folders are connected on the command line: opssight connection add.")
    name = _path(remote).strip("/").removesuffix(".git")
    if name.count("/") < 1:
        raise _wrong("repository_url", "The address names no repository: https://host/owner/name.")
    provider = provider_named(kind)
    public = provider.site_of("") if issubclass(provider, Forge) else ""
    host = urlsplit(public).hostname if public else ""
    base = "" if remote.host == host else f"https://{remote.host}"
    if remote.scheme in ("https", "http") and base:
        base = remote.origin
    return Place({"url": base} if base else {}, name)


def secrets_of(
    kind: str, credential_type: str, credentials: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """The provider's options and secrets that the original's credentials stand for. InvalidInput if none."""
    if credential_type == "app_password":
        raise _wrong(
            "credential_type", _ENDED if kind == "bitbucket" else "App passwords are Bitbucket's, and ended."
        )
    if credential_type == "app_installation":
        raise _wrong("credential_type", "GitHub Apps are installed from the connect page.")
    if credential_type == "ssh_key":
        return _ssh(kind, credentials)
    token = next((credentials[name] for name in _TOKEN_NAMES if credentials.get(name)), "")
    if not token:
        raise _wrong("credentials", "There is no token among the credentials: send it as token.")
    known = {field.name for field in provider_named(kind).fields}
    logins = {name: text for name, text in credentials.items() if name in known & {"email", "username"}}
    return logins, {"password" if kind == "plain" else "token": token}


def _ssh(kind: str, credentials: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    if kind != "plain":
        raise _wrong("credential_type", "An SSH key reaches git only: send connection_type plain with it.")
    key = credentials.get("private_key") or credentials.get("ssh_key") or ""
    if not key or not credentials.get("host_key"):
        raise _wrong("credentials", "An SSH key needs private_key and host_key (what ssh-keyscan prints).")
    given = {"private_key": key, "passphrase": credentials.get("passphrase", "")}
    return {"host_key": credentials["host_key"]}, {name: value for name, value in given.items() if value}


def status_of(repository: Repository) -> str:
    """One of `STATUSES`, by what is known of the repository and its connection."""
    if repository.state == Repository.State.IGNORED:
        return "disconnected"
    if repository.state != Repository.State.ACTIVE or repository.connection.state in _DEAD:
        return "error"
    return "inactive" if repository.connection.state == Connection.State.UNKNOWN else "active"


def sentence_of(repository: Repository) -> str:
    """What is wrong, or ""."""
    return repository.state_reason or repository.connection.sentence


def _path(remote: Remote) -> str:
    return urlsplit(remote.url).path


def _wrong(field: str, sentence: str) -> InvalidInput:
    return InvalidInput(sentence, [(field, sentence)])

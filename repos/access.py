"""From a connection to something that can be used: a client, a git credential, a store.

The only place that decrypts the secrets of a connection, that decides which addresses and folders
it may reach. HTTP and git must not run inside a database transaction,
where they would hold locks for as long as a stranger likes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from django.conf import settings
from django.db import DatabaseError, connection as database

from opssight.accounts.local import local_team
from opssight.accounts.models import AllowedHost
from opssight.core.clock import now
from opssight.core.env import Env
from opssight.core.errors import AuthFailure, Failure, InvalidInput, NotFound, TransientFailure
from opssight.core.outbound import Address, AddressRefused, AllowedTarget, Policy
from opssight.core.outbound_http import Client
from repos.etags import DatabaseEtags
from repos.git.fetching import look as look_at
from repos.git.remote import PasswordCredential, Remote, Route
from repos.git.runner import Git
from repos.git.store import Store, Stores
from repos.git.types import RemoteRefs
from repos.health import note_failure as note_failure, note_ok as note_ok
from repos.instances import Instance, instance_of
from repos.limits import DatabaseLimiter
from repos.models import Connection, ProviderInstance, Repository
from repos.network import Network, network_at, network_of
from repos.providers.base import Provider
from repos.providers.folder.provider import FolderProvider
from repos.providers.github.app import AppKey, GitHubApp
from repos.providers.github.provider import api_of
from repos.providers.http import Wire
from repos.providers.oauth import Grant, OAuthClient
from repos.providers.registry import provider_named
from repos.providers.types import Context
from repos.providers.wire import Etags, Limiter, NoEtags, NoLimiter, Tokens
from repos.tokens import REFRESH, DatabaseTokens, InstallationTokens

T = TypeVar("T")

_ANYWHERE = (AllowedTarget("*", "0.0.0.0/0"), AllowedTarget("*", "::/0"))
_API_SECONDS = 30.0
_API_BYTES = 10_000_000  # of one answer; a page of 100 repositories has less than one million


def refuse_in_transaction() -> None:
    """Raise RuntimeError inside a transaction: nothing there may wait for another machine."""
    if database.in_atomic_block:
        raise RuntimeError("git and HTTP must not be used inside a database transaction.")


def git() -> Git:
    """The git of this installation; it may read the folders of other users that were connected."""
    return _git(_foreign_folders())


def stores(git: Git | None = None) -> Stores:
    """The git stores of this machine."""
    return Stores(Path(settings.STORES), git or _git(()), quota_bytes=settings.STORE_QUOTA)


def store_of(repository: Repository, git: Git | None = None) -> Store:
    return stores(git).store(repository.pk)


def policy() -> Policy:
    """Which hosts may be reached: public ones, and those an administrator allowed."""
    rows = AllowedHost.objects.values_list("pattern", "cidr", "ports")
    return Policy([AllowedTarget(pattern, cidr, _ports(ports)) for pattern, cidr, ports in rows])


def anywhere() -> Policy:
    """Every host: for what the person at the keyboard asks for."""
    return Policy(_ANYWHERE)


def provider_for(
    kind: str,
    options: Mapping[str, Any],
    secrets: Mapping[str, str],
    *,
    trusted: bool = False,
    tokens: Tokens | None = None,
    limiter: Limiter | None = None,
    etags: Etags | None = None,
    installation: str = "",
    network: Network | None = None,
) -> Provider:
    """A provider from plain values. InvalidInput names the fields that do not fit."""
    allowed = anywhere() if trusted else policy()
    way = network or network_at(kind, str(options.get("url") or ""))
    http = partial(_http, allowed=allowed, way=way)
    wire = Wire(http, tokens, etags or NoEtags(), limiter or NoLimiter())
    context = replace(_context(allowed, wire, way, trusted=trusted), installation=installation)
    return provider_named(kind)(options, secrets, context)


def client_of(connection: Connection, trusted: bool = False, reserve: float = 0.0) -> Provider:
    """The connection as something to talk to.

    `trusted`: the person at the keyboard asks. `reserve`: the share of the provider's limit that is left
    to others, for what nobody waits for.
    """
    refuse_in_transaction()
    return _provider_of(connection, trusted, reserve)


def last_client_of(connection: Connection) -> Provider:
    """For a connection that is about to be deleted: nothing is written down, and no token is renewed."""
    secrets = {row.purpose: row.secret for row in connection.credentials.all() if row.purpose != REFRESH}
    return provider_for(
        connection.provider,
        connection.options,
        secrets,
        trusted=connection.local,
        network=network_of(connection),
    )


def oauth_of(instance: Instance) -> OAuthClient:
    """Our OAuth application at an instance, to be asked for tokens."""
    allowed, oauth = policy(), instance.provider.oauth
    assert oauth is not None  # noqa: S101 - an instance is of a provider that has it
    http = partial(_http, allowed=allowed, way=network_at(instance.kind, instance.url))
    return OAuthClient(oauth, instance.app, http, instance.provider.label)


def app_wire(way: Network | None = None) -> Wire:
    """HTTP for what our GitHub Apps ask in their own name."""
    return Wire(partial(_http, allowed=policy(), way=way or Network()))


def github_app_of(row: ProviderInstance) -> GitHubApp:
    wire = app_wire(Network(row.ca, row.proxy))
    return GitHubApp(api_of(row.url), AppKey(row.app_id, row.private_key), wire)


def remote_of(repository: Repository) -> Remote:
    """Where git reaches a repository: with its credential, pinned to addresses that are allowed.

    Raises a `Failure` when the policy, the folder or the credential does not allow it.
    """
    refuse_in_transaction()
    provider = _provider_of(repository.connection)
    return provider.context.vet(provider.remote(repository.external_id, repository.full_name))


def with_fresh_token(repository: Repository, remote: Remote, use: Callable[[Remote], T]) -> T:
    """Use the remote; once more with another token where the one it has ended meanwhile."""
    try:
        return use(remote)
    except AuthFailure:
        if not _renewed_for(repository.connection, remote):
            raise
        return use(remote_of(repository))


def _renewed_for(connection: Connection, refused: Remote) -> bool:
    renewed = connection.credentials.filter(purpose=REFRESH).exists()
    tokens = _tokens_of(connection, renewed=renewed)
    used = refused.credential
    return tokens is not None and isinstance(used, PasswordCredential) and bool(tokens.renewed(used.password))


def remote_typed(text: str, label: str) -> Remote:
    """Where git finds what the person at the keyboard typed; `label` is how sentences call it.

    A git URL, any folder, or `CONNECTION:owner/name` for a repository of the inventory. InvalidInput
    when it is none of these, another Failure when the connection cannot be used.
    """
    if "://" in text:
        return Remote.from_url(text, label=label)
    if os.path.isdir(text):
        return Remote.from_url(os.path.abspath(text), label=label)
    if repository := repository_typed(text):
        return replace(remote_of(repository), label=label)
    return Remote.from_url(text, label=label)


def repository_typed(text: str) -> Repository | None:
    """The repository of the inventory that `CONNECTION:owner/name` stands for; None for URLs and folders.

    InvalidInput where the connection is known and has no such repository.
    """
    if "://" in text or "::" in text or os.path.isdir(text):
        return None
    for name, colon, full_name in (text.partition(":"), text.rpartition(":")):  # a name may have one too
        connection = _typed_connection(name) if colon else None
        if connection is not None:
            return _named(connection, full_name)
    return None


def _named(connection: Connection, full_name: str) -> Repository:
    repository: Repository | None = connection.repositories.filter(full_name=full_name).first()
    if repository is None:
        raise InvalidInput(
            f"{connection.name} has no repository {full_name!r} in the inventory. "
            "opssight repo list shows what there is."
        )
    return repository


def _typed_connection(name: str) -> Connection | None:
    """The connection of the local team; None where no database has been made yet."""
    try:
        return Connection.objects.filter(team=local_team(), name=name).first()
    except (DatabaseError, InvalidInput):
        return None


def look(repository: Repository, git: Git | None = None) -> RemoteRefs:
    """What the repository has now, by asking it; keeps head, default branch and health up to date."""
    refuse_in_transaction()
    try:
        own = git or _git(tuple(_foreign_of(repository.connection, [repository])))
        refs = with_fresh_token(repository, remote_of(repository), lambda remote: look_at(own, remote))
    except Failure as failure:
        _note_lost(repository, failure)
        raise
    _note_seen(repository, refs)
    note_ok(repository.connection)
    return refs


def _note_seen(repository: Repository, refs: RemoteRefs) -> None:
    head = (refs.head or b"").removeprefix(b"refs/heads/").decode("utf-8", "replace")
    values: dict[str, Any] = {"head_oid": refs.refs.get(refs.head or b"", ""), "head_seen_at": now()}
    if head and head != repository.default_branch and len(head) <= 255:
        values["default_branch"] = head
    if repository.state == Repository.State.LOST_ACCESS:
        values["state"] = Repository.State.ACTIVE
    if repository.state_reason:
        values["state_reason"] = ""
    for name, value in values.items():
        setattr(repository, name, value)
    Repository.objects.filter(pk=repository.pk).update(**values)


def _note_lost(repository: Repository, failure: Failure) -> None:
    """One repository that is not there is lost; anything else is the connection's trouble."""
    if not isinstance(failure, NotFound):
        note_failure(repository.connection, failure)
        return
    lost = Repository.State.LOST_ACCESS
    rows = Repository.objects.filter(pk=repository.pk, state__in=[Repository.State.ACTIVE, lost])
    if rows.update(state=lost, state_reason=failure.sentence):
        repository.state, repository.state_reason = lost, failure.sentence


def _provider_of(connection: Connection, trusted: bool = False, reserve: float = 0.0) -> Provider:
    # reading a secret registers it with the log redactor
    secrets = {row.purpose: row.secret for row in connection.credentials.all()}
    renewed = secrets.pop(REFRESH, "") != ""
    return provider_for(
        connection.provider,
        connection.options,
        secrets,
        trusted=trusted or connection.local,
        tokens=_tokens_of(connection, renewed=renewed),
        limiter=DatabaseLimiter(connection, reserve),
        etags=DatabaseEtags(connection),
        installation=connection.account if connection.installation_id else "",
        network=network_of(connection),
    )


def _tokens_of(connection: Connection, *, renewed: bool) -> Tokens | None:
    if connection.installation_id:
        return InstallationTokens(connection, partial(_renew_installation, connection))
    return DatabaseTokens(connection, partial(_renew, connection)) if renewed else None


def _renew_installation(connection: Connection, number: str) -> Grant:
    refuse_in_transaction()
    if connection.instance is None or not connection.instance.private_key:
        raise AuthFailure(f"The GitHub App of {connection.name} is not known here any more. Connect again.")
    return github_app_of(connection.instance).token(number)


def _renew(connection: Connection, refresh_token: str) -> Grant:
    refuse_in_transaction()
    instance = instance_of(connection.provider, connection.options.get("url", ""))
    return oauth_of(instance).refresh(refresh_token)


def _http(base_url: str, allowed: Policy, way: Network) -> Client:
    """A client for a provider's API. Plain http is for hosts that an administrator allowed by name."""
    refuse_in_transaction()
    parts = urlsplit(base_url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if parts.scheme == "http":
        _refuse_plain(allowed, parts.hostname or "", port, allowed.check(parts.hostname or "", port))
    env: Env = settings.ENV
    return way.client(allowed, timeout=max(env.http_seconds, _API_SECONDS), max_bytes=_API_BYTES)


def _context(allowed: Policy, wire: Wire, way: Network, *, trusted: bool) -> Context:
    return Context(
        git=_git(()),
        vet=lambda remote: vetted(remote, allowed, way),
        roots=tuple(Path(root) for root in settings.FOLDER_ROOTS),
        trusted=trusted,
        wire=wire,
    )


def vetted(remote: Remote, allowed: Policy, way: Network | None = None) -> Remote:
    """The remote, pinned to addresses that the policy allows. A folder was checked by its provider.

    Plain http shows everything to the network, so it is used only with a host that was allowed by
    name. Raises `AddressRefused`, or what the look-up of the name raises.
    """
    if remote.scheme == "file":
        return remote
    route = (way or Network()).route(allowed) if remote.scheme.startswith("http") else Route()
    port = remote.port or 443
    try:
        addresses = allowed.check(remote.host, port)
    except (NotFound, TransientFailure):
        if not route.proxy or remote.scheme == "http":
            raise
        addresses = []  # behind a proxy names are often known to the proxy only
    if remote.scheme == "http":
        _refuse_plain(allowed, remote.host, port, addresses)
    return replace(remote, addresses=tuple(str(address) for address in addresses), route=route)


def _refuse_plain(allowed: Policy, host: str, port: int, addresses: Iterable[Address]) -> None:
    if not all(any(t.covers(host, address, port) for t in allowed.allowed) for address in addresses):
        raise AddressRefused(
            f"{host} is asked for over plain http, which anybody on the way can read. Use https, or "
            f"let an administrator allow the host {host} with port {port}."
        )


def _git(safe_directories: tuple[Path, ...]) -> Git:
    return Git(
        Path(settings.DATA) / "git",
        safe_directories=safe_directories,
        stall_seconds=settings.STALL_SECONDS,
        max_file_bytes=settings.STORE_QUOTA,
    )


def _foreign_folders() -> tuple[Path, ...]:
    """Folders of other users of this machine that were connected: git must be told to trust them."""
    rows = Connection.objects.filter(provider=FolderProvider.kind).prefetch_related(
        "credentials", "repositories"
    )
    found = {
        folder for connection in rows for folder in _foreign_of(connection, connection.repositories.all())
    }
    return tuple(sorted(found))


def _foreign_of(connection: Connection, repositories: Iterable[Repository]) -> set[Path]:
    """Those of the repositories' folders that belong to others; none that may not be used any more."""
    if connection.provider != FolderProvider.kind:
        return set()
    found = set()
    with suppress(Failure):
        provider = _provider_of(connection)
        assert isinstance(provider, FolderProvider)  # noqa: S101 - by its kind
        for repository in repositories:
            with suppress(Failure):
                found.add(provider.foreign_folder(repository.external_id))
    return {folder for folder in found if folder is not None}


def _ports(text: str) -> tuple[int, ...]:
    """Port numbers; what is no number allows no port."""
    return tuple(int(part) if part.isdigit() else 0 for part in text.replace(" ", "").split(",") if part)

"""From a connection to something that can be used: a client, a git credential, a store.

The only place that decrypts the secrets of a connection, that decides which addresses and folders
it may reach, and that keeps its health. HTTP and git must not run inside a database transaction,
where they would hold locks for as long as a stranger likes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import DatabaseError, connection as database, transaction

from opssight.accounts.local import local_team
from opssight.accounts.models import AllowedHost
from opssight.core.clock import now
from opssight.core.env import Env
from opssight.core.errors import ErrorClass, Failure, InvalidInput, NotFound
from opssight.core.outbound import Address, AddressRefused, AllowedTarget, Policy
from opssight.core.outbound_http import Client, client
from opssight.notices.models import Severity
from opssight.notices.outbox import report
from repos.etags import DatabaseEtags
from repos.git.fetching import look as look_at
from repos.git.remote import Remote
from repos.git.runner import Git
from repos.git.store import Store, Stores
from repos.git.types import RemoteRefs
from repos.instances import Instance, instance_of
from repos.limits import DatabaseLimiter
from repos.models import Connection, Repository
from repos.providers.base import Provider
from repos.providers.folder.provider import FolderProvider
from repos.providers.http import Wire
from repos.providers.oauth import Grant, OAuthClient
from repos.providers.registry import provider_named
from repos.providers.types import Context
from repos.providers.wire import Etags, Limiter, NoEtags, NoLimiter, Tokens
from repos.tokens import REFRESH, DatabaseTokens

_ANYWHERE = (AllowedTarget("*", "0.0.0.0/0"), AllowedTarget("*", "::/0"))
_SEVERITY = {
    Connection.State.OK: Severity.INFO,
    Connection.State.DEGRADED: Severity.WARNING,
    Connection.State.REAUTH: Severity.ERROR,
}
_API_SECONDS = 30.0
_API_BYTES = 64_000_000  # of one answer
_OK_EVERY_SECONDS = 60  # how often "still fine" is written down


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


def provider_for(
    kind: str,
    options: Mapping[str, Any],
    secrets: Mapping[str, str],
    *,
    trusted: bool = False,
    tokens: Tokens | None = None,
    limiter: Limiter | None = None,
    etags: Etags | None = None,
) -> Provider:
    """A provider from plain values. InvalidInput names the fields that do not fit."""
    allowed = Policy(_ANYWHERE) if trusted else policy()
    wire = Wire(lambda base_url: _http(base_url, allowed), tokens, etags or NoEtags(), limiter or NoLimiter())
    return provider_named(kind)(options, secrets, _context(allowed, wire, trusted=trusted))


def client_of(connection: Connection, trusted: bool = False, reserve: float = 0.0) -> Provider:
    """The connection as something to talk to.

    `trusted`: the person at the keyboard asks. `reserve`: the share of the provider's limit that is left
    to others, for what nobody waits for.
    """
    refuse_in_transaction()
    return _provider_of(connection, trusted, reserve)


def oauth_of(instance: Instance) -> OAuthClient:
    """Our OAuth application at an instance, to be asked for tokens."""
    allowed, oauth = policy(), instance.provider.oauth
    assert oauth is not None  # noqa: S101 - an instance is of a provider that has it
    return OAuthClient(oauth, instance.app, lambda url: _http(url, allowed), instance.provider.label)


def remote_of(repository: Repository) -> Remote:
    """Where git reaches a repository: with its credential, pinned to addresses that are allowed.

    Raises a `Failure` when the policy, the folder or the credential does not allow it.
    """
    refuse_in_transaction()
    provider = _provider_of(repository.connection)
    return provider.context.vet(provider.remote(repository.external_id, repository.full_name))


def remote_typed(text: str, label: str) -> Remote:
    """Where git finds what the person at the keyboard typed; `label` is how sentences call it.

    A git URL, any folder, or `CONNECTION:owner/name` for a repository of the inventory. InvalidInput
    when it is none of these, another Failure when the connection cannot be used.
    """
    if "://" in text:
        return Remote.from_url(text, label=label)
    if os.path.isdir(text):
        return Remote.from_url(os.path.abspath(text), label=label)
    name, colon, full_name = text.partition(":")
    if colon and not full_name.startswith(":") and (connection := _typed_connection(name)):
        repository = connection.repositories.filter(full_name=full_name).first()
        if repository is None:
            raise InvalidInput(
                f"{name} has no repository {full_name!r} in the inventory. "
                "opssight repo list shows what there is."
            )
        return replace(remote_of(repository), label=label)
    return Remote.from_url(text, label=label)


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
        remote = remote_of(repository)
        own = _git(tuple(_foreign_of(repository.connection, [repository])))
        refs = look_at(git or own, remote)
    except Failure as failure:
        _note_lost(repository, failure)
        raise
    _note_seen(repository, refs)
    note_ok(repository.connection)
    return refs


def note_ok(connection: Connection) -> None:
    """The connection works. Written at most once a minute while nothing changes."""
    fresh = connection.last_ok_at and (now() - connection.last_ok_at).total_seconds() < _OK_EVERY_SECONDS
    if fresh and connection.state == Connection.State.OK:
        return
    _set_health(connection, Connection.State.OK, "", "", last_ok_at=now())


def note_failure(connection: Connection, failure: Failure, *, whole: bool = False) -> None:
    """The connection does not work as it should; what is wrong with one repository is not noted.

    `whole`: the connection itself was asked, so that also "not there" is about all of it.
    """
    kind = failure.error_class
    of_one = kind in (ErrorClass.NOT_FOUND, ErrorClass.CONFLICT) and not isinstance(failure, AddressRefused)
    if of_one and not whole:
        return
    state = Connection.State.REAUTH if kind == ErrorClass.AUTH else Connection.State.DEGRADED
    _set_health(connection, state, kind.value, failure.sentence)


def _set_health(
    connection: Connection, state: Connection.State, error_class: str, sentence: str, **more: Any
) -> None:
    """Store it, and tell whoever wants to know about a change."""
    values = {"state": state, "error_class": error_class, "sentence": sentence, "checked_at": now(), **more}
    for name, value in values.items():
        setattr(connection, name, value)
    with transaction.atomic():
        Connection.objects.filter(pk=connection.pk).update(**values)
        report(
            team_id=connection.team_id,
            topic="connection.health",
            subject=f"connection {connection.pk}",
            state=state.value,
            severity=_SEVERITY[state],
            title=f"{connection.name}: {state.label}",
            sentence=sentence or f"{connection.name} works.",
        )


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
        tokens=DatabaseTokens(connection, partial(_renew, connection)) if renewed else None,
        limiter=DatabaseLimiter(connection, reserve),
        etags=DatabaseEtags(connection),
    )


def _renew(connection: Connection, refresh_token: str) -> Grant:
    refuse_in_transaction()
    instance = instance_of(connection.provider, connection.options.get("url", ""))
    return oauth_of(instance).refresh(refresh_token)


def _http(base_url: str, allowed: Policy) -> Client:
    """A client for a provider's API. Plain http is for hosts that an administrator allowed by name."""
    refuse_in_transaction()
    parts = urlsplit(base_url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if parts.scheme == "http":
        _refuse_plain(allowed, parts.hostname or "", port, allowed.check(parts.hostname or "", port))
    env: Env = settings.ENV
    return client(
        allowed,
        timeout=max(env.http_seconds, _API_SECONDS),
        max_bytes=_API_BYTES,
        max_redirects=0,
        ca=env.ca,
        proxy=env.proxy or None,
    )


def _context(allowed: Policy, wire: Wire, *, trusted: bool) -> Context:
    return Context(
        git=_git(()),
        vet=lambda remote: vetted(remote, allowed),
        roots=tuple(Path(root) for root in settings.FOLDER_ROOTS),
        trusted=trusted,
        wire=wire,
    )


def vetted(remote: Remote, allowed: Policy) -> Remote:
    """The remote, pinned to addresses that the policy allows. A folder was checked by its provider.

    Plain http shows everything to the network, so it is used only with a host that was allowed by
    name. Raises `AddressRefused`, or what the look-up of the name raises.
    """
    if remote.scheme == "file":
        return remote
    port = remote.port or 443
    addresses = allowed.check(remote.host, port)
    if remote.scheme == "http":
        _refuse_plain(allowed, remote.host, port, addresses)
    return replace(remote, addresses=tuple(str(address) for address in addresses))


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

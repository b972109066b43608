"""A GitHub App of this installation: made from a manifest, installed at accounts, one connection for each.

What the browser brings back is a hint and nothing more: an installation becomes a connection only for
somebody whom GitHub itself names as an owner of the account.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.db import IntegrityError, transaction
from django.urls import reverse

from opssight.accounts.models import Role, Team
from opssight.accounts.scope import NotAllowed, Principal
from opssight.audit.record import record
from opssight.core.errors import Conflict, InvalidInput, NotFound, Revoked
from repos import access, connections
from repos.events import Event, InstallationChanged, subscribe
from repos.health import note_failure, note_ok
from repos.instances import callback_of, of_row
from repos.models import DEAD_STATES, Connection, ProviderInstance, Webhook
from repos.network import network_at
from repos.oauth import free_name
from repos.providers.github import app
from repos.providers.github.provider import GitHubProvider, api_of
from repos.providers.oauth import Grant
from repos.tokens import TOKEN, store_grant
from repos.webhook_status import place_of

KIND: Final = GitHubProvider.kind
_GONE: Final = {
    "removed": "The app was removed at GitHub. Install it again there.",
    "suspended": "The installation of the app was suspended at GitHub. Lift that there.",
}


@dataclass(frozen=True)
class Form:
    """What GitHub is asked to make: `manifest` is posted to `address`, which also shows it to a person."""

    address: str
    manifest: dict[str, Any]


def apps() -> list[ProviderInstance]:
    """The GitHub Apps there are, by address."""
    return list(ProviderInstance.objects.filter(provider=KIND).exclude(app_id="").order_by("url"))


def form(
    principal: Principal,
    url: str,
    organization: str,
    state: str,
    hook_id: uuid.UUID,
    *,
    anywhere: bool = False,
) -> Form:
    """What to send to GitHub, so that an administrator gets an app with one press of a button.

    `anywhere`: accounts other than its owner may install it as well.
    """
    _require_administrator(principal)
    _refuse_second(url)
    site = GitHubProvider.site_of(url)
    api_of(url)  # refuses what is no address
    owner = f"organizations/{_account(organization)}/" if organization else ""
    public = str(settings.PUBLIC_URL).rstrip("/")
    heard = place_of(public) == "everywhere" or place_of(site) != "everywhere"
    manifest = app.manifest(
        name=_name(public),
        url=public,
        hook_url=f"{public}{reverse('hook', args=[hook_id])}" if heard else "",
        made_url=f"{public}{reverse('github_app_made')}",
        callback_url=callback_of(KIND),
        installed_url=f"{public}{reverse('github_app_installed')}",
        anywhere=anywhere,
    )
    return Form(f"{site}/{owner}settings/apps/new?state={state}", dict(manifest))


def make(principal: Principal, team: Team, url: str, code: str, hook_id: uuid.UUID) -> ProviderInstance:
    """The app that GitHub made, stored with its secrets, and its webhook. Raises a `Failure`."""
    _require_administrator(principal)
    principal.require(Role.ADMIN, team.pk)
    _refuse_second(url)
    try:
        made = app.convert(api_of(url), code, access.app_wire(network_at(KIND, url)))
    except NotFound:
        raise InvalidInput("GitHub does not know this app any more. Make it again.") from None
    row = ProviderInstance(
        provider=KIND,
        url=url,
        client_id=made.client_id,
        client_secret=made.client_secret,
        app_id=made.app_id,
        app_slug=made.slug,
        private_key=made.private_key,
    )
    hook = Webhook(
        pk=hook_id,
        team=team,
        name=f"GitHub App {made.slug}"[:100],
        scheme=KIND,
        secret=made.hook_secret,
        instance=row,
        managed=True,
        remote_state=Webhook.Remote.OK,
    )
    try:
        with transaction.atomic():
            row.save(force_insert=True)
            if made.hook_secret:
                hook.save(force_insert=True)
            target = ("github_app", row.pk, made.slug)
            record("github_app.make", team_id=team.pk, target=target, diff={"at": of_row(row).label})
    except IntegrityError:
        _refuse_second(url)
        raise
    return row


def address_to_install(row: ProviderInstance, state: str) -> str:
    """Where a person chooses an account and repositories for the app."""
    site = GitHubProvider.site_of(row.url)
    folder = "apps" if site == GitHubProvider.public else "github-apps"
    return f"{site}/{folder}/{row.app_slug}/installations/new?state={state}"


def address_to_prove(row: ProviderInstance, state: str, verifier: str) -> str:
    """Where the person tells who they are, so that the installation can be theirs."""
    return access.oauth_of(of_row(row)).authorize_url(callback_of(KIND), state, verifier)


def connect(
    principal: Principal, team: Team, row: ProviderInstance, number: str, code: str, verifier: str
) -> Connection:
    """The connection of an installation: a new one, or the one there is with a new token.

    NotAllowed for whoever does not own the account it is installed at.
    """
    principal.require(Role.ADMIN, team.pk)
    grant = access.oauth_of(of_row(row)).exchange(code, callback_of(KIND), verifier)
    wire = access.app_wire(network_at(KIND, row.url))
    person = app.AppUser(api_of(row.url), grant.token, wire)  # the token is not kept
    ours = access.github_app_of(row)
    installation = ours.installation(number)
    if not (person.sees(number) and person.owns(installation)):
        raise NotAllowed(
            f"Only an owner of {installation.account} at GitHub may connect what the app sees there. "
            "Ask one to do it."
        )
    if installation.suspended:
        raise InvalidInput(f"The app is suspended at {installation.account}. Lift that at GitHub first.")
    token = ours.token(number)
    try:
        with transaction.atomic():
            connection = _stored(principal, team, row, installation, number, token)
    except IntegrityError:
        raise Conflict(f"{installation.account} was connected by somebody else just now.") from None
    note_ok(connection)
    return connection


def _stored(
    principal: Principal,
    team: Team,
    row: ProviderInstance,
    installation: app.Installation,
    number: str,
    token: Grant,
) -> Connection:
    account = f"{row.app_slug} at {installation.account}"[:200]
    known = _known(team, row, number, account)
    if known is not None and known.team_id != team.pk:
        raise Conflict(f"{installation.account} is connected in another team already.")
    connection = known or _made(principal, team, row, installation, token.token)
    connection.account, connection.installation_id = account, number
    connection.save(update_fields=["account", "installation_id"])
    store_grant(connection, token)
    if known is not None:
        target = ("connection", connection.pk, connection.name)
        record("connection.reconnect", team_id=team.pk, target=target)
    return connection


def _known(team: Team, row: ProviderInstance, number: str, account: str) -> Connection | None:
    """The connection of an installation, or the one that lost its own at the same account."""
    rows = Connection.objects.filter(instance=row)
    lost = rows.filter(team=team, account=account, state__in=DEAD_STATES).exclude(installation_id="")
    return rows.filter(installation_id=number).first() or lost.first()


def _made(
    principal: Principal, team: Team, row: ProviderInstance, installation: app.Installation, token: str
) -> Connection:
    name = free_name(team, f"{GitHubProvider.label}: {installation.account}")
    options = {"url": row.url} if row.url else {}
    made = connections.create_connection(principal, team, KIND, name, options, {TOKEN: token})
    made.instance = row
    made.save(update_fields=["instance"])
    return made


def heard(event: Event) -> None:
    """What GitHub tells of an installation, in the delivery's transaction."""
    if not isinstance(event, InstallationChanged):
        return
    for connection in Connection.objects.filter(pk__in=event.connection_ids):
        if event.what in _GONE:
            note_failure(connection, Revoked(_GONE[event.what]), whole=True)
        elif event.what == "unsuspended":
            note_ok(connection)


def register() -> None:
    subscribe(heard, InstallationChanged)


def _require_administrator(principal: Principal) -> None:
    if principal.team is not None or not principal.user.is_superuser:
        raise NotAllowed("Only an administrator of this installation makes its GitHub App.")


def _refuse_second(url: str) -> None:
    if ProviderInstance.objects.filter(provider=KIND, url=url).exists():
        where = GitHubProvider.site_of(url).partition("://")[2]
        raise Conflict(f"{where} has an application here already. Remove it on the admin site first.")


def _account(name: str) -> str:
    if not name.isascii() or not name.replace("-", "").isalnum() or len(name) > 39:
        sentence = f"{name} is not the name of an organization at GitHub."
        raise InvalidInput(sentence, [("organization", sentence)])
    return name


def _name(public: str) -> str:
    """At most 34 characters, and nobody else's at GitHub; a person may change it there."""
    return f"OpsSight {public.partition('://')[2]}"[:34].rstrip(".-: ")

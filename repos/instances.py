"""Our OAuth applications at providers: for public ones from settings, for others from rows."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.urls import reverse

from opssight.core.errors import InvalidInput
from repos.models import ProviderInstance
from repos.providers.forge import Forge
from repos.providers.oauth import OAuthApp
from repos.providers.registry import all_providers, provider_named


@dataclass(frozen=True)
class Instance:
    """Where people can connect by a button. `url` is "" for the provider's public instance."""

    provider: type[Forge]
    url: str
    app: OAuthApp
    github_app: str = ""  # its name in addresses, when it is a GitHub App
    # whether an address that it calls verified opens an account here; public ones confirm addresses
    trusts_email: bool = True

    @property
    def kind(self) -> str:
        return self.provider.kind

    @property
    def name(self) -> str:
        return self.provider.label

    @property
    def label(self) -> str:
        return self.app.site.partition("://")[2]


def instances(*, github_apps: bool = False) -> list[Instance]:
    """Where people connect by a button, by provider and address; one for each address.

    `github_apps`: those as well that only have a GitHub App, which also lets people sign in.
    """
    rows = {(row.provider, row.url): row for row in ProviderInstance.objects.order_by("provider", "url")}
    found = []
    for provider in with_oauth():
        known = {url: row for (kind, url), row in rows.items() if kind == provider.kind}
        for url in dict.fromkeys(["", *known]):
            one = _best(provider, url, known.get(url))
            if one is not None and (github_apps or not one.github_app):
                found.append(one)
    return found


def instance_of(kind: str, url: str, *, github_apps: bool = False) -> Instance:
    """The one to connect to. InvalidInput when there is none."""
    provider = provider_named(kind)
    if issubclass(provider, Forge) and provider.oauth is not None:
        row = ProviderInstance.objects.filter(provider=kind, url=url).first()
        found = _best(provider, url, row)
        if found is not None and (github_apps or not found.github_app):
            return found
    raise InvalidInput(
        f"Nobody registered OpsSight as an OAuth application at {url or provider.label}. "
        "Use a token, or ask an administrator to register it."
    )


def callback_of(kind: str) -> str:
    """The address that providers send people back to, exactly as it has to be registered there."""
    given: str = getattr(settings.ENV, f"{kind}_callback_url", "")
    path = reverse("oauth_callback", args=[kind])
    return given or f"{str(settings.PUBLIC_URL).rstrip('/')}{path}"


def with_oauth() -> list[type[Forge]]:
    """Providers where people can connect by a button, once our application is registered there."""
    return [one for one in all_providers() if issubclass(one, Forge) and one.oauth is not None]


def of_row(row: ProviderInstance) -> Instance:
    """What an administrator registered, or what GitHub made."""
    provider = provider_named(row.provider)
    assert issubclass(provider, Forge)  # noqa: S101 - only forges are registered
    return _of_row(provider, row)


def _best(provider: type[Forge], url: str, row: ProviderInstance | None) -> Instance | None:
    """A row before the settings, unless it is a GitHub App: tokens of one are not renewed by the other."""
    public = _from_settings(provider) if not url else None
    if row is None or (row.app_id and public is not None):
        return public
    return _of_row(provider, row)


def _from_settings(provider: type[Forge]) -> Instance | None:
    client_id = getattr(settings.ENV, f"{provider.kind}_client_id", "")
    secret = getattr(settings.ENV, f"{provider.kind}_client_secret", "")
    if not client_id or not secret:
        return None
    return Instance(provider, "", OAuthApp(provider.site_of(""), client_id, secret))


def _of_row(provider: type[Forge], row: ProviderInstance) -> Instance:
    app = OAuthApp(provider.site_of(row.url), row.client_id, row.client_secret)
    return Instance(provider, row.url, app, row.app_slug, row.trusts_email or not row.url)


def is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        rest = parts.query or parts.fragment or parts.username
        return parts.scheme in ("http", "https") and bool(parts.hostname) and not rest
    except ValueError:
        return False

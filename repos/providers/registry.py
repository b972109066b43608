"""Which providers and webhook schemes there are. A module is imported when it is first used."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from opssight.core.errors import InvalidInput
from repos.providers.base import HookScheme, Provider

# in the order in which pages offer them
PROVIDERS = {
    "github": "repos.providers.github.provider:GitHubProvider",
    "gitlab": "repos.providers.gitlab.provider:GitLabProvider",
    "bitbucket": "repos.providers.bitbucket.provider:BitbucketProvider",
    "bitbucket_dc": "repos.providers.bitbucket.dc:BitbucketDataCenterProvider",
    "gitea": "repos.providers.gitea.provider:GiteaProvider",
    "plain": "repos.providers.plain.provider:PlainProvider",
    "folder": "repos.providers.folder.provider:FolderProvider",
}
HOOK_SCHEMES = {
    "github": "repos.providers.github.webhook:GitHubScheme",
    "gitlab": "repos.providers.gitlab.webhook:GitLabScheme",
    "bitbucket": "repos.providers.bitbucket.webhook:BitbucketScheme",
    "bitbucket_dc": "repos.providers.bitbucket.webhook:BitbucketDataCenterScheme",
    "gitea": "repos.providers.gitea.webhook:GiteaScheme",
    "plain": "repos.providers.plain.webhook:PlainScheme",
}


@cache
def provider_named(kind: str) -> type[Provider]:
    """The provider of this kind. InvalidInput names those there are."""
    provider: type[Provider] = _load("provider", kind, PROVIDERS)
    return provider


@cache
def scheme_named(scheme: str) -> HookScheme:
    """The webhook scheme of this name. InvalidInput names those there are."""
    found: HookScheme = _load("provider", scheme, HOOK_SCHEMES)()
    return found


def all_providers() -> list[type[Provider]]:
    return [provider_named(kind) for kind in PROVIDERS]


def all_schemes() -> list[HookScheme]:
    return [scheme_named(scheme) for scheme in HOOK_SCHEMES]


def _load(field: str, name: str, places: dict[str, str]) -> Any:
    if name not in places:
        sentence = f"There is no provider {name!r} here. Choose one of: {', '.join(places)}."
        raise InvalidInput(sentence, [(field, sentence)])
    module, _, attribute = places[name].partition(":")
    return getattr(import_module(module), attribute)

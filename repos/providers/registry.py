"""Which providers and webhook schemes there are. A module is imported when it is first used."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from opssight.core.errors import InvalidInput
from repos.providers.base import HookScheme, Provider

PROVIDERS = {
    "folder": "repos.providers.folder.provider:FolderProvider",
    "plain": "repos.providers.plain.provider:PlainProvider",
}
HOOK_SCHEMES = {
    "github": "repos.providers.github.webhook:GitHubScheme",
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

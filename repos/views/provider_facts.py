"""What a repository's provider tells about it beside its name: for the page, in words."""

from __future__ import annotations

from typing import Any, Final

from opssight.web.parts import Fact
from repos.models import Repository

# the keys that providers fill: docs/reference/providers.md
_FEATURES: Final = {
    "has_issues": "issues",
    "issues_enabled": "issues",
    "has_pull_requests": "pull requests",
    "merge_requests_enabled": "merge requests",
    "has_actions": "CI",
    "ci_enabled": "CI",
    "has_wiki": "wiki",
    "wiki_enabled": "wiki",
    "has_projects": "projects",
    "has_discussions": "discussions",
    "has_pages": "pages",
    "has_releases": "releases",
    "has_packages": "packages",
    "packages_enabled": "packages",
    "allow_forking": "forking",
    "forkable": "forking",
}
_KINDS: Final = {"is_template": "template", "template": "template", "mirror": "mirror"}
_LEVELS: Final = {10: "guest", 15: "planner", 20: "reporter", 30: "developer", 40: "maintainer", 50: "owner"}


def about(repository: Repository) -> list[Fact]:
    """Nothing where the provider tells nothing more."""
    data = repository.provider_data
    switched: dict[bool, list[str]] = {True: [], False: []}
    for key, word in _FEATURES.items():
        if isinstance(data.get(key), bool):
            switched[data[key]].append(word)
    kinds = [word for key, word in _KINDS.items() if data.get(key) is True]
    told = [
        ("Language", repository.language),
        ("Topics", ", ".join(map(str, repository.topics))),
        ("Kind", ", ".join(kinds)),
        ("Switched on", ", ".join(switched[True])),
        ("Switched off", ", ".join(switched[False])),
        ("Our access", _access(data)),
    ]
    return [Fact(label, value) for label, value in told if value]


def _access(data: dict[str, Any]) -> str:
    """What the connection's account may do there."""
    granted = data.get("permissions")
    if isinstance(granted, dict):
        return ", ".join(name for name, given in granted.items() if given is True) or "none"
    level = data.get("access_level")
    return _LEVELS.get(level, f"level {level}") if isinstance(level, int) else ""

from __future__ import annotations

from django.apps import AppConfig


class PagesConfig(AppConfig):
    name = "opssight.pages"
    label = "pages"

    def ready(self) -> None:
        from opssight.pages.overview import need_count
        from opssight.web.registry import NavEntry, register_nav

        register_nav(
            NavEntry("", 0, "Overview", "overview", "home", ("",), badge=need_count),
            NavEntry("", 30, "Search", "search", "search", ("search",)),
            NavEntry("Setup", 30, "Team", "team", "people", ("team",)),
            NavEntry("Setup", 40, "Notices", "notices", "bell", ("notices",)),
            NavEntry("Setup", 50, "Audit log", "audit", "audit", ("audit",)),
            NavEntry("You", 10, "Your account", "account", "user", ()),
            NavEntry("You", 20, "Your password", "password_change", "lock", ()),
            NavEntry("You", 30, "API tokens", "tokens", "key", ("tokens",)),
        )

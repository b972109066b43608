from __future__ import annotations

from django.apps import AppConfig


class OpsSightConfig(AppConfig):
    """The composition: holds the commands of the whole, and introduces rooms that may not know each other."""

    name = "opssight"
    verbose_name = "OpsSight"

    def ready(self) -> None:
        from opssight.notices import http
        from repos import access

        http.use_policy(access.policy)

from __future__ import annotations

from django.apps import AppConfig


class ReposConfig(AppConfig):
    name = "repos"
    verbose_name = "Repositories"

    def ready(self) -> None:
        from repos import inbox

        inbox.register()

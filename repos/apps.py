from __future__ import annotations

from django.apps import AppConfig
from django.core.signals import request_finished


class ReposConfig(AppConfig):
    name = "repos"
    verbose_name = "Repositories"

    def ready(self) -> None:
        from repos import github_app, import_rules, inbox, inventory_events, spending

        inbox.register()
        inventory_events.connect()
        import_rules.connect()
        github_app.register()
        request_finished.connect(spending.flush_after_request, dispatch_uid="spending")

from __future__ import annotations

from django.apps import AppConfig


class WatchConfig(AppConfig):
    name = "syncs.watch"
    label = "watch"
    verbose_name = "Watch"

    def ready(self) -> None:
        from repos.events import Imported, InstallationChanged, Transferred, subscribe
        from syncs.engine import housekeeping
        from syncs.watch import service

        subscribe(service.answer, Imported, InstallationChanged, Transferred)
        housekeeping.add_chore("watch", service.EVERY_SECONDS, service.look_around)

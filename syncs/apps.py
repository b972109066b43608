from __future__ import annotations

from django.apps import AppConfig


class SyncsConfig(AppConfig):
    name = "syncs"
    verbose_name = "Jobs and runs"

    def ready(self) -> None:
        from syncs import inbox, notices, pauses, timeline, triggers

        triggers.connect()
        pauses.connect()
        notices.connect()
        inbox.register()
        timeline.register()

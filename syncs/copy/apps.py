from __future__ import annotations

from django.apps import AppConfig


class CopyConfig(AppConfig):
    name = "syncs.copy"
    label = "copy"
    verbose_name = "Copy"

    def ready(self) -> None:
        from opssight.web import registry
        from repos import transfer
        from repos.events import Imported, Pushed, subscribe
        from syncs.copy.files import inbox as file_inbox, watch as file_watch
        from syncs.copy.runs import pull_news
        from syncs.copy.saved.uses import uses_of
        from syncs.copy.views import overview
        from syncs.engine import housekeeping

        registry.register_nav(overview.NAV)
        registry.repository_steps.append(overview.steps)
        registry.repository_jobs.append(overview.job_lines)
        registry.protections.append(overview.protection)
        registry.proofs.append(overview.proof)
        registry.next_steps.append(overview.next_steps)
        transfer.register(uses_of)
        pull_news.connect()
        registry.needs.append(file_inbox.needs)
        subscribe(file_watch.answer, Pushed, Imported)
        housekeeping.add_chore("files", file_watch.EVERY_SECONDS, file_watch.read_due)

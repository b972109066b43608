from __future__ import annotations

from django.apps import AppConfig


class CopyConfig(AppConfig):
    name = "syncs.copy"
    label = "copy"
    verbose_name = "Copy"

    def ready(self) -> None:
        from opssight.web import registry
        from repos import transfer
        from syncs.copy import overview
        from syncs.copy.uses import uses_of

        registry.register_nav(overview.NAV)
        registry.repository_steps.append(overview.steps)
        registry.repository_jobs.append(overview.job_lines)
        registry.protections.append(overview.protection)
        registry.proofs.append(overview.proof)
        registry.next_steps.append(overview.next_steps)
        transfer.register(uses_of)

from __future__ import annotations

from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "opssight.audit"
    label = "audit"
    verbose_name = "Audit log"

    def ready(self) -> None:
        from opssight.audit.sealer import seals_per_key
        from opssight.core.rotation import register_use

        register_use("audit.AuditSeal.mac", seals_per_key)

"""`opssight settings`: every setting with its value, where it comes from and what it is for."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from opssight.core.command import Answer, OpsCommand, table


class Command(OpsCommand):
    help = "Show every setting, its value (never a secret) and where it comes from."

    def run(self, **options: Any) -> Answer:
        rows = list(settings.ENV.describe())
        warnings = list(settings.ENV.warnings)
        for warning in warnings:
            self.progress(warning)
        text = table(rows, ["name", "value", "source"])
        return Answer({"settings": rows, "warnings": warnings}, text)

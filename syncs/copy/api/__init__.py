"""Copy in the API: its configuration, and where its endpoints are."""

from __future__ import annotations

from django.urls import path

from opssight.accounts.models import Team
from opssight.accounts.scope import Principal
from opssight.api.routing import extra, router
from opssight.core.errors import Conflict
from syncs.api import EDITORS, Config
from syncs.copy.api.files import FileViewSet, ValidateView
from syncs.copy.api.history import HISTORY
from syncs.copy.api.plan import PlanView
from syncs.copy.api.rules import ExportView, RuleViewSet, TestView
from syncs.copy.rules.config import parse_config
from syncs.copy.saved import service, states
from syncs.models import Job


class CopyEditor:
    """The configuration of copy jobs, as `syncs.copy.rules.config` defines it."""

    def create(self, principal: Principal, team: Team, config: Config, start: str) -> Job:
        job, _ = service.create_rule(principal, team, parse_config(config), start=_start(start))
        return job

    def update(self, principal: Principal, job: Job, config: Config, note: str, start: str) -> Job:
        if file := states.file_of(job):
            raise Conflict(f"{job.name} is made from the file {file.name}. Change that file.")
        job, _ = service.update_rule(principal, job, parse_config(config), note=note, start=_start(start))
        return job


def _start(text: str) -> service.Start:
    return "now" if text == "now" else "next"


EDITORS["copy"] = CopyEditor()
router.register("copy/files", FileViewSet, basename="copy-files")
router.register("copy/rules", RuleViewSet, basename="copy-rules")
extra += [
    path("copy/plan/", PlanView.as_view(), name="copy-plan"),
    path("copy/test/", TestView.as_view(), name="copy-test"),
    path("copy/export/", ExportView.as_view(), name="copy-export"),
    path("copy/validate/", ValidateView.as_view(), name="copy-validate"),
    *HISTORY,
]

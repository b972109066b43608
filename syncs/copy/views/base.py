"""What all pages of one copy rule share: the rule, its tabs, its addresses."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any
from uuid import UUID

from django.http import Http404
from django.urls import reverse

from opssight.accounts.models import Role
from opssight.web.parts import Choice, Crumb
from opssight.web.views import TeamPage, one_or_404
from syncs import selectors
from syncs.copy.forms import Names
from syncs.copy.views.bench import live_config
from syncs.models import Job

TABS = (
    ("Workbench", "copy_rule"),
    ("YAML", "copy_yaml"),
    ("Versions", "copy_versions"),
    ("Runs", "copy_runs"),
)


class RulePage(TeamPage):
    """A page of one rule of the team, or of one that is not saved yet (`job_id` is not given)."""

    tab = ""

    @cached_property
    def job(self) -> Job | None:
        """The rule; None for a new one. 404 for one of another team."""
        job_id: UUID | None = self.kwargs.get("job_id")
        if job_id is None:
            return None
        rows = selectors.jobs(self.principal, kind="copy").filter(team_id=self.request.team.pk)
        return one_or_404(rows, pk=job_id)

    @property
    def saved(self) -> Job:
        """The rule, where there must be one."""
        if self.job is None:
            raise Http404
        return self.job

    @cached_property
    def names(self) -> Names:
        config = live_config(self.job)
        also = [config.source_repository, *(t.repository for t in config.targets)] if config else []
        return Names.of_team(self.principal, self.request.team, also)

    @property
    def may_write(self) -> bool:
        return self.principal.may(Role.OPERATOR, self.request.team.pk)

    def require_operator(self) -> None:
        """404 for those who may only look."""
        if not self.may_write:
            raise Http404

    def address(self, name: str) -> str:
        """The address of a page of this rule by its name for a saved one, such as `copy_yaml`."""
        if self.job is None:
            return reverse(name.replace("copy_rule", "copy_new").replace("copy_yaml", "copy_new_yaml"))
        return reverse(name, args=[self.job.pk])

    def crumbs(self) -> Sequence[Crumb]:
        title = self.job.name if self.job else "New rule"
        return [Crumb("Copy", reverse("copy")), Crumb(title)]

    def tabs(self) -> list[Choice]:
        if self.job is None:
            return [Choice(label, self.address(name), name == self.tab) for label, name in TABS[:2]]
        number = self.job.version.number if self.job.version else None
        counts = {"copy_versions": number}
        tabs = [Choice(label, self.address(name), name == self.tab, counts.get(name)) for label, name in TABS]
        return [*tabs, Choice("Settings", self.address("copy_settings"), self.tab == "copy_settings")]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        return {**context, "job": self.job, "tabs": self.tabs(), "may_write": self.may_write}

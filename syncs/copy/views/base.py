"""What all pages of one copy rule share: the rule, its tabs, its addresses."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import Http404, HttpRequest
from django.urls import reverse

from opssight.accounts.models import Role
from opssight.web.parts import Choice, Crumb
from opssight.web.views import TeamPage, one_or_404
from syncs import selectors
from syncs.copy.forms.rule_form import Names
from syncs.copy.models import ConfigFile
from syncs.copy.rules.file_config import flows_of, read_version
from syncs.copy.saved import states
from syncs.models import Job, Run

TABS = (
    ("Workbench", "copy_rule"),
    ("YAML", "copy_yaml"),
    ("Preview", "copy_plan"),
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
        version = self.job.version if self.job else None
        flows = flows_of(read_version(version.config)) if version else []
        also = {id for flow in flows for id in (flow.source_repo, flow.target_repo)}
        return Names.of_team(self.principal, self.request.team, also)

    @cached_property
    def file(self) -> ConfigFile | None:
        """The file that the rule is made from; None for a rule made here."""
        return states.file_of(self.job) if self.job else None

    @property
    def may_write(self) -> bool:
        return self.principal.may(Role.OPERATOR, self.request.team.pk)

    def refuse_made_from_file(self) -> None:
        """404 for a rule that is made from a file: nothing of it is changed here."""
        if self.file is not None:
            raise Http404

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
        names = [("Rule", "copy_rule"), *TABS[2:]] if self.file else TABS
        tabs = [
            Choice(label, self.address(name), name == self.tab, counts.get(name)) for label, name in names
        ]
        return [*tabs, Choice("Settings", self.address("copy_settings"), self.tab == "copy_settings")]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        return {
            **context,
            "job": self.job,
            "file": self.file,
            "rule_state": states.state_of(self.job) if self.job else "",
            "tabs": self.tabs(),
            "may_write": self.may_write,
        }


def asked_of(request: HttpRequest) -> str:
    """The query that leads from the rule's page to its preview; empty: none was asked for."""
    given = {name: request.GET[name] for name in ("at", "pull") if request.GET.get(name)}
    return urlencode(given)


def run_url(run: Run) -> str:
    return reverse("run", args=[run.pk])


def placed(where: str, sentence: str) -> tuple[str, str]:
    """A problem to be shown. Of a text that is no YAML only the place knows the line: it is put in words."""
    line, colon, column = where.partition(":")
    if not colon or not line.isdecimal():
        return where, sentence
    return "", f"Line {line}, column {column}: {sentence}"

"""Checking a connection now, and the way from its job to its page."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from opssight.accounts.models import Role
from opssight.web.views import TeamPage, one_or_404
from repos import selectors
from syncs.models import Run
from syncs.selectors import jobs
from syncs.watch.models import WatchJob
from syncs.watch.service import check


class CheckConnection(TeamPage):
    """Start the run that looks at a connection, and go to its page."""

    http_method_names = ["post"]
    post_role = Role.OPERATOR

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        rows = selectors.connections(self.principal).filter(team=self.request.team)
        connection = one_or_404(rows, pk=self.kwargs["connection_id"])
        because = f"Check now, pressed by {self.principal.label}"
        run = check(self.principal, connection, Run.Trigger.MANUAL, because)
        return redirect("run", run.pk)


class WatchJobPage(TeamPage):
    """Leads to the connection that the job watches."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        mine = jobs(self.principal).filter(team_id=self.request.team.pk)
        watch = one_or_404(WatchJob.objects.filter(job__in=mine), pk=self.kwargs["job_id"])
        return redirect("connection", watch.connection_id)

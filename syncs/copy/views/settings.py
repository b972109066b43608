"""Runs of one rule, and its switch, schedule and end."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from opssight.core.errors import Failure
from opssight.core.words import seconds
from opssight.web.parts import Fact
from opssight.web.views import page_of
from syncs import jobs, selectors
from syncs.copy.saved import states
from syncs.copy.views.arrival import Answer
from syncs.copy.views.base import RulePage, run_url
from syncs.models import Run, RunState
from syncs.views.jobs import TimesForm


class RunsPage(RulePage):
    """The runs of the rule, newest first."""

    template_name = "copy/runs.html"
    tab = "copy_runs"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        rows = selectors.runs(self.principal, job=str(self.saved.pk))
        page = page_of(self.request, rows)
        live = any(run.state in (RunState.QUEUED, RunState.RUNNING) for run in page.object_list)
        return super().get_context_data(page=page, live=live, **kwargs)

    def get_template_names(self) -> list[str]:
        return ["copy/_runs.html" if self.request.headers.get("HX-Request") == "true" else self.template_name]


class StartRun(RulePage):
    """POST: bring every target up to the head of the source, now."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        because = f"a request by {self.principal.label}"
        try:
            run = jobs.start(self.saved, Run.Trigger.MANUAL, because)
        except Failure as failure:
            messages.error(request, failure.sentence)
            return HttpResponseRedirect(reverse("copy_rule", args=[self.saved.pk]))
        return HttpResponseRedirect(run_url(run))


class SettingsPage(RulePage):
    """Switch, schedule, polling, deletion."""

    template_name = "copy/settings.html"
    tab = "copy_settings"
    form: TimesForm | None = None

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        job, do = self.saved, request.POST.get("do", "")
        try:
            if do == "state" and (state := _state(request.POST.get("state", ""))):
                states.set_state(self.principal, job, state)
                messages.success(request, f"It is {state}. {states.MEANS[state]}")
            elif do == "delete" and self.file is None:
                jobs.delete_job(job)
                messages.success(request, f"{job.name} is deleted. What it copied stays where it is.")
                return HttpResponseRedirect(reverse("copy"))
            elif do == "times":
                self.form = TimesForm(request.POST)
                if not self.form.save(job):
                    return self.get(request, *args, **kwargs)
                messages.success(request, "Saved.")
        except Failure as failure:
            messages.error(request, failure.sentence)
        return HttpResponseRedirect(reverse("copy_settings", args=[job.pk]))

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        form = self.form or TimesForm.of(self.saved)
        now = states.state_of(self.saved)
        answers = [Answer(state, state, states.MEANS[state], state == now) for state in states.STATES]
        return super().get_context_data(form=form, facts=self._facts(now), answers=answers, **kwargs)

    def _facts(self, now: states.State) -> list[Fact]:
        job = self.saved
        looks = f"every {seconds(job.poll_seconds)}" if job.poll_seconds else "no: a webhook tells of pushes"
        targets = job.copy_rule.targets.count() if hasattr(job, "copy_rule") else 0
        return [
            Fact("Rule", now),
            Fact("Looks for pushes", looks),
            Fact("Targets", str(targets)),
        ]


def _state(text: str) -> states.State | None:
    return next((state for state in states.STATES if state == text), None)

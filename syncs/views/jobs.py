"""What the pages of a job share, whatever its kind: where it is, when it runs by itself."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final, Self
from zoneinfo import ZoneInfo

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from opssight.core.clock import now
from opssight.core.errors import InvalidInput
from opssight.web.views import TeamPage, add_failure, one_or_404
from syncs import jobs, selectors
from syncs.engine.schedule import next_times
from syncs.models import Job
from syncs.views.run_parts import job_url

TIMES: Final = 5  # next times that are shown


class TimesForm(forms.Form):
    """When a job runs by itself: on a schedule, and by looking for pushes."""

    cron = forms.CharField(
        label="Schedule",
        required=False,
        max_length=100,
        help_text="Five fields: 0 3 * * * is each day at 03:00, comparing all files. Empty: none.",
    )
    tz = forms.CharField(label="Time zone", max_length=60, initial="UTC", help_text="Such as Europe/Berlin.")
    minutes = forms.IntegerField(
        label="Look for pushes every … minutes",
        required=False,
        min_value=1,
        max_value=10_080,
        help_text="Needed where no webhook tells OpsSight about pushes. Empty: never look.",
    )

    @classmethod
    def of(cls, job: Job) -> Self:
        minutes = max(1, round(job.poll_seconds / 60)) if job.poll_seconds else None
        return cls(initial={"cron": job.cron, "tz": job.tz, "minutes": minutes})

    def next_times(self) -> dict[str, Any]:
        """What `syncs/_next_times.html` shows for what stands in the form."""
        return schedule_words(self["cron"].value() or "", self["tz"].value() or "")

    def save(self, job: Job) -> bool:
        """Store it; False when something cannot be read, with the sentence at its field."""
        if not self.is_valid():
            return False
        try:
            jobs.set_schedule(job, self.cleaned_data["cron"].strip(), self.cleaned_data["tz"].strip())
        except InvalidInput as failure:
            add_failure(self, failure)
            return False
        minutes = self.cleaned_data["minutes"]
        wanted = minutes * 60 if minutes else None
        if wanted != job.poll_seconds:
            jobs.set_poll(job, wanted)
        return True


def schedule_words(cron: str, tz: str) -> dict[str, Any]:
    """The next times of a schedule by its own clock, or the sentence that says what is wrong with it."""
    if not cron.strip():
        return {"times": [], "sentence": ""}
    try:
        found = next_times(cron.strip(), tz.strip(), now(), TIMES)
    except InvalidInput as failure:
        return {"times": [], "sentence": failure.sentence}
    zone = ZoneInfo(tz.strip())
    return {"times": [_words(at.astimezone(zone)) for at in found], "sentence": ""}


def _words(at: dt.datetime) -> str:
    """`Sun 22 Nov, 03:00 CET`."""
    return f"{at:%a} {at.day} {at:%b, %H:%M %Z}"


class NextTimes(TeamPage):
    """The next times of `?cron=` in `?tz=`, while somebody types."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        given = request.GET
        return render(
            request, "syncs/_next_times.html", schedule_words(given.get("cron", ""), given.get("tz", ""))
        )


class JobPage(TeamPage):
    """Leads to the kind's page of the job, or to its runs where the kind has no pages."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        rows = selectors.jobs(self.principal).filter(team_id=self.request.team.pk)
        job = one_or_404(rows, pk=self.kwargs["job_id"])
        own = job_url(job.pk, job.kind)
        return HttpResponseRedirect(own or f"{reverse('runs')}?job={job.pk}")

"""Addresses of the pages of runs, and of jobs of any kind."""

from __future__ import annotations

from django.urls import path

from syncs.views.jobs import JobPage, NextTimes
from syncs.views.run import CancelRun, RetryRun, RunLive, RunLogFile, RunLogPart, RunPage
from syncs.views.runs import RunsPage

urlpatterns = [
    path("runs/", RunsPage.as_view(), name="runs"),
    path("runs/<uuid:run_id>/", RunPage.as_view(), name="run"),
    path("runs/<uuid:run_id>/live/", RunLive.as_view(), name="run_live"),
    path("runs/<uuid:run_id>/log/", RunLogPart.as_view(), name="run_log"),
    path("runs/<uuid:run_id>/log.txt", RunLogFile.as_view(), name="run_log_file"),
    path("runs/<uuid:run_id>/retry/", RetryRun.as_view(), name="run_retry"),
    path("runs/<uuid:run_id>/cancel/", CancelRun.as_view(), name="run_cancel"),
    path("jobs/times/", NextTimes.as_view(), name="job_times"),
    path("jobs/<uuid:job_id>/", JobPage.as_view(), name="job"),
]

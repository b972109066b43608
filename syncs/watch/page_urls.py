"""Addresses of watch's pages, below `/watch/`."""

from __future__ import annotations

from django.urls import path

from syncs.watch.views import CheckConnection, WatchJobPage

urlpatterns = [
    path("<uuid:job_id>/", WatchJobPage.as_view(), name="watch_job"),
    path("connections/<uuid:connection_id>/check/", CheckConnection.as_view(), name="connection_check"),
]

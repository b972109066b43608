"""Addresses outside of the job's own pages: where an examples-copier received its deliveries."""

from __future__ import annotations

from django.urls import path

from syncs.copy.receiver import deliver

urlpatterns = [
    path("webhook", deliver, name="copier_webhook"),
    path("events", deliver, name="copier_events"),
]

"""Addresses of the repos room that are not pages: where webhooks arrive."""

from __future__ import annotations

from django.urls import path

from repos.hook_view import deliver

urlpatterns = [
    path("hooks/<uuid:hook_id>/", deliver, name="hook"),
]

"""Where the rooms put their endpoints: each app's module `api` adds to these when it is imported."""

from __future__ import annotations

from django.urls import URLPattern
from rest_framework.routers import SimpleRouter

router = SimpleRouter(use_regex_path=False)
extra: list[URLPattern] = []  # what is no collection

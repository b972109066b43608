"""Jobs and runs in the admin site, to look at: they are made and changed where their checks are."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from syncs.models import Item, Job, JobVersion, Run, Worker


class _LookOnly(admin.ModelAdmin):  # type: ignore[type-arg]
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class _LookOnlyInline(admin.TabularInline):  # type: ignore[type-arg]
    extra = 0
    can_delete = False
    show_change_link = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class VersionInline(_LookOnlyInline):
    model = JobVersion
    fields = ["number", "note", "created_by", "created_at", "config"]


class ItemInline(_LookOnlyInline):
    model = Item
    fields = ["label", "state", "error_class", "sentence", "planned", "result", "started_at", "finished_at"]


@admin.register(Job)
class JobAdmin(_LookOnly):
    list_display = ["name", "kind", "team", "enabled", "version", "cron", "next_at", "next_poll_at"]
    list_filter = ["kind", "enabled"]
    search_fields = ["name"]
    list_select_related = ["team", "version"]
    inlines = [VersionInline]


@admin.register(Run)
class RunAdmin(_LookOnly):
    list_display = ["short_id", "title", "kind", "state", "trigger", "created_at", "finished_at", "worker"]
    list_filter = ["state", "kind", "trigger"]
    search_fields = ["title", "sentence", "because"]
    list_select_related = ["worker"]
    date_hierarchy = "created_at"
    inlines = [ItemInline]


@admin.register(Worker)
class WorkerAdmin(_LookOnly):
    list_display = ["host", "pid", "lanes", "slots", "started_at", "beat_at", "stopped_at"]
    list_filter = ["host"]

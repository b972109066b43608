"""Connections, repositories, webhooks and deliveries in the admin site. What is secret is not shown."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from opssight.accounts.admin import AuditedAdmin
from repos.models import Connection, Delivery, Repository, RepositoryStatus, Webhook


class _NotMadeHere(AuditedAdmin):
    """Rows that pages, API and commands make, because a secret or a check belongs to them."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


@admin.register(Connection)
class ConnectionAdmin(_NotMadeHere):
    list_display = ["name", "team", "provider", "account", "state", "last_ok_at", "local"]
    list_filter = ["provider", "state"]
    search_fields = ["name", "account"]
    list_select_related = ["team"]
    readonly_fields = ["team", "provider", "options", "local", "account", "state", "error_class", "sentence"]
    exclude = ["created_by"]


class StatusInline(admin.TabularInline):  # type: ignore[type-arg]
    model = RepositoryStatus
    extra = 0
    can_delete = False
    readonly_fields = ["lane", "state", "sentence", "fresh_oid", "behind", "fresh_at", "last_run"]

    def has_add_permission(self, request: HttpRequest, obj: Repository | None = None) -> bool:
        return False


@admin.register(Repository)
class RepositoryAdmin(_NotMadeHere):
    list_display = ["full_name", "team", "connection", "state", "default_branch", "head_seen_at"]
    list_filter = ["state", "connection__provider", "archived"]
    search_fields = ["full_name", "description"]
    list_select_related = ["team", "connection"]
    readonly_fields = ["team", "connection", "external_id", "full_name", "head_oid", "head_seen_at"]
    inlines = [StatusInline]


@admin.register(Webhook)
class WebhookAdmin(_NotMadeHere):
    list_display = ["name", "team", "scheme", "repository", "state", "last_delivery_at"]
    list_filter = ["scheme", "state"]
    search_fields = ["name"]
    list_select_related = ["team", "repository"]
    readonly_fields = ["team", "scheme", "connection", "repository", "last_delivery_at"]


@admin.register(Delivery)
class DeliveryAdmin(_NotMadeHere):
    list_display = ["received_at", "webhook", "event", "verdict", "repository", "sentence"]
    list_filter = ["verdict", "event"]
    list_select_related = ["webhook", "repository"]
    date_hierarchy = "received_at"

    def has_change_permission(self, request: HttpRequest, obj: Delivery | None = None) -> bool:
        return False

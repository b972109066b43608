"""The accounts in the admin site. What is secret is not shown."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm
from django.contrib.auth.models import Group
from django.db import transaction
from django.http import HttpRequest

from opssight.accounts.models import AllowedHost, ApiToken, Invitation, Membership, Organization, Team, User
from opssight.audit.record import record


class NewUserForm(AdminUserCreationForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields = ["email", "name"]


class AuditedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Whatever is changed on the admin site is in the audit log, in the same transaction."""

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        with transaction.atomic():  # actions change rows too; the other views bring their own
            return super().changelist_view(request, extra_context)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        _record("admin.add", obj, message)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        _record("admin.change", obj, message)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        for obj in queryset:
            _record("admin.delete", obj, "")
        return super().log_deletions(request, queryset)


def _record(action: str, obj: Any, message: Any) -> None:
    """`message` names the fields and inline rows that were changed."""
    team_id = obj.pk if isinstance(obj, Team) else getattr(obj, "team_id", None)
    target = (obj._meta.model_name, obj.pk, str(obj))
    record(action, team_id=team_id, target=target, diff={"changes": message} if message else None)


@admin.register(User)
class UserAdmin(AuditedAdmin, BaseUserAdmin):  # type: ignore[type-arg]
    add_form = NewUserForm
    add_fieldsets = [(None, {"fields": ["email", "name", "usable_password", "password1", "password2"]})]
    fieldsets = [
        (None, {"fields": ["email", "name", "password"]}),
        ("Rights", {"fields": ["is_active", "is_staff", "is_superuser"]}),
        ("Dates", {"fields": ["created_at", "last_login"]}),
    ]
    readonly_fields = ["created_at", "last_login"]
    list_display = ["email", "name", "is_active", "is_staff", "last_login"]
    list_filter = ["is_active", "is_staff"]
    search_fields = ["email", "name"]
    ordering = ["email"]
    filter_horizontal = []

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not change:
            obj.give_personal_team()


class MembershipInline(admin.TabularInline):  # type: ignore[type-arg]
    model = Membership
    extra = 0
    autocomplete_fields = ["user"]


@admin.register(Team)
class TeamAdmin(AuditedAdmin):
    list_display = ["name", "kind", "organization", "slug"]
    list_filter = ["kind"]
    search_fields = ["name", "slug"]
    inlines = [MembershipInline]


@admin.register(Organization)
class OrganizationAdmin(AuditedAdmin):
    list_display = ["name", "slug", "created_at"]
    search_fields = ["name"]


class ReadOnlyAdmin(AuditedAdmin):
    """Rows that only their own pages may make or change."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    list_display = ["name", "key", "user", "team", "last_used_at", "expires_at", "revoked_at"]
    search_fields = ["name", "key", "user__email"]
    fields = [
        "name",
        "key",
        "user",
        "team",
        "scopes",
        "created_at",
        "expires_at",
        "last_used_at",
        "revoked_at",
    ]


@admin.register(Invitation)
class InvitationAdmin(ReadOnlyAdmin):
    list_display = ["email", "team", "expires_at", "accepted_at"]
    fields = ["email", "team", "invited_by", "created_at", "expires_at", "accepted_at"]


@admin.register(AllowedHost)
class AllowedHostAdmin(AuditedAdmin):
    list_display = ["pattern", "cidr", "ports", "reason", "created_by"]
    fields = ["pattern", "cidr", "ports", "reason"]

    def save_model(self, request: HttpRequest, obj: AllowedHost, form: Any, change: bool) -> None:
        if not change and isinstance(request.user, User):
            obj.created_by = request.user
        super().save_model(request, obj, form, change)


admin.site.unregister(Group)  # rights come from roles in teams

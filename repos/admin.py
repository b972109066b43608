"""Connections, repositories, webhooks and deliveries in the admin site. What is secret is not shown."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from opssight.accounts.admin import AuditedAdmin
from opssight.core.errors import InvalidInput
from repos.git.keys import opened
from repos.instances import callback_of, is_web_address, with_oauth
from repos.models import Connection, Delivery, ProviderInstance, Repository, RepositoryStatus, Webhook
from repos.network import checked


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


class ProviderInstanceForm(forms.ModelForm):  # type: ignore[type-arg]
    provider = forms.ChoiceField(choices=lambda: [(p.kind, p.label) for p in with_oauth()])
    url = forms.CharField(
        label="Address", required=False, help_text="Of a server of your own. Empty for the public one."
    )
    secret = forms.CharField(
        label="Client secret",
        required=False,
        strip=True,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="Stored encrypted and never shown. Leave it empty to keep the one that is stored.",
    )

    way = forms.CharField(
        label="Proxy",
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="For all connections to this instance that have none of their own. Stored encrypted; leave "
        "it empty to keep the one that is stored, or enter - to remove it.",
    )

    key = forms.CharField(
        label="Private key",
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "autocomplete": "off"}),
        help_text="Of a GitHub App. Stored encrypted and never shown; leave it empty to keep the one that is "
        "stored.",
    )

    class Meta:
        model = ProviderInstance
        fields = ["provider", "url", "client_id", "ca", "trusts_email"]
        help_texts: ClassVar[dict[str, str]] = {
            "trusts_email": "An address that it calls verified signs in to the account here that has it, or "
            "signs up, where the settings allow that. Only for a server that confirms every address and "
            "whose administrators you trust with the accounts here. The public instance always is."
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        callbacks = ", ".join(f"{p.label}: {callback_of(p.kind)}" for p in with_oauth())
        self.fields["client_id"].help_text = f"Register this callback address there. {callbacks}"

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"].strip().rstrip("/")
        if url and not is_web_address(url):
            raise forms.ValidationError(
                "Give the web address of the server, such as https://git.example.org."
            )
        return url

    def clean_key(self) -> str:
        key: str = self.cleaned_data["key"].strip()
        if key:
            try:
                opened(key)
            except InvalidInput as refused:
                raise forms.ValidationError(refused.sentence) from None
        return key

    def clean(self) -> dict[str, Any]:
        try:
            entered = self.cleaned_data.get("way", "")
            network = checked(self.cleaned_data.get("ca", ""), "" if entered == "-" else entered)
            self.cleaned_data["ca"] = network.ca
        except InvalidInput as refused:
            for where, sentence in refused.problems:
                self.add_error({"proxy": "way"}.get(where, where), sentence)
        if not self.cleaned_data.get("secret") and not self.instance.client_secret:
            self.add_error("secret", "Enter the secret that was shown when the application was registered.")
        return self.cleaned_data


@admin.register(ProviderInstance)
class ProviderInstanceAdmin(AuditedAdmin):
    form = ProviderInstanceForm
    list_display = ["provider", "url", "app_slug", "client_id", "trusts_email", "created_at"]

    def save_model(self, request: HttpRequest, obj: ProviderInstance, form: Any, change: bool) -> None:
        obj.client_secret = form.cleaned_data["secret"] or obj.client_secret
        obj.private_key = form.cleaned_data["key"] or obj.private_key
        entered = form.cleaned_data["way"].strip()
        obj.proxy = "" if entered == "-" else entered or obj.proxy
        super().save_model(request, obj, form, change)

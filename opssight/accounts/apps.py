from __future__ import annotations

from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class AccountsConfig(AppConfig):
    name = "opssight.accounts"
    label = "accounts"
    verbose_name = "Accounts"
    default = True

    def ready(self) -> None:
        from opssight.accounts.tokens import tokens_per_key
        from opssight.core.rotation import register_use

        register_use("accounts.ApiToken.digest", tokens_per_key)


class AdminSiteConfig(admin_apps.AdminConfig):
    """The admin site without the queue's pages: the queue is only a doorbell, its rows mean nothing.

    Nor with those of sign-ins by a forge: people link them, with proof.
    """

    default = False

    def ready(self) -> None:
        super().ready()
        from django.contrib import admin

        for model in list(admin.site._registry):
            if model._meta.app_label in ("django_q", "social_django"):
                admin.site.unregister(model)

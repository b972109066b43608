"""Addresses of the pages of connections, repositories, deliveries and webhooks."""

from __future__ import annotations

from django.urls import path

from repos.views import (
    care,
    connecting,
    connections,
    deliveries,
    files,
    found,
    github_app,
    managed_webhooks,
    oauth,
    repositories,
    repository,
    webhook_sources,
    webhooks,
)

urlpatterns = [
    path("connections/", connections.ConnectionsPage.as_view(), name="connections"),
    path("connections/new/", connecting.NewConnection.as_view(), name="connection_new"),
    path("connections/new/oauth/", oauth.StartOAuth.as_view(), name="oauth_start"),
    path("connections/github-app/", github_app.MakeApp.as_view(), name="github_app"),
    path("connections/github-app/install/", github_app.InstallApp.as_view(), name="github_app_install"),
    path("auth/github-app/made", github_app.AppMade.as_view(), name="github_app_made"),
    path("auth/github-app/installed", github_app.AppInstalled.as_view(), name="github_app_installed"),
    path("connections/<uuid:connection_id>/", connections.ConnectionPage.as_view(), name="connection"),
    path(
        "connections/<uuid:connection_id>/edit/", connecting.EditConnection.as_view(), name="connection_edit"
    ),
    path("connections/<uuid:connection_id>/found/", found.FoundPage.as_view(), name="connection_found"),
    path("connections/<uuid:connection_id>/rules/", found.NewRule.as_view(), name="import_rule_new"),
    path(
        "connections/<uuid:connection_id>/rules/<uuid:rule_id>/delete/",
        found.DeleteRule.as_view(),
        name="import_rule_delete",
    ),
    path(
        "connections/<uuid:connection_id>/test/", connections.TestConnection.as_view(), name="connection_test"
    ),
    path("connections/<uuid:connection_id>/limits/", care.AskLimits.as_view(), name="connection_limits"),
    path(
        "connections/<uuid:connection_id>/transfer/",
        care.TransferConnection.as_view(),
        name="connection_transfer",
    ),
    path(
        "connections/<uuid:connection_id>/delete/",
        connections.DeleteConnection.as_view(),
        name="connection_delete",
    ),
    path("repositories/", repositories.RepositoriesPage.as_view(), name="repositories"),
    path("repositories/<uuid:repository_id>/", repository.TimelinePage.as_view(), name="repository"),
    path("repositories/<uuid:repository_id>/files/", files.FilesPage.as_view(), name="repository_files"),
    path("repositories/<uuid:repository_id>/refs/", repository.RefsPage.as_view(), name="repository_refs"),
    path("repositories/<uuid:repository_id>/rules/", repository.RulesPage.as_view(), name="repository_rules"),
    path("repositories/<uuid:repository_id>/hook/", repository.HookPage.as_view(), name="repository_hook"),
    path("repositories/<uuid:repository_id>/look/", repository.LookNow.as_view(), name="repository_look"),
    path(
        "repositories/<uuid:repository_id>/ignore/",
        repositories.IgnoreRepository.as_view(),
        name="repository_ignore",
    ),
    path("deliveries/", deliveries.DeliveriesPage.as_view(), name="deliveries"),
    path("deliveries/<uuid:delivery_id>/", deliveries.DeliveryPage.as_view(), name="delivery"),
    path(
        "deliveries/<uuid:delivery_id>/replay/", deliveries.ReplayDelivery.as_view(), name="delivery_replay"
    ),
    path("webhooks/", webhooks.WebhooksPage.as_view(), name="webhooks"),
    path("webhooks/new/", webhooks.NewWebhook.as_view(), name="webhook_new"),
    path("webhooks/<uuid:hook_id>/", webhooks.WebhookPage.as_view(), name="webhook"),
    path("webhooks/<uuid:hook_id>/test/", webhooks.TestWebhook.as_view(), name="webhook_test"),
    path("webhooks/<uuid:hook_id>/secret/", managed_webhooks.RotateSecret.as_view(), name="webhook_secret"),
    path("webhooks/<uuid:hook_id>/mend/", managed_webhooks.MendWebhook.as_view(), name="webhook_mend"),
    path("webhooks/<uuid:hook_id>/ask/", managed_webhooks.AskForTest.as_view(), name="webhook_ask"),
    path("webhooks/<uuid:hook_id>/pause/", webhooks.PauseWebhook.as_view(), name="webhook_pause"),
    path("webhooks/<uuid:hook_id>/sources/", webhook_sources.HookSources.as_view(), name="webhook_sources"),
    path("webhooks/<uuid:hook_id>/delete/", managed_webhooks.DeleteWebhook.as_view(), name="webhook_delete"),
]

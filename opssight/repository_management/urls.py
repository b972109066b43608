"""The original's paths."""

from __future__ import annotations

from django.urls import path

from opssight.repository_management import views

urlpatterns = [
    path("discover", views.DiscoverView.as_view()),
    path("search", views.SearchView.as_view()),
    path("connect", views.ConnectView.as_view()),
    path("connections", views.ConnectionsView.as_view()),
    path("connections/<uuid:pk>", views.ConnectionView.as_view()),
    path("connections/<uuid:pk>/status", views.StatusView.as_view()),
    path("connections/<uuid:pk>/sync", views.SyncView.as_view()),
    path("connections/<uuid:pk>/analytics", views.AnalyticsView.as_view()),
    path("monitor", views.MonitorView.as_view()),
    path("providers", views.ProvidersView.as_view()),
    path("health", views.HealthView.as_view()),
]

"""Signing out, one's own password, switching the team."""

from __future__ import annotations

from django.contrib.auth.views import LogoutView
from django.urls import path

from opssight.accounts import views

urlpatterns = [
    path("signout/", LogoutView.as_view(), name="logout"),
    path("password/", views.PasswordView.as_view(), name="password_change"),
    path("team/", views.switch_team, name="switch_team"),
]

"""Addresses of signing in, and where forges send people back to."""

from __future__ import annotations

from django.urls import path

from opssight.signin import views

urlpatterns = [
    path("accounts/signin/", views.SigninPage.as_view(), name="login"),
    path("accounts/signin/with/", views.StartSignin.as_view(), name="signin_with"),
    path("accounts/links/<int:pk>/remove/", views.Unlink.as_view(), name="signin_unlink"),
    path("auth/callback/<slug:provider>", views.Callback.as_view(), name="oauth_callback"),
]

"""The pages of the whole."""

from __future__ import annotations

from django.urls import include, path

from opssight.pages.overview import OverviewPage
from opssight.pages.search import SearchPage
from opssight.pages.status import StatusPage

urlpatterns = [
    path("", OverviewPage.as_view(), name="overview"),
    path("accounts/", include("opssight.accounts.urls")),
    path("", include("opssight.pages.org_urls")),
    path("", include("repos.page_urls")),
    path("", include("syncs.page_urls")),
    path("search/", SearchPage.as_view(), name="search"),
    path("status/", StatusPage.as_view(), name="status"),
]

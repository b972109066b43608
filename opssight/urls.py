"""Every address of the product."""

from __future__ import annotations

from importlib.util import find_spec

from django.contrib import admin
from django.urls import include, path

from opssight.accounts.views import admin_signin
from opssight.kinds import KINDS

urlpatterns = [
    path("", include("opssight.health")),
    path("", include("opssight.metrics")),
    path("", include("repos.urls")),
    path("", include("opssight.signin.urls")),
    path("", include("opssight.pages.urls")),
    *(
        path(f"{name}/", include(f"{app}.page_urls"))
        for name, app in KINDS.items()
        if find_spec(f"{app}.page_urls")
    ),
    *(path("", include(f"{app}.root_urls")) for app in KINDS.values() if find_spec(f"{app}.root_urls")),
    path("api/v1/repository-management/", include("opssight.repository_management.urls")),
    path("api/v1/", include("opssight.api.urls")),
    path("admin/login/", admin_signin),
    path("admin/", admin.site.urls),
]

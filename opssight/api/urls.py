"""`/api/v1/`: what the apps' modules `api` registered, the index and the description."""

from __future__ import annotations

from django.urls import path, re_path
from django.utils.module_loading import autodiscover_modules

from opssight.api import audit, auth, schema, teams, tokens  # noqa: F401 - schema registers how one signs in
from opssight.api.index import DescriptionView, IndexView, MissingView
from opssight.api.routing import extra, router

autodiscover_modules("api")
router.register("teams", teams.TeamViewSet, basename="teams")
router.register("invitations", teams.InvitationViewSet, basename="invitations")
router.register("tokens", tokens.TokenViewSet, basename="tokens")
router.register("audit", audit.AuditViewSet, basename="audit")

urlpatterns = [
    path("", IndexView.as_view(), name="api"),
    path("schema/", DescriptionView.as_view(), name="api-schema"),
    *extra,
    *router.urls,
    re_path(r"", MissingView.as_view()),
]

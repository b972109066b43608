"""What happens here in numbers, for the operator: `/metrics` as Prometheus text or as JSON."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from opssight.health import is_operator
from opssight.metrics.document import document
from opssight.metrics.prometheus import METRICS, text

__all__ = ["METRICS", "urlpatterns"]


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    if not (settings.ANONYMOUS_METRICS or is_operator(request)):
        return _refused(request)
    if request.GET.get("format") == "json":
        return JsonResponse(document())
    return HttpResponse(text(), content_type=CONTENT_TYPE_LATEST)


def _refused(request: HttpRequest) -> HttpResponse:
    status = 401 if settings.METRICS_TOKEN else 403
    detail = (
        "Send the token of OPSSIGHT_METRICS_TOKEN as Authorization: Bearer."
        if settings.METRICS_TOKEN
        else "Metrics are for the operator: ask from this machine, or set OPSSIGHT_METRICS_TOKEN."
    )
    problem = {"type": "about:blank", "title": "Not allowed", "status": status, "detail": detail}
    response = JsonResponse(problem, status=status, content_type="application/problem+json")
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="metrics"'
    return response


urlpatterns = [path("metrics", metrics, name="metrics")]

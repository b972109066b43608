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

_CROSSES = {"": None, "true": True, "false": False}


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    if not (settings.ANONYMOUS_METRICS or is_operator(request)):
        return _refused(request)
    if request.GET.get("format") == "json":
        crosses = request.GET.get("cross_organization", "")
        if crosses not in _CROSSES:
            return _problem(400, "Wrong filter", "cross_organization is true or false.")
        return JsonResponse(document(_CROSSES[crosses]))
    return HttpResponse(text(), content_type=CONTENT_TYPE_LATEST)


def _refused(request: HttpRequest) -> HttpResponse:
    status = 401 if settings.METRICS_TOKEN else 403
    detail = (
        "Send the token of OPSSIGHT_METRICS_TOKEN as Authorization: Bearer."
        if settings.METRICS_TOKEN
        else "Metrics are for the operator: ask from this machine, or set OPSSIGHT_METRICS_TOKEN."
    )
    response = _problem(status, "Not allowed", detail)
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="metrics"'
    return response


def _problem(status: int, title: str, detail: str) -> HttpResponse:
    problem = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return JsonResponse(problem, status=status, content_type="application/problem+json")


urlpatterns = [path("metrics", metrics, name="metrics")]

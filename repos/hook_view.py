"""`POST /hooks/<id>/`: reads a delivery, at most so much of it, and answers with the verdict."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import UnreadablePostError
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from opssight.core.words import size
from repos import receiving
from repos.models import Webhook

_TITLES = {
    400: "The delivery cannot be read",
    401: "Not authentic",
    404: "No such webhook",
    413: "Too large",
    429: "Too many deliveries",
}


@csrf_exempt
@require_POST
def deliver(request: HttpRequest, hook_id: uuid.UUID) -> HttpResponse:
    """202 stored, 200 duplicate, 204 understood and not wanted, else a problem as JSON."""
    hook = Webhook.objects.filter(pk=hook_id).select_related("repository__connection").first()
    if hook is None:
        return _problem(404, "There is no webhook at this address. Was it deleted?")
    limit: int = settings.HOOK_BYTES
    if _announced(request) > limit:
        return _too_large(limit)
    try:
        body = request.read(limit + 1)
    except UnreadablePostError:
        return _problem(400, "The delivery broke off before its end. Send it again.")
    if len(body) > limit:
        return _too_large(limit)
    headers = {name.lower(): value for name, value in request.headers.items()}
    received = receiving.receive(hook, headers, body, request.META.get("REMOTE_ADDR", ""))
    if received.status == 204:
        return HttpResponse(status=204)
    if received.status >= 400:
        return _problem(received.status, received.sentence, received.retry_after)
    assert received.delivery is not None  # noqa: S101 - whatever is not refused was stored
    return JsonResponse(
        {"id": str(received.delivery.pk), "verdict": received.verdict}, status=received.status
    )


def _announced(request: HttpRequest) -> int:
    length = request.headers.get("content-length", "")
    return int(length) if length.isdecimal() else 0


def _too_large(limit: int) -> HttpResponse:
    return _problem(413, f"A delivery may have {size(limit)}. OPSSIGHT_HOOK_BYTES is the limit.")


def _problem(status: int, detail: str, retry_after: int = 0) -> HttpResponse:
    body = {"type": "about:blank", "title": _TITLES[status], "status": status, "detail": detail}
    response = JsonResponse(body, status=status, content_type="application/problem+json")
    if retry_after:
        response["Retry-After"] = str(retry_after)
    return response

"""`POST /hooks/<id>/`: reads a delivery, at most so much of it, and answers with the verdict.

An address that answers in its own way reads with `body_of` and refuses with `problem` as well.
"""

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
from repos.receiving import Headers

_TITLES = {
    400: "The delivery cannot be read",
    401: "Not authentic",
    404: "Nothing is received here",
    413: "Too large",
    429: "Too many deliveries",
}


@csrf_exempt
@require_POST
def deliver(request: HttpRequest, hook_id: uuid.UUID) -> HttpResponse:
    """202 stored, 200 duplicate, 204 understood and not wanted, else a problem as JSON."""
    hook = Webhook.objects.filter(pk=hook_id).select_related("repository__connection").first()
    if hook is None:
        return problem(404, "There is no webhook at this address. Was it deleted?")
    limit: int = settings.HOOK_BYTES
    body = body_of(request, limit, "OPSSIGHT_HOOK_BYTES is the limit.")
    if isinstance(body, HttpResponse):
        return body
    received = receiving.receive(hook, headers_of(request), body, request.META.get("REMOTE_ADDR", ""))
    if received.status == 204:
        return HttpResponse(status=204)
    if received.status >= 400:
        return problem(received.status, received.sentence, received.retry_after)
    assert received.delivery is not None  # noqa: S101 - whatever is not refused was stored
    return JsonResponse(
        {"id": str(received.delivery.pk), "verdict": received.verdict}, status=received.status
    )


def headers_of(request: HttpRequest) -> Headers:
    return {name.lower(): value for name, value in request.headers.items()}


def body_of(request: HttpRequest, limit: int, about: str = "") -> bytes | HttpResponse:
    """The delivery of at most `limit` bytes, or the answer that refuses it; `about` is said of the limit."""
    length = request.headers.get("content-length", "")
    too_large = problem(413, f"A delivery may have {size(limit)} here. {about}".strip())
    if length.isdecimal() and int(length) > limit:
        return too_large
    try:
        body = request.read(limit + 1)
    except UnreadablePostError:
        return problem(400, "The delivery broke off before its end. Send it again.")
    return body if len(body) <= limit else too_large


def problem(status: int, detail: str, retry_after: int = 0) -> HttpResponse:
    """A refusal as JSON; `retry_after` are seconds, 0 for none."""
    body = {"type": "about:blank", "title": _TITLES[status], "status": status, "detail": detail}
    response = JsonResponse(body, status=status, content_type="application/problem+json")
    if retry_after:
        response["Retry-After"] = str(retry_after)
    return response

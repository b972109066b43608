"""Where an examples-copier received its deliveries: `POST /webhook` and `POST /events`, with its answers.

They lead to one webhook of this installation, which `OPSSIGHT_COPIER_WEBHOOK` names, and to everything that
holds for it: what arrives is verified, stored once and acted on as at its own address. Only the codes
differ, because senders and their monitors know those of the copier.
"""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from repos import receiving
from repos.hook_view import body_of, headers_of, problem
from repos.models import Delivery, Webhook
from repos.providers.errors import Unreadable
from repos.providers.registry import scheme_named
from repos.providers.types import Parsed, PullNews
from repos.receiving import Headers, Received
from syncs.models import RunCause
from syncs.triggers import is_merge

MAX_BYTES: Final = 1 << 20
EVENT: Final = "x-github-event"
_SCHEME: Final = "github"
_NOT_HERE: Final = (
    "This address answers only where OPSSIGHT_COPIER_WEBHOOK names a webhook of GitHub. "
    "Set it, or send deliveries to the webhook's own address."
)


@csrf_exempt
@require_POST
def deliver(request: HttpRequest) -> HttpResponse:
    """202 for a merged pull request that a job waits for, 204 for whatever else is understood."""
    found = hook()
    if found is None:
        return problem(404, _NOT_HERE)
    headers = headers_of(request)
    if not headers.get(EVENT):
        return problem(400, "The header X-GitHub-Event is missing, so nobody knows what this is about.")
    body = body_of(request, MAX_BYTES)
    if isinstance(body, HttpResponse):
        return body
    received = receiving.receive(found, headers, body, request.META.get("REMOTE_ADDR", ""))
    if received.status >= 400:
        return problem(received.status, received.sentence, received.retry_after)
    return _answer(headers, body, received)


def hook() -> Webhook | None:
    """The webhook that the setting names; None where it names none of GitHub."""
    if settings.COPIER_WEBHOOK is None:
        return None
    rows = Webhook.objects.filter(pk=settings.COPIER_WEBHOOK, scheme=_SCHEME)
    return rows.select_related("repository__connection").first()


def _answer(headers: Headers, body: bytes, received: Received) -> HttpResponse:
    """By what the delivery says and what it asked for; it was stored and acted on already."""
    parsed = _parsed(headers, body)
    if parsed is None or not _is_merge(parsed):
        return HttpResponse(status=204)
    if not parsed.repository_name:
        return problem(400, "The delivery does not name the repository of its pull request.")
    if not _is_waited_for(received):
        return HttpResponse(status=204)
    return JsonResponse({"status": "accepted"}, status=202)


def _parsed(headers: Headers, body: bytes) -> Parsed | None:
    try:
        return scheme_named(_SCHEME).parse(headers, body)
    except Unreadable:
        return None


def _is_merge(parsed: Parsed) -> bool:
    return any(isinstance(news, PullNews) and is_merge(news.state.value, news.what) for news in parsed.news)


def _is_waited_for(received: Received) -> bool:
    """Whether the delivery, or the one that it repeats, asked for a run or could not be acted on yet."""
    delivery = received.delivery
    if delivery is None:
        return False
    same = Delivery.objects.filter(webhook_id=delivery.webhook_id, body_sha256=delivery.body_sha256)
    if received.verdict == Delivery.Verdict.DUPLICATE:
        return RunCause.objects.filter(delivery__in=same).exists()
    failed = received.verdict == Delivery.Verdict.ERROR
    return failed or RunCause.objects.filter(delivery=delivery).exists()

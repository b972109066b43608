"""Every error as `application/problem+json`: type, title, status, detail, instance, and field errors."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import DataError
from django.http import Http404
from django.utils import timezone
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.views import set_rollback

from opssight.accounts.scope import NotAllowed
from opssight.core import logs
from opssight.core.errors import ErrorClass, Failure, InvalidInput
from opssight.core.words import size

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
MISSING = "There is nothing at this address, or it belongs to a team you are not in."

TITLES = {
    400: "The request cannot be read",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not found",
    405: "Not possible here",
    406: "No such format",
    409: "It has changed, or cannot be done now",
    413: "Too large",
    415: "Unknown content type",
    422: "It cannot be done like this",
    429: "Too many requests",
    500: "Something went wrong here",
    502: "The other server refused",
    503: "The other server does not answer",
}
_STATUS = {
    ErrorClass.NOT_FOUND: 404,
    ErrorClass.CONFLICT: 409,
    ErrorClass.PERMANENT: 422,
    ErrorClass.RATE_LIMITED: 429,
    ErrorClass.AUTH: 502,
    ErrorClass.TRANSIENT: 503,
}
_OWN_WORDS = {
    401: "Send an API token as “Authorization: Bearer osp_…”, or sign in.",
    404: MISSING,
    405: "This address does not take this method. The answer to OPTIONS names those it takes.",
    406: "Answers are JSON: accept application/json.",
    415: "Send JSON, with the header Content-Type: application/json.",
}
_SLUGS = {
    400: "unreadable",
    401: "not-signed-in",
    403: "not-allowed",
    404: "not-found",
    405: "wrong-method",
    406: "no-such-format",
    409: "conflict",
    413: "too-large",
    415: "wrong-content-type",
    422: "invalid",
    429: "too-many",
    500: "internal",
    502: "refused-elsewhere",
    503: "unavailable-elsewhere",
}


def handle(error: Exception, context: dict[str, Any]) -> Response:
    """DRF's exception handler: every exception becomes a problem; one nobody foresaw is logged."""
    set_rollback()
    path = context["request"].path
    match error:
        case Http404() | exceptions.NotFound():
            return problem(404, MISSING, path)
        case exceptions.ValidationError():
            errors = list(_flatten(error.detail))
            return problem(400, "Some fields cannot be used.", path, errors=errors)
        case exceptions.APIException():
            return _from_drf(error, path)
        case RequestDataTooBig():
            return problem(413, f"A body may have {size(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)}.", path)
        case DataError() | UnicodeEncodeError():
            return problem(422, "A value is too long, or holds a character that cannot be stored.", path)
        case RecursionError():
            return problem(400, "The body is nested too deeply.", path)
        case PermissionDenied():
            return problem(403, "This is not allowed.", path)
        case Failure():
            return _from_failure(error, path)
    logger.error("an API request failed in a way nobody foresaw", exc_info=error)
    return problem(500, "This should not happen; it was logged under the request id.", path)


def problem(
    code: int, detail: str, instance: str, *, errors: list[dict[str, str]] | None = None, retry_after: int = 0
) -> Response:
    """The answer for one problem. `retry_after` in seconds; 0 for none."""
    body: dict[str, Any] = {
        "type": f"urn:opssight:problem:{_SLUGS.get(code, 'other')}",
        "title": TITLES.get(code, "It did not work"),
        "status": code,
        "detail": detail,
        "instance": instance,
    }
    if errors:
        body["errors"] = errors
    if request_id := logs.bound().get("request_id"):
        body["request_id"] = request_id
    response = Response(body, status=code, content_type=CONTENT_TYPE)
    if retry_after:
        response["Retry-After"] = str(retry_after)
    return response


def _from_drf(error: exceptions.APIException, path: str) -> Response:
    given = isinstance(
        error, (exceptions.AuthenticationFailed, exceptions.PermissionDenied, exceptions.ParseError)
    )
    wait = getattr(error, "wait", None)
    detail = str(error.detail) if given else _OWN_WORDS.get(error.status_code, str(error.detail))
    if wait is not None:
        detail = f"Too many requests. Try again in {math.ceil(wait)} s."
    response = problem(error.status_code, detail, path, retry_after=math.ceil(wait or 0))
    if error.status_code == status.HTTP_401_UNAUTHORIZED:
        response["WWW-Authenticate"] = getattr(error, "auth_header", 'Bearer realm="opssight"')
    return response


def _from_failure(error: Failure, path: str) -> Response:
    if isinstance(error, NotAllowed):
        return problem(403, error.sentence, path)
    errors = None
    if isinstance(error, InvalidInput):
        errors = [{"field": where, "message": message} for where, message in error.problems]
    wait = max((error.retry_at - timezone.now()).total_seconds(), 1) if error.retry_at else 0
    return problem(
        _STATUS[error.error_class], error.sentence, path, errors=errors, retry_after=math.ceil(wait)
    )


def _flatten(detail: Any, where: str = "") -> Iterator[dict[str, str]]:
    """DRF's nested error detail as a list of {field, message}: `rules[2].pattern`."""
    if isinstance(detail, dict):
        for key, value in detail.items():
            name = "" if key == "non_field_errors" else str(key)
            yield from _flatten(value, f"{where}.{name}".strip(".") if name else where)
    elif isinstance(detail, list) and any(isinstance(part, dict) for part in detail):
        for index, part in enumerate(detail):
            yield from _flatten(part, f"{where}[{index}]")
    elif isinstance(detail, list):
        for part in detail:
            yield from _flatten(part, where)
    else:
        yield {"field": where, "message": str(detail)}

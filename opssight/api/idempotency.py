"""`Idempotency-Key`: a request that is sent again has its effect once."""

from __future__ import annotations

import re

from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
PARAMETER = OpenApiParameter(
    HEADER,
    str,
    OpenApiParameter.HEADER,
    description="At most 100 printable characters, new for each intent. The same key and body again give "
    f"the same run, with the header {REPLAYED}: true; the same key with another body is refused with 422.",
)
_KEY = re.compile(r"[\x21-\x7e]{1,100}")


def key_of(request: Request) -> str:
    """The request's key, or nothing. Raises ValidationError for one that cannot be used."""
    key = str(request.headers.get(HEADER, ""))
    if key and not _KEY.fullmatch(key):
        raise ValidationError({HEADER: "Use 1 to 100 printable characters without spaces."})
    return key

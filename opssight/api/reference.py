"""The API's pages of the reference, made from its own description.

`python -m opssight.api.reference` writes both files; a test compares.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference"

_HEAD = """\
# API v1

Everything that can be done in the browser can be done here. `openapi.yaml` beside this page is the full
description (OpenAPI 3), also at `/api/v1/schema/`. This page is made from it; a test compares.

## Signing in

Send `Authorization: Bearer osp_…` with a token from the tokens page or `POST /api/v1/tokens/`. A token
acts as its user in one team, within its scopes, with the role the user has there today. Pages of the same
site may use the session instead; a change then needs the CSRF token.

`POST /api/v1/auth/token` gives an access token for 15 minutes, a JWT that is sent in the same way. It takes
an API token, a session, or `email` and `password` in the body; `team` and `scopes` narrow it. It ends at once
with `POST /api/v1/auth/token/revoke` and its `jti`, with the API token it was given for, and with its user's
password, account or membership.

The scopes are `<area>:read` and `<area>:write` for the areas {areas},
and `all`. A write scope includes reading.

Roles include the ones below them: a viewer reads; an operator starts, retries and cancels runs, makes and
changes jobs, imports repositories and replays deliveries; an administrator manages connections, webhooks,
members and others' tokens; an owner also makes owners and hands the team over. What belongs to a team one
is not in answers 404, whatever it is.

## Lists

Every list is paged: `{{"next", "previous", "results"}}`. `next` and `previous` are addresses, or null at the
ends. `page_size` is 1 to 200 (default 50), `sort` takes a field name, with a minus for falling order. Rows
that are added meanwhile neither repeat nor hide others.

## Errors

Every error is `application/problem+json` with `type`, `title`, `status`, `detail`, `instance` and
`request_id`; where fields are wrong also `errors: [{{"field", "message"}}]`, with fields such as
`config.rules[2].pattern`.

| status | means |
|---|---|
{statuses}

## Sending again

`POST /api/v1/runs/` and `POST /api/v1/runs/{{id}}/retry/` take an `Idempotency-Key` header. The same key with
the same body gives the same run and the header `Idempotency-Replayed: true`; with another body it is refused
with 422. Keys are a team's own and stay valid as long as the run is kept.

## Addresses
"""
_MEANINGS = {
    400: "the body, a query parameter or a field cannot be read; `errors` names it",
    401: "no token, or one that is unknown, expired or revoked",
    403: "the scope or the role is missing; `detail` names it",
    404: "nothing there, or not for the caller",
    409: "not possible now: something else must be changed first",
    413: "larger than this address takes",
    415: "the body is not JSON",
    422: "understood, and it cannot be done like this; `errors` names places",
    429: "above the ceiling of OPSSIGHT_API_RATE, or a git server's; wait for `Retry-After` seconds",
    500: "a fault of ours; the logs have it under the `request_id`",
    502: "a git server refused our credential",
    503: "a git server does not answer",
}


@cache
def description() -> dict[str, Any]:
    """The OpenAPI description as data, made once in a process. Not to be changed."""
    from drf_spectacular.generators import SchemaGenerator

    found: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return found


def render_openapi() -> str:
    """The text of `docs/reference/openapi.yaml`."""
    from drf_spectacular.renderers import OpenApiYamlRenderer

    text: bytes = OpenApiYamlRenderer().render(description(), renderer_context={})  # type: ignore[no-untyped-call]
    return text.decode()


def render_reference() -> str:
    """The text of `docs/reference/api.md`: a heading for each address."""
    from opssight.accounts.tokens import AREAS

    statuses = "\n".join(f"| {code} | {text} |" for code, text in _MEANINGS.items())
    parts = [_HEAD.format(areas=", ".join(f"`{area}`" for area in AREAS), statuses=statuses)]
    for path, methods in sorted(description()["paths"].items()):
        parts.append(f"\n### {path}\n\n")
        parts += [f"{line}\n" for line in _operations(methods)]
    return "".join(parts)


def _operations(methods: dict[str, Any]) -> Iterator[str]:
    for method in ("get", "post", "patch", "put", "delete"):
        if method in methods:
            operation = methods[method]
            text = re.sub(r"\s+", " ", operation.get("description", "")).strip()
            yield f"- `{method.upper()}` {text}".rstrip() + _queries(operation)


def _queries(operation: dict[str, Any]) -> str:
    names = [p["name"] for p in operation.get("parameters", []) if p["in"] == "query"]
    return f" Parameters: {', '.join(f'`{name}`' for name in names)}." if names else ""


def main() -> None:
    import django

    django.setup()
    (FOLDER / "openapi.yaml").write_text(render_openapi(), encoding="utf-8")
    (FOLDER / "api.md").write_text(render_reference(), encoding="utf-8")


if __name__ == "__main__":
    main()

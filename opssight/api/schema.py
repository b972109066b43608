"""The OpenAPI description: how to sign in, and the problems each operation may answer with."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension

from opssight.api.problems import CONTENT_TYPE, TITLES

_UNSAFE = ("post", "put", "patch", "delete")
_SCHEMA = {
    "type": "object",
    "description": "What went wrong (RFC 9457).",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "description": "The class of the problem, urn:opssight:problem:…"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong and what to do, in one sentence."},
        "instance": {"type": "string", "description": "The address that was asked."},
        "request_id": {"type": "string", "description": "Under which the logs have more."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "opssight.api.authentication.BearerAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "description": "An API token, osp_…"}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "opssight.api.authentication.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME}


def add_problems(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """A drf-spectacular hook: the problem responses of every operation."""
    result["components"].setdefault("schemas", {})["Problem"] = _SCHEMA
    result["components"]["responses"] = {f"Problem{code}": _response(code) for code in sorted(TITLES)}
    for path, methods in result["paths"].items():
        for method, operation in methods.items():
            for code in _codes(path, method):
                reference = {"$ref": f"#/components/responses/Problem{code}"}
                operation["responses"].setdefault(str(code), reference)
    return result


def _codes(path: str, method: str) -> list[int]:
    codes = [400, 401, 403, 429]
    if "{" in path:
        codes.append(404)
    if method in _UNSAFE:
        codes += [409, 415, 422, 502, 503]
    return sorted(codes)


def _response(code: int) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": TITLES[code], "content": {CONTENT_TYPE: {"schema": schema}}}

"""May this caller do this at all: signed in, and within the scopes of the token.

Roles are checked against the object or the team that is acted on: see `opssight.api.views`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework import exceptions, permissions
from rest_framework.request import Request

from opssight.accounts.scope import Principal

if TYPE_CHECKING:  # DRF imports this module while its views load
    from rest_framework.views import APIView


class RoleAndScope(permissions.BasePermission):
    """Refuses callers nobody knows, and tokens without the view's scope (`<area>:read` or `:write`)."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        principal = request.auth
        if not isinstance(principal, Principal):
            raise exceptions.NotAuthenticated
        area = getattr(view, "area", None)
        reads = request.method in permissions.SAFE_METHODS or getattr(view, "reads_by_post", False)
        if area is not None and not principal.has_scope(f"{area}:{'read' if reads else 'write'}"):
            needed = f"{area}:{'read' if reads else 'write'}"
            raise exceptions.PermissionDenied(f"This token lacks the scope {needed}. Make one that has it.")
        return True

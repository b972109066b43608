"""Field types that several resources share."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from opssight.accounts.models import Role

ROLES = [role.label for role in Role]


@extend_schema_field({"type": "string", "enum": ROLES})
class RoleField(serializers.Field[Role, str, str, Any]):
    """A role by its name."""

    default_error_messages = {"unknown": "A role is one of {roles}."}

    def to_representation(self, value: int) -> str:
        return Role(value).label

    def to_internal_value(self, data: Any) -> Role:
        found = next((role for role in Role if role.label == data), None)
        if found is None:
            self.fail("unknown", roles=", ".join(ROLES))
        return found


@extend_schema_field({"type": "object", "additionalProperties": True})
class ObjectField(serializers.JSONField):
    """A JSON object; anything else is refused."""

    default_error_messages = {"no_object": "Give a JSON object."}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        value = super().to_internal_value(data)
        if not isinstance(value, dict):
            self.fail("no_object")
        return value

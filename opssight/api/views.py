"""The base of every endpoint: rows through `visible_to` only, roles, one audit actor, one page shape."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, ClassVar

from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model, QuerySet
from rest_framework import serializers
from rest_framework.exceptions import NotAuthenticated, NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from opssight.accounts.middleware import team_of
from opssight.accounts.models import Role, Team, TeamOwnedQuerySet
from opssight.accounts.scope import Principal
from opssight.accounts.teams import visible_teams
from opssight.audit.actor import acting_as

_SAFE = ("GET", "HEAD", "OPTIONS")


class Door(APIView):
    """What every endpoint has: the caller, and the caller as actor of whatever is audited.

    `area` is the scope a token needs (`<area>:read`, `<area>:write`); `reads_by_post` is for views
    and actions that change nothing although they are asked with POST.
    """

    area: ClassVar[str | None] = None
    reads_by_post = False

    @property
    def principal(self) -> Principal:
        principal = self.request.auth
        if not isinstance(principal, Principal):
            raise NotAuthenticated
        return principal

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        with ExitStack() as self._while_answering:
            return super().dispatch(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if isinstance(request.auth, Principal):
            self._while_answering.enter_context(acting_as(request.auth.actor))
        for name, value in request.query_params.items():
            if "\x00" in value:
                raise ValidationError({name: "This holds a character that cannot be stored."})

    def team_for(self, role: Role, team_id: uuid.UUID | None = None) -> Team:
        """The team to act in: the named one, a token's own, or the one worked in.

        Raises a field error for a team the caller cannot see, NotAllowed for too small a role.
        """
        only = self.principal.team
        if team_id is not None:
            team: Team | None = visible_teams(self.principal).filter(pk=team_id).first()
        else:
            team = only or team_of(self.request._request)
        if team is None:
            raise ValidationError({"team": "There is no such team among yours."})
        self.principal.require(role, team.pk)
        return team

    def read(self, serializer: type[serializers.Serializer[Any]]) -> dict[str, Any]:
        """The request's body, checked. Raises ValidationError."""
        checked = serializer(data=self.request.data, context={"request": self.request, "view": self})
        checked.is_valid(raise_exception=True)
        return dict(checked.validated_data)


class ResourceViewSet(Door, GenericViewSet[Any], ABC):
    """A collection whose rows belong to teams.

    `rows()` gives the rows through `visible_to`; rows without its mark are refused. `roles` names
    the least role for each action; what is not named needs ADMIN to change and VIEWER to read.
    """

    model: ClassVar[type[Model]]
    roles: ClassVar[Mapping[str, Role]] = {}
    sort_fields: ClassVar[Mapping[str, str]] = {}
    default_sort: ClassVar[str] = "-id"
    lookup_value_converter = "uuid"

    @abstractmethod
    def rows(self) -> QuerySet[Any]:
        """The rows of the collection, through `visible_to`."""

    def get_queryset(self) -> QuerySet[Any]:
        if getattr(self, "swagger_fake_view", False):
            return self.model._default_manager.none()
        return refuse_unseen(self.rows(), self.principal)

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return refuse_unseen(super().filter_queryset(queryset), self.principal)

    def needed_role(self) -> Role:
        reads = self.request.method in _SAFE or self.reads_by_post
        return self.roles.get(self.action, Role.VIEWER if reads else Role.ADMIN)

    def get_object(self) -> Any:
        """The object of the address: 404 unless it is visible, NotAllowed for too small a role."""
        rows = refuse_unseen(self.get_queryset(), self.principal)
        found = rows.filter(pk=self.kwargs[self.lookup_url_kwarg or self.lookup_field]).first()
        if found is None:
            raise NotFound
        role = self.needed_role()
        if role > Role.VIEWER:
            self.principal.require(role, found.pk if isinstance(found, Team) else found.team_id)
        return found

    def page(self, rows: QuerySet[Any], serializer: type[serializers.BaseSerializer[Any]]) -> Response:
        """One page of rows that belong to an object the caller may see."""
        found = self.paginate_queryset(rows)
        return self.get_paginated_response(
            serializer(found, many=True, context=self.get_serializer_context()).data
        )

    def list(self, request: Request) -> Response:
        return self.page(self.filter_queryset(self.get_queryset()), self.get_serializer_class())

    def retrieve(self, request: Request, pk: uuid.UUID) -> Response:
        """One of them."""
        return self.shown(self.get_object())

    def shown(self, row: Any, status: int = 200) -> Response:
        return Response(
            self.get_serializer_class()(row, context=self.get_serializer_context()).data, status=status
        )


def refuse_unseen(rows: QuerySet[Any], principal: Principal) -> QuerySet[Any]:
    """`rows`, provided that `visible_to` narrowed them for this caller."""
    if not isinstance(rows, TeamOwnedQuerySet) or rows.shown_to is not principal:
        raise ImproperlyConfigured("These rows did not pass visible_to(rows, principal).")
    return rows

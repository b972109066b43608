"""Teams, their members and invitations."""

from __future__ import annotations

import uuid

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from opssight.accounts import invitations, teams
from opssight.accounts.models import Invitation, Membership, Organization, Role, Team, TeamOwnedQuerySet
from opssight.api.fields import RoleField
from opssight.api.views import ResourceViewSet


class TeamOut(serializers.ModelSerializer[Team]):
    organization = serializers.UUIDField(source="organization_id", allow_null=True, read_only=True)
    role = serializers.SerializerMethodField(help_text="The caller's role in it.")

    class Meta:
        model = Team
        fields = ["id", "kind", "name", "slug", "organization", "role", "created_at"]
        read_only_fields = fields

    def get_role(self, team: Team) -> str:
        role: Role = self.context["view"].principal.roles[team.pk]
        return role.label


class TeamIn(serializers.Serializer[Team]):
    name = serializers.CharField(max_length=150)
    organization = serializers.UUIDField(
        required=False, allow_null=True, help_text="The organization it becomes part of."
    )


class TeamChange(serializers.Serializer[Team]):
    name = serializers.CharField(max_length=150)


class MemberOut(serializers.ModelSerializer[Membership]):
    user = serializers.UUIDField(source="user_id", read_only=True)
    email = serializers.EmailField(source="user.email", read_only=True)
    name = serializers.CharField(source="user.display_name", read_only=True)
    role = RoleField()

    class Meta:
        model = Membership
        fields = ["user", "email", "name", "role", "created_at"]
        read_only_fields = fields


class MemberIn(serializers.Serializer[Membership]):
    role = RoleField()


class InvitationOut(serializers.ModelSerializer[Invitation]):
    team = serializers.UUIDField(source="team_id", read_only=True)
    role = RoleField()
    invited_by = serializers.EmailField(source="invited_by.email", default=None, read_only=True)

    class Meta:
        model = Invitation
        fields = ["id", "team", "email", "role", "invited_by", "created_at", "expires_at"]
        read_only_fields = fields


class InvitationMade(InvitationOut):
    secret = serializers.CharField(read_only=True, help_text="The secret of the link: shown this once.")

    class Meta(InvitationOut.Meta):
        fields = [*InvitationOut.Meta.fields, "secret"]
        read_only_fields = fields


class InvitationIn(serializers.Serializer[Invitation]):
    team = serializers.UUIDField(required=False, help_text="Without it the team of the token.")
    email = serializers.CharField(max_length=254)
    role = RoleField()


USER = OpenApiParameter("user_id", uuid.UUID, OpenApiParameter.PATH)


@extend_schema(tags=["teams"])
class TeamViewSet(ResourceViewSet):
    """The teams one is in."""

    area = "teams"
    model = Team
    serializer_class = TeamOut
    sort_fields = {"name": "name"}

    def rows(self) -> TeamOwnedQuerySet:
        return teams.visible_teams(self.principal)

    @extend_schema(request=TeamIn, responses={201: TeamOut})
    def create(self, request: Request) -> Response:
        """Make a team; its maker owns it. Needs a session: a token acts inside its own team."""
        given = self.read(TeamIn)
        organization = self._organization(given["organization"]) if given.get("organization") else None
        team = teams.create_team(self.principal, given["name"], organization)
        request.auth = type(self.principal).of_user(self.principal.user)  # now with the new team's role
        return self.shown(team, 201)

    @extend_schema(request=TeamChange, responses=TeamOut)
    def partial_update(self, request: Request, pk: uuid.UUID) -> Response:
        """Rename a team."""
        team = self.get_object()
        teams.rename(self.principal, team, self.read(TeamChange)["name"])
        return self.shown(team)

    @extend_schema(responses=MemberOut(many=True))
    @action(detail=True, methods=["get"], sort_fields={})
    def members(self, request: Request, pk: uuid.UUID) -> Response:
        """Who is in the team."""
        return self.page(self.get_object().memberships.select_related("user"), MemberOut)

    @extend_schema(request=MemberIn, responses=MemberOut, parameters=[USER])
    @action(detail=True, methods=["patch"], url_path="members/<uuid:user_id>")
    def member(self, request: Request, pk: uuid.UUID, user_id: uuid.UUID) -> Response:
        """Give a member another role."""
        member = self._member(user_id)
        teams.change_role(self.principal, member, self.read(MemberIn)["role"])
        return Response(MemberOut(member).data)

    @extend_schema(responses={204: None}, parameters=[USER])
    @member.mapping.delete
    def remove_member(self, request: Request, pk: uuid.UUID, user_id: uuid.UUID) -> Response:
        """Take a member out of the team; everybody may leave."""
        teams.remove_member(self.principal, self._member(user_id))
        return Response(status=204)

    @extend_schema(request=None, responses=TeamOut, parameters=[USER])
    @action(detail=True, methods=["post"], url_path="members/<uuid:user_id>/make-owner")
    def transfer(self, request: Request, pk: uuid.UUID, user_id: uuid.UUID) -> Response:
        """Hand the team over to another member; the caller stays as administrator."""
        team = self.get_object()
        teams.transfer(self.principal, team, self._member(user_id).user)
        request.auth = type(self.principal).of_user(self.principal.user)
        return self.shown(team)

    roles = {"remove_member": Role.VIEWER, "transfer": Role.OWNER}

    def _member(self, user_id: uuid.UUID) -> Membership:
        members = Membership.objects.select_related("user", "team").filter(
            team=self.get_object(), user_id=user_id
        )
        member = members.first()
        if member is None:
            raise NotFound
        return member

    def _organization(self, pk: uuid.UUID) -> Organization:
        mine = Organization.objects.filter(teams__in=teams.visible_teams(self.principal).values("pk"), pk=pk)
        organization = mine.distinct().first()
        if organization is None:
            raise serializers.ValidationError({"organization": "There is no such organization among yours."})
        return organization


@extend_schema(tags=["teams"])
class InvitationViewSet(ResourceViewSet):
    """Open invitations of the teams one administers."""

    area = "teams"
    model = Invitation
    serializer_class = InvitationOut

    def rows(self) -> TeamOwnedQuerySet:
        return invitations.listed(self.principal)

    @extend_schema(request=InvitationIn, responses={201: InvitationMade})
    def create(self, request: Request) -> Response:
        """Invite somebody. The secret of the link is in this answer only."""
        given = self.read(InvitationIn)
        team = self.team_for(Role.ADMIN, given.get("team"))
        invitation, secret = invitations.invite(self.principal, team, given["email"], given["role"])
        return Response({**InvitationOut(invitation).data, "secret": secret}, status=201)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: uuid.UUID) -> Response:
        """Withdraw an invitation; its link is not valid any more."""
        invitations.withdraw(self.principal, self.get_object())
        return Response(status=204)

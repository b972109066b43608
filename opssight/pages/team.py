"""The team one works in: who is in it, with which role; inviting, leaving, making another one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from opssight.accounts import invitations, teams
from opssight.accounts.middleware import TEAM_KEY
from opssight.accounts.models import Membership, Organization, Role, Team
from opssight.core.errors import Failure
from opssight.web.parts import Crumb
from opssight.web.views import ROWS, TeamPage, add_failure, one_or_404, page_of

ROLE_WORDS: Final = {
    Role.VIEWER: "sees everything",
    Role.OPERATOR: "makes jobs, starts and stops runs",
    Role.ADMIN: "connects, invites, sets up",
    Role.OWNER: "may hand the team over and give every role",
}
SORTS: Final = {
    "name": ("user__email",),
    "-name": ("-user__email",),
    "role": ("role", "user__email"),
    "-role": ("-role", "user__email"),
    "since": ("created_at", "id"),
    "-since": ("-created_at", "-id"),
}


class InviteForm(forms.Form):
    email = forms.EmailField(label="E-mail address", widget=forms.EmailInput({"autocomplete": "off"}))
    role = forms.TypedChoiceField(label="Role", coerce=lambda value: Role(int(value)))

    def __init__(self, *args: Any, most: Role, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"].choices = _choices(most)  # type: ignore[attr-defined]


class NameForm(forms.Form):
    name = forms.CharField(label="Name", max_length=150)


class NewTeamForm(NameForm):
    kind = forms.ChoiceField(
        label="What it is",
        choices=[
            ("team", "A team|People who work on the same repositories."),
            ("organization", "An organization|Teams can be made inside it; it has things of its own."),
        ],
        widget=forms.RadioSelect,
        initial="team",
    )
    organization = forms.ModelChoiceField(
        label="Part of", queryset=Organization.objects.none(), required=False, empty_label="nothing"
    )


@dataclass(frozen=True)
class MemberRow:
    """A member, and what the one who looks may do: `roles` to give (none: not theirs to give), remove."""

    member: Membership
    role: str
    words: str
    you: bool
    roles: Sequence[tuple[int, str]]
    may_remove: bool


class TeamView(TeamPage):
    """What the views of the team share."""

    template_name = "team/team.html"

    @property
    def mine(self) -> Role:
        return self.principal.roles[self.request.team.pk]

    @property
    def may_invite(self) -> bool:
        return self.mine >= Role.ADMIN and self.request.team.kind != Team.Kind.PERSONAL

    def crumbs(self) -> Sequence[Crumb]:
        return [Crumb("Team")]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        team = self.request.team
        members = team.memberships.select_related("user")
        order = SORTS.get(self.request.GET.get("sort", ""), SORTS["-role"])
        page = page_of(self.request, members.order_by(*order))
        listed = invitations.listed(self.principal).filter(team=team).order_by("-created_at")[:ROWS]
        mine = teams.visible_teams(self.principal).order_by("name")
        context: dict[str, Any] = {
            "team_object": team,
            "page": page,
            "rows": [self._row(member) for member in page.object_list],
            "invitations": [(one, Role(one.role).label) for one in listed],
            "mine": [(one, self.principal.roles[one.pk].label) for one in mine],
            "may_invite": self.may_invite,
            "may_rename": self.mine >= Role.ADMIN,
            "invite_form": InviteForm(most=self.mine),
            "name_form": NameForm(initial={"name": team.name}),
            "role_words": [(role.label, words) for role, words in ROLE_WORDS.items()],
        }
        return super().get_context_data(**{**context, **kwargs})

    def _row(self, member: Membership) -> MemberRow:
        role = Role(member.role)
        you = member.user_id == self.request.user.pk
        personal = self.request.team.kind == Team.Kind.PERSONAL
        above = self.mine >= Role.ADMIN and (role < Role.OWNER or self.mine == Role.OWNER)
        return MemberRow(
            member=member,
            role=role.label,
            words=ROLE_WORDS[role],
            you=you,
            roles=_choices(self.mine) if above and not personal else (),
            may_remove=(above or you) and not personal,
        )

    def home(self, ok: str = "", failure: Failure | None = None) -> HttpResponse:
        """Back to the team with a sentence."""
        if failure is not None:
            messages.error(self.request, failure.sentence)
        elif ok:
            messages.success(self.request, ok)
        return HttpResponseRedirect(reverse("team"))

    def attempt(self, act: Callable[[], object], ok: str) -> HttpResponse:
        """Do it, and say how it went."""
        try:
            act()
        except Failure as failure:
            return self.home(failure=failure)
        return self.home(ok)


def _choices(most: Role) -> list[tuple[int, str]]:
    """The roles that somebody with the role `most` may give."""
    highest = most if most == Role.OWNER else Role.ADMIN
    return [(role.value, role.label) for role in Role if role <= highest]


class TeamHome(TeamView):
    """Members, invitations, one's other teams."""


class Rename(TeamView):
    http_method_names = ["post"]
    post_role = Role.ADMIN

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        name = request.POST.get("name", "")
        return self.attempt(
            lambda: teams.rename(self.principal, self.request.team, name), "The team has its new name."
        )


class Invite(TeamView):
    """POST: an invitation. The answer shows its link, this once, so it is no redirect."""

    http_method_names = ["post"]
    post_role = Role.ADMIN

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        form = InviteForm(request.POST, most=self.mine)
        if not form.is_valid():
            return self.render_to_response(self.get_context_data(invite_form=form))
        email, role = form.cleaned_data["email"], form.cleaned_data["role"]
        try:
            invitation, secret = invitations.invite(self.principal, self.request.team, email, role)
        except Failure as failure:
            add_failure(form, failure)
            return self.render_to_response(self.get_context_data(invite_form=form))
        link = request.build_absolute_uri(reverse("invitation_open", args=[secret]))
        response = self.render_to_response(self.get_context_data(link=link, invited=invitation))
        response["Cache-Control"] = "no-store"
        return response


class Withdraw(TeamView):
    http_method_names = ["post"]
    post_role = Role.ADMIN

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        rows = invitations.listed(self.principal).filter(team=self.request.team)
        invitation = one_or_404(rows, pk=kwargs["pk"])
        return self.attempt(
            lambda: invitations.withdraw(self.principal, invitation),
            f"The invitation of {invitation.email} is withdrawn; its link is not valid any more.",
        )


class MemberView(TeamView):
    """What is done to one member."""

    http_method_names = ["post"]
    post_role = Role.VIEWER  # leaving is for everybody; the rest is asked of the role by the service

    @property
    def member(self) -> Membership:
        rows = Membership.objects.select_related("user", "team").filter(team=self.request.team)
        return one_or_404(rows, user_id=self.kwargs["user_id"])


class ChangeRole(MemberView):
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        member = self.member
        wanted = request.POST.get("role", "")
        role = next((role for role in Role if str(role.value) == wanted), Role(member.role))
        return self.attempt(
            lambda: teams.change_role(self.principal, member, role),
            f"{member.user.email} is {role.label} now.",
        )


class Remove(MemberView):
    """POST: take a member out, or leave."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        member = self.member
        try:
            teams.remove_member(self.principal, member)
        except Failure as failure:
            return self.home(failure=failure)
        if member.user_id != self.request.user.pk:
            return self.home(f"{member.user.email} is not in the team any more.")
        request.session.pop(TEAM_KEY, None)
        messages.success(request, f"You left {member.team}.")
        return HttpResponseRedirect("/")


class NewTeam(TeamPage):
    """Make a team or an organization, and go to work in it."""

    template_name = "team/new.html"
    post_role = Role.VIEWER

    def crumbs(self) -> Sequence[Crumb]:
        return [Crumb("Team", reverse("team")), Crumb("New team")]

    def form(self, data: Any = None) -> NewTeamForm:
        form = NewTeamForm(data)
        administered = self.principal.team_ids(Role.ADMIN)
        mine = Organization.objects.filter(teams__in=administered, teams__kind=Team.Kind.ORGANIZATION)
        form.fields["organization"].queryset = mine.order_by("name")  # type: ignore[attr-defined]
        return form

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        form: NewTeamForm = kwargs.pop("form", None) or self.form()
        return super().get_context_data(form=form, **kwargs)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        form = self.form(request.POST)
        if not form.is_valid():
            return self.render_to_response(self.get_context_data(form=form))
        try:
            team = self._make(form.cleaned_data)
        except Failure as failure:
            add_failure(form, failure)
            return self.render_to_response(self.get_context_data(form=form))
        request.session[TEAM_KEY] = str(team.pk)
        messages.success(request, f"{team.name} is made, and you work in it now. Invite who belongs to it.")
        return HttpResponseRedirect(reverse("team"))

    def _make(self, given: dict[str, Any]) -> Team:
        if given["kind"] == "team":
            return teams.create_team(self.principal, given["name"], given["organization"])
        organization = teams.create_organization(self.principal, given["name"])
        return Team.objects.get(organization=organization, kind=Team.Kind.ORGANIZATION)

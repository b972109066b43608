"""One's own account, and following an invitation into a team."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth import authenticate, login
from django.contrib.auth.password_validation import password_validators_help_texts
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from opssight.accounts import invitations, teams
from opssight.accounts.middleware import TEAM_KEY
from opssight.accounts.models import Invitation, Role, User
from opssight.core.errors import Failure
from opssight.signin import links
from opssight.web.parts import Crumb
from opssight.web.views import TeamPage, add_failure


class AccountForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields = ["name"]


class AccountPage(TeamPage):
    """Who one is here: name, address, password, colours, teams."""

    template_name = "account/account.html"
    post_role = Role.VIEWER

    def crumbs(self) -> Sequence[Crumb]:
        return [Crumb("Your account")]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        mine = teams.visible_teams(self.principal).order_by("name")
        context = {
            "form": AccountForm(instance=self.request.user),
            "links": links.listed(self.request.user),
            "link_with": links.left(self.request.user),
            "asks_password": self.request.user.has_usable_password(),
            "mine": [(team, self.principal.roles[team.pk].label) for team in mine],
        }
        return super().get_context_data(**{**context, **kwargs})

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        form = AccountForm(request.POST, instance=User.objects.get(pk=self.request.user.pk))
        if not form.is_valid():
            return self.render_to_response(self.get_context_data(form=form))
        form.save()
        messages.success(request, "Saved.")
        return HttpResponseRedirect(reverse("account"))


# --- invitations ------------------------------------------------------------------------------------------


class RegisterForm(forms.Form):
    name = forms.CharField(
        label="Your name", max_length=150, widget=forms.TextInput({"autocomplete": "name"})
    )
    password = forms.CharField(
        label="A password",
        strip=False,
        widget=forms.PasswordInput({"autocomplete": "new-password"}),
        help_text=" ".join(password_validators_help_texts()),
    )


@require_safe
@never_cache
def open_invitation(request: HttpRequest, secret: str) -> HttpResponse:
    """Take the secret out of the address, where histories and referrers would keep it."""
    request.session[invitations.SESSION_KEY] = secret
    response = HttpResponseRedirect(reverse("invitation"))
    response["Referrer-Policy"] = "no-referrer"
    return response


@method_decorator(never_cache, name="dispatch")
class InvitationPage(View):
    """Join the team: as who is signed in, after signing in, or with a new account."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._page(request, RegisterForm())

    def post(self, request: HttpRequest) -> HttpResponse:
        secret = request.session.get(invitations.SESSION_KEY, "")
        if isinstance(request.user, User):
            return self._join(request, request.user, secret)
        form = RegisterForm(request.POST)
        if not form.is_valid():
            return self._page(request, form)
        try:
            user = invitations.register(secret, form.cleaned_data["name"], form.cleaned_data["password"])
        except Failure as failure:
            add_failure(form, failure)
            return self._page(request, form)
        login(request, authenticate(request, username=user.email, password=form.cleaned_data["password"]))
        return self._welcome(request, user.memberships.exclude(team=user.personal_team).get().team)

    def _join(self, request: HttpRequest, user: User, secret: str) -> HttpResponse:
        try:
            member = invitations.accept(user, secret)
        except Failure as failure:
            return self._page(request, RegisterForm(), failure.sentence)
        return self._welcome(request, member.team)

    def _welcome(self, request: HttpRequest, team: Any) -> HttpResponse:
        request.session.pop(invitations.SESSION_KEY, None)
        request.session[TEAM_KEY] = str(team.pk)
        messages.success(request, f"Welcome to {team}.")
        return HttpResponseRedirect(reverse("team"))

    def _page(self, request: HttpRequest, form: RegisterForm, sentence: str = "") -> HttpResponse:
        invitation, status = None, 200
        try:
            invitation = invitations.opened(request.session.get(invitations.SESSION_KEY, ""))
        except Failure as failure:
            sentence, status = failure.sentence, 404
        context = {
            "form": form,
            "invitation": invitation,
            "sentence": sentence,
            "role": Role(invitation.role).label if invitation else "",
            "way": _way(request, invitation) if invitation else "",
            "sign_in_with": links.offered(),
        }
        return render(request, "account/invitation.html", context, status=status)


def _way(request: HttpRequest, invitation: Invitation) -> str:
    """How this visitor comes in: `join`, `other` (another address), `signin` or `register`."""
    if isinstance(request.user, User):
        return "join" if request.user.email.casefold() == invitation.email.casefold() else "other"
    return "signin" if User.objects.filter(email__iexact=invitation.email).exists() else "register"

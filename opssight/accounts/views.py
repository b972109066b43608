"""Signing in and out, one's own password, and the team one works in."""

from __future__ import annotations

from django.contrib import admin, messages
from django.contrib.auth import views as auth
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse, reverse_lazy
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from opssight.accounts.forms import SigninForm
from opssight.accounts.middleware import TEAM_KEY, principal_of
from opssight.accounts.teams import visible_teams
from opssight.audit.record import record
from opssight.core.ids import as_uuid


class SigninView(auth.LoginView):
    form_class = SigninForm
    template_name = "registration/login.html"
    redirect_authenticated_user = True

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        with transaction.atomic():
            answer = super().form_valid(form)
            _record(self.request, "user.signed_in")
        return answer

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        response = super().form_invalid(form)
        if form.has_error("__all__", "too_many"):
            response.status_code = 429
        return response


def admin_signin(request: HttpRequest) -> HttpResponse:
    """The admin site has no sign-in of its own: there is one, which slows guessing and is audited."""
    if not request.user.is_authenticated:
        return redirect_to_login(reverse("admin:index"))
    if not admin.site.has_permission(request):
        raise PermissionDenied
    return HttpResponseRedirect(reverse("admin:index"))


class PasswordView(auth.PasswordChangeView):
    """Change one's password; every other session of the account ends."""

    template_name = "registration/password.html"
    success_url = reverse_lazy("password_change")

    def form_valid(self, form: PasswordChangeForm) -> HttpResponse:
        messages.success(self.request, "Your password was changed. Other devices were signed out.")
        with transaction.atomic():
            answer = super().form_valid(form)
            _record(self.request, "user.password_changed")
        return answer


@require_POST
@login_required
def switch_team(request: HttpRequest) -> HttpResponse:
    """Work in another of one's teams from now on; back to where one came from."""
    teams = visible_teams(principal_of(request))
    team = get_object_or_404(teams, pk=as_uuid(request.POST.get("team", "")))
    request.session[TEAM_KEY] = str(team.pk)
    back = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure())
    return HttpResponseRedirect(back if safe else "/")


def _record(request: HttpRequest, action: str) -> None:
    principal = principal_of(request)
    user = principal.user
    target = ("user", user.pk, user.email)
    record(action, actor=principal.actor, team_id=user.personal_team.pk, target=target)

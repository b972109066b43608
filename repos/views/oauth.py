"""To the provider and back: starting to connect by a button, and what the browser brings from there."""

from __future__ import annotations

import secrets
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse

from opssight.accounts.models import Role, Team
from opssight.accounts.teams import visible_teams
from opssight.core.errors import Failure, InvalidInput
from opssight.core.ids import as_uuid
from opssight.web import attempts
from opssight.web.views import TeamPage, one_or_404
from repos import github_app, oauth, selectors
from repos.instances import Instance, instance_of
from repos.models import Connection, ProviderInstance

KEY: Final = "oauth"
PAGE: Final = "repos/to_provider.html"  # on the way to the provider


class StartOAuth(TeamPage):
    """POST sends the browser to the provider. What comes back fits this session, team and attempt only."""

    http_method_names = ["post"]
    post_role = Role.ADMIN

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        kind, url = request.POST.get("provider", ""), request.POST.get("url", "").strip()
        connection = request.POST.get("connection", "")
        more = {"team": str(self.request.team.pk), "connection": str(as_uuid(connection) or "")}
        attempt = attempt_for(kind, url, **more)
        try:
            instance = instance_of(kind, url)
            address = oauth.address_to_send_to(instance, attempt["state"], attempt["verifier"])
        except Failure as failure:
            messages.error(request, failure.sentence)
            return redirect("connection_new")
        attempts.keep(request, KEY, attempt)
        return attempts.send_away(request, PAGE, address, label=instance.label)


def attempt_for(kind: str, url: str, **more: str) -> attempts.Attempt:
    """What the session has to know until the provider sends the browser back."""
    return {
        "state": secrets.token_urlsafe(32),
        "verifier": secrets.token_urlsafe(64),
        "provider": kind,
        "url": url,
        "connection": "",
        **more,
    }


class OAuthCallback(TeamPage):
    """GET is where the provider sends the browser back to."""

    http_method_names = ["get"]
    role = Role.VIEWER  # the attempt's team counts, not the one that is worked in now

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return self.finished(kwargs["provider"])
        except Failure as failure:
            messages.error(request, failure.sentence)
            return redirect("connection_new")

    def finished(self, kind: str) -> HttpResponse:
        attempt = self.attempt(kind)
        given = self.request.GET
        if given.get("error"):
            raise InvalidInput("You did not allow OpsSight in, so nothing was connected.")
        code = given.get("code", "")[:2_000]
        if attempt.get("installation"):
            return self.installed(attempt, code)
        instance = instance_of(kind, attempt["url"])
        if attempt["connection"]:
            return self.reconnected(attempt, instance, code)
        team: Team = one_or_404(visible_teams(self.principal), pk=attempt["team"])
        made = oauth.connect(self.principal, team, instance, code, attempt["verifier"])
        messages.success(self.request, f"{made.name} is connected. Now pick its repositories.")
        return HttpResponseRedirect(reverse("connection_found", args=[made.pk]))

    def installed(self, attempt: dict[str, Any], code: str) -> HttpResponse:
        """The person who installed our GitHub App told who they are."""
        team: Team = one_or_404(visible_teams(self.principal), pk=attempt["team"])
        row: ProviderInstance = one_or_404(ProviderInstance.objects.all(), pk=attempt["app"])
        number = attempt["installation"]
        made = github_app.connect(self.principal, team, row, number, code, attempt["verifier"])
        messages.success(self.request, f"{made.name} is connected. Now pick its repositories.")
        return HttpResponseRedirect(reverse("connection_found", args=[made.pk]))

    def reconnected(self, attempt: dict[str, Any], instance: Instance, code: str) -> HttpResponse:
        rows = selectors.connections(self.principal).filter(team=attempt["team"])
        connection: Connection = one_or_404(rows, pk=attempt["connection"])
        oauth.reconnect(self.principal, connection, instance, code, attempt["verifier"])
        messages.success(self.request, f"{connection.name} works again.")
        return HttpResponseRedirect(reverse("connection", args=[connection.pk]))

    def attempt(self, kind: str) -> attempts.Attempt:
        found = attempts.take(self.request, KEY)
        if found is None or found["provider"] != kind:
            raise InvalidInput("This sign-in was not started here, or it is too old. Start again.")
        return found

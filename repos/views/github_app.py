"""Making a GitHub App, and connecting where it is installed."""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse

from opssight.accounts.models import Role, Team
from opssight.accounts.teams import visible_teams
from opssight.core.errors import Failure, InvalidInput
from opssight.core.ids import as_uuid
from opssight.web import attempts
from opssight.web.csp import POLICY
from opssight.web.parts import Crumb
from opssight.web.views import TeamPage, add_failure, one_or_404
from repos import github_app, selectors
from repos.instances import is_web_address
from repos.models import ProviderInstance, Webhook
from repos.views import oauth
from repos.webhook_status import only_here

KEY: Final = "github_app"


class AppForm(forms.Form):
    """Where the app is to be made."""

    organization = forms.CharField(
        label="Organization",
        max_length=39,
        required=False,
        help_text="Who owns the app at GitHub. Leave it empty for your own account.",
    )
    url = forms.CharField(
        label="Address",
        max_length=300,
        required=False,
        help_text="Leave it empty for github.com. For GitHub Enterprise Server: https://github.example.org.",
    )

    anywhere = forms.BooleanField(
        label="Other accounts may install it too",
        required=False,
        help_text="Needed for more than one account or organization. GitHub then lets anybody install it; "
        "here it counts only for members of a team who own the account.",
    )

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"]
        if url and not is_web_address(url):
            raise ValidationError("Enter the address of the server only, such as https://github.example.org.")
        return url


@dataclass(frozen=True)
class Place:
    """Something of a team, and its page where that is of the team in which one works."""

    name: str
    team: str
    url: str = ""


@dataclass(frozen=True)
class AppCard:
    """An app, where it is installed, and its webhook where it has one."""

    app: ProviderInstance
    places: Sequence[Place]
    webhook: Place | None = None


class MakeApp(TeamPage):
    """An administrator makes the app at GitHub, which is told by our page what it is to be."""

    role = Role.ADMIN
    post_role = Role.ADMIN
    template_name = "repos/github_app.html"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if request.user.is_authenticated and not request.user.is_superuser:
            raise Http404
        return super().dispatch(request, *args, **kwargs)

    def crumbs(self) -> Sequence[Crumb]:
        return [Crumb("Connections", reverse("connections")), Crumb("GitHub App")]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        kwargs.setdefault("form", AppForm())
        cards = [self.card(row) for row in github_app.apps()]
        return super().get_context_data(apps=cards, only_here=only_here(), **kwargs)

    def card(self, row: ProviderInstance) -> AppCard:
        """Everywhere it is installed; what is of this team leads to its page."""
        here = self.request.team
        places = [
            Place(one.name, one.team.name, reverse("connection", args=[one.pk]) if one.team == here else "")
            for one in row.connections.select_related("team").order_by("name", "id")
        ]
        hook = Webhook.objects.filter(instance=row).select_related("team").first()
        if hook is None:
            return AppCard(row, places)
        page = reverse("webhook", args=[hook.pk]) if hook.team == here else ""
        return AppCard(row, places, Place(str(hook), hook.team.name, page))

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        form = AppForm(request.POST)
        if form.is_valid():
            try:
                return self.sent(form.cleaned_data)
            except Failure as failure:
                add_failure(form, failure)
        return self.render_to_response(self.get_context_data(form=form), status=422)

    def sent(self, given: dict[str, Any]) -> HttpResponse:
        url = given["url"].rstrip("/")
        attempt = {"state": secrets.token_urlsafe(32), "url": url, "hook": str(uuid.uuid4())}
        hook_id = uuid.UUID(attempt["hook"])
        asked = github_app.form(
            self.principal, url, given["organization"], attempt["state"], hook_id, anywhere=given["anywhere"]
        )
        attempts.keep(self.request, KEY, {**attempt, "team": str(self.request.team.pk), "what": "make"})
        context = self.get_context_data(address=asked.address, manifest=json.dumps(asked.manifest))
        answer = render(self.request, "repos/to_github.html", context)
        parts = urlsplit(asked.address)
        # this page's form is for GitHub, and for nobody else
        answer["Content-Security-Policy"] = POLICY.replace(
            "form-action 'self'", f"form-action {parts.scheme}://{parts.netloc}"
        )
        answer["Cache-Control"] = "no-store"
        return answer


class AppMade(TeamPage):
    """GET is where GitHub sends the browser with the code of a new app."""

    http_method_names = ["get"]
    role = Role.VIEWER  # the attempt's team counts

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            attempt = _taken(request, "make")
            team: Team = one_or_404(visible_teams(self.principal), pk=attempt["team"])
            code = request.GET.get("code", "")[:200]
            made = github_app.make(self.principal, team, attempt["url"], code, uuid.UUID(attempt["hook"]))
        except Failure as failure:
            messages.error(request, failure.sentence)
            return redirect("github_app")
        messages.success(request, f"The app {made.app_slug} is made. Now install it where repositories are.")
        return redirect("github_app")


class InstallApp(TeamPage):
    """POST sends the browser to GitHub, where an account and repositories are chosen."""

    http_method_names = ["post"]
    post_role = Role.ADMIN

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        row = _app(request.POST.get("app", ""))
        state = secrets.token_urlsafe(32)
        attempt = {"state": state, "app": str(row.pk), "team": str(self.request.team.pk), "what": "install"}
        attempts.keep(request, KEY, attempt)
        address = github_app.address_to_install(row, state)
        return attempts.send_away(request, oauth.PAGE, address, label=row.app_slug)


class AppInstalled(TeamPage):
    """GET is where GitHub sends the browser after an installation. What it says has to be proved."""

    http_method_names = ["get"]
    role = Role.VIEWER

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        number = request.GET.get("installation_id", "")[:20]
        if not request.GET.get("state"):  # from GitHub's own settings: nothing was started here
            return self.known(number)
        try:
            attempt = _taken(request, "install")
            if request.GET.get("setup_action") == "request":
                raise InvalidInput("An owner has to approve the app at GitHub first. Install it again then.")
            row = _app(attempt["app"])
            more = {"installation": number, "app": str(row.pk), "team": attempt["team"]}
            proof = oauth.attempt_for(github_app.KIND, row.url, **more)
            address = github_app.address_to_prove(row, proof["state"], proof["verifier"])
        except Failure as failure:
            messages.error(request, failure.sentence)
            return redirect("connection_new")
        attempts.keep(request, oauth.KEY, proof)
        return attempts.send_away(request, oauth.PAGE, address, label=row.app_slug)

    def known(self, number: str) -> HttpResponse:
        rows = selectors.connections(self.principal).exclude(installation_id="")
        connection = rows.filter(installation_id=number).first()
        if connection is None:
            messages.info(self.request, "To connect where the app is installed, press Install here.")
            return redirect("connection_new")
        return HttpResponseRedirect(reverse("connection", args=[connection.pk]))


def _app(given: str) -> ProviderInstance:
    row: ProviderInstance = one_or_404(
        ProviderInstance.objects.filter(provider=github_app.KIND).exclude(app_id=""), pk=as_uuid(given)
    )
    return row


def _taken(request: HttpRequest, what: str) -> attempts.Attempt:
    found = attempts.take(request, KEY)
    if found is None or found["what"] != what:
        raise InvalidInput("This was not started here, or it is too old. Start again.")
    return found

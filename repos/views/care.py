"""Looking after a connection: what is left of its limits, and moving it to another team."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from opssight.accounts.models import Role, Team
from opssight.core.errors import Failure, PermanentFailure
from opssight.core.words import join_words
from opssight.web.parts import Crumb
from opssight.web.views import add_failure
from repos import access, connectivity, transfer
from repos.beside import ask, forget
from repos.models import Connection
from repos.providers.forge import Forge
from repos.views.connections import WAIT_SECONDS, OfConnection


class AskLimits(OfConnection):
    """Ask the provider what is left of its limits; the answer is waited for, but not for long."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        connection = self.connection
        key = ("limits", connection.pk)
        forget(key)
        answer = ask(key, 0.0, lambda: _read(connection), owner=connection.team_id, wait=WAIT_SECONDS)
        if answer.value:
            messages.success(request, f"Left: {join_words(answer.value[:4])}.")
        elif answer.value is not None:
            messages.info(request, f"{connection.name} has no limits switched on.")
        elif answer.pending:
            messages.warning(request, f"{connection.name} has not answered yet.")
        else:
            messages.error(request, f"{connection.name}: {answer.sentence}")
        return redirect(f"{reverse('connection', args=[connection.pk])}#limits")


def _read(connection: Connection) -> list[str]:
    client = access.client_of(connection)
    if not isinstance(client, Forge):
        raise PermanentFailure(f"{client.label} does not tell what is left of its limits.")
    return connectivity.read_limits(connection, client)


class TransferForm(forms.Form):
    team = forms.ChoiceField(label="Team", help_text="Teams in which you are an administrator.")
    share_back = forms.BooleanField(
        label="Share it back for reading",
        required=False,
        help_text="The team that has it now may go on reading its repositories.",
    )

    def __init__(self, teams: Sequence[Team], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.teams = {str(team.pk): team for team in teams}
        field = self.fields["team"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - declared above
        field.choices = [(key, str(team)) for key, team in self.teams.items()]


class TransferConnection(OfConnection):
    """Say what moves and what stays, then move it."""

    role = Role.ADMIN
    post_role = Role.ADMIN
    template_name = "repos/connection_transfer.html"

    def crumbs(self) -> Sequence[Crumb]:
        return [*super().crumbs(), Crumb("Move")]

    def form(self, data: Any = None) -> TransferForm:
        return TransferForm(transfer.teams_for(self.principal, self.connection), data)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        form = self.form(request.POST)
        if form.is_valid():
            team = form.teams[form.cleaned_data["team"]]
            try:
                transfer.transfer(
                    self.principal, self.connection, team, share_back=form.cleaned_data["share_back"]
                )
            except Failure as failure:
                add_failure(form, failure)
            else:
                messages.success(request, f"{self.connection.name} belongs to {team.name} now.")
                return redirect("connections")
        return self.render_to_response(self.get_context_data(form=form), status=422)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        form = kwargs.pop("form", None) or self.form()
        moving = transfer.moving(self.connection)
        return super().get_context_data(connection=self.connection, form=form, moving=moving, **kwargs)

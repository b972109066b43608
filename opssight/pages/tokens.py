"""API tokens: made, shown once, revoked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.db.models import F, Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from opssight.accounts import tokens
from opssight.accounts.models import ApiToken, Role
from opssight.core.clock import now
from opssight.core.errors import Failure
from opssight.web.parts import Choice, Crumb
from opssight.web.views import TeamPage, add_failure, one_or_404, page_of

SORTS: Final[dict[str, tuple[Any, ...]]] = {
    "name": ("name", "id"),
    "-name": ("-name", "-id"),
    "used": (F("last_used_at").asc(nulls_first=True), "id"),
    "-used": (F("last_used_at").desc(nulls_last=True), "-id"),
    "ends": (F("expires_at").asc(nulls_last=True), "id"),
    "-ends": (F("expires_at").desc(nulls_first=True), "-id"),
}
AREA_WORDS: Final = {
    "connections": "Connections",
    "repositories": "Repositories",
    "jobs": "Jobs",
    "runs": "Runs",
    "deliveries": "Webhooks and deliveries",
    "teams": "Team and members",
    "tokens": "API tokens",
    "audit": "Audit log",
}


class TokenForm(forms.Form):
    name = forms.CharField(
        label="Name", max_length=100, help_text="What it is for, such as “deploy script of docs”."
    )
    scopes = forms.MultipleChoiceField(
        label="It may", choices=[(scope, scope) for scope in tokens.SCOPES], required=False
    )
    days = forms.ChoiceField(
        label="It ends",
        choices=[("30", "in 30 days"), ("90", "in 90 days"), ("365", "in a year"), ("0", "never")],
        initial="90",
    )

    @property
    def areas(self) -> list[tuple[str, list[tuple[str, str, bool]]]]:
        """Each area with its scopes: value, word, chosen."""
        chosen = set(self["scopes"].value() or ())
        verbs = (("read", "read"), ("write", "read and change"))
        return [
            (
                AREA_WORDS[area],
                [(f"{area}:{verb}", word, f"{area}:{verb}" in chosen) for verb, word in verbs],
            )
            for area in tokens.AREAS
        ]

    @property
    def everything(self) -> bool:
        return "all" in set(self["scopes"].value() or ())


@dataclass(frozen=True)
class TokenRow:
    token: ApiToken
    state: str
    word: str
    scopes: str
    may_revoke: bool


class TokensPage(TeamPage):
    """One's tokens in this team (as administrator: all of it). POST makes one; the answer shows it once."""

    template_name = "tokens/tokens.html"
    post_role = Role.VIEWER  # a token acts with its user's role, whatever its scopes say

    def crumbs(self) -> Sequence[Crumb]:
        return [Crumb("API tokens")]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        ended = self.request.GET.get("show") == "ended"
        over = ~Q(revoked_at=None) | Q(expires_at__lte=now())
        every = tokens.listed(self.principal).filter(team=self.request.team)
        rows = every.filter(over) if ended else every.exclude(over)
        order = SORTS.get(self.request.GET.get("sort", ""), ("-id",))
        page = page_of(self.request, rows.order_by(*order))
        numbers = {"valid": every.exclude(over).count(), "ended": every.filter(over).count()}
        context: dict[str, Any] = {
            "page": page,
            "rows": [self._row(token) for token in page.object_list],
            "numbers": numbers,
            "choices": [
                Choice("Valid", reverse("tokens"), not ended, numbers["valid"]),
                Choice("Ended", f"{reverse('tokens')}?show=ended", ended, numbers["ended"]),
            ],
            "form": TokenForm(),
            "mine": self.principal.roles[self.request.team.pk].label,
        }
        return super().get_context_data(**{**context, **kwargs})

    def _row(self, token: ApiToken) -> TokenRow:
        state, word = "ok", "valid"
        if token.revoked_at is not None:
            state, word = "revoked", ""
        elif token.expires_at is not None and token.expires_at <= now():
            state, word = "gone", "expired"
        elif token.expires_at is not None and token.expires_at < now() + dt.timedelta(days=7):
            state, word = "late", "ends soon"
        mine = token.user_id == self.request.user.pk
        may = mine or self.principal.may(Role.ADMIN, token.team_id)
        return TokenRow(token, state, word, scope_words(token.scopes), may and state in ("ok", "late"))

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        form = TokenForm(request.POST)
        if not form.is_valid():
            return self.render_to_response(self.get_context_data(form=form))
        given = form.cleaned_data
        days = int(given["days"])
        ends = now() + dt.timedelta(days=days) if days else None
        try:
            token, text = tokens.issue(
                self.principal, self.request.team, given["name"], given["scopes"], ends
            )
        except Failure as failure:
            add_failure(form, failure)
            return self.render_to_response(self.get_context_data(form=form))
        response = self.render_to_response(self.get_context_data(made=token, text=text))
        response["Cache-Control"] = "no-store"
        return response


def scope_words(scopes: Sequence[str]) -> str:
    """What a token may, in words: `read repositories; read and change jobs`."""
    if "all" in scopes:
        return "everything its user may"
    write = [AREA_WORDS[area].lower() for area in tokens.AREAS if f"{area}:write" in scopes]
    read = [
        AREA_WORDS[area].lower()
        for area in tokens.AREAS
        if f"{area}:read" in scopes and f"{area}:write" not in scopes
    ]
    said = [f"read {', '.join(read)}"] if read else []
    said += [f"change {', '.join(write)}"] if write else []
    return "; ".join(said)


class Revoke(TeamPage):
    """POST: end a token at once."""

    http_method_names = ["post"]
    post_role = Role.VIEWER

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        rows = tokens.listed(self.principal).filter(team=self.request.team)
        token = one_or_404(rows, pk=kwargs["pk"])
        try:
            tokens.revoke(self.principal, token)
        except Failure as failure:
            messages.error(request, failure.sentence)
        else:
            messages.success(request, f"{token.name} is revoked. Whoever uses it is refused from now on.")
        return HttpResponseRedirect(reverse("tokens"))

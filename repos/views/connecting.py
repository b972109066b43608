"""Making and changing a connection: choose, enter, test, save. Its repositories come next: `found`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from django.contrib import messages
from django.forms import PasswordInput
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from opssight.accounts.models import Role
from opssight.core.errors import Failure
from opssight.web.parts import Crumb
from opssight.web.views import TeamPage, add_failure
from repos import access, connections, deploy_keys, github_app
from repos.beside import Answer, ask, forget
from repos.connections import Tested
from repos.forms import ConnectionForm, recognise
from repos.instances import callback_of, instances, is_web_address, with_oauth
from repos.models import Connection
from repos.network import Network, checked
from repos.providers.base import Provider
from repos.providers.forge import Forge
from repos.providers.registry import PROVIDERS, all_providers, provider_named
from repos.providers.types import Identity, Need
from repos.views.connections import WAIT_SECONDS, OfConnection

PART_SECONDS: Final = 8.0  # how long a part of a page waits before it says "still looking"


class NewConnection(TeamPage):
    """Choose a provider or paste an address, enter, test, connect. A test stores nothing."""

    role = Role.ADMIN
    post_role = Role.ADMIN
    template_name = "repos/connect.html"

    def crumbs(self) -> Sequence[Crumb]:
        return [Crumb("Connections", reverse("connections")), Crumb("New")]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if "paste" in request.POST:
            return self.pasted(request.POST["paste"])
        if "make_key" in request.POST:
            return self.with_key()
        form = ConnectionForm(provider_named(self.kind), request.POST)
        if "made_key" in request.POST:
            form.made_key = deploy_keys.private_part(request.session, request.user.pk)
        if "test" in request.POST:
            return self.tested(form)
        if form.is_valid():
            try:
                made = self.made(form)
            except Failure as failure:
                add_failure(form, failure)
            else:
                if form.made_key:
                    deploy_keys.used(request.session)
                messages.success(request, f"{made.name} is stored. Now pick its repositories.")
                return redirect("connection_found", made.pk)
        return self.render_to_response(self.get_context_data(form=form), status=422)

    def with_key(self) -> HttpResponse:
        """A new key for the server; what was typed beside secrets stays."""
        deploy_keys.make(self.request.session, self.request.user.pk)
        provider = provider_named(self.kind)
        typed = {name: self.request.POST.get(name, "") for name in ("name", "urls", "username", "host_key")}
        return self.render_to_response(self.get_context_data(form=ConnectionForm(provider, initial=typed)))

    @property
    def kind(self) -> str:
        given = self.request.POST.get("provider") or self.request.GET.get("provider", "")
        return given if given in PROVIDERS else next(iter(PROVIDERS))

    def made(self, form: ConnectionForm) -> Connection:
        name, kind = form.cleaned_data["name"], form.provider.kind
        return connections.create_connection(
            self.principal,
            self.request.team,
            kind,
            name,
            form.options,
            form.secrets,
            ca=form.ca,
            proxy=form.proxy or "",
        )

    def tested(self, form: ConnectionForm) -> HttpResponse:
        """What the provider answers, as a part of the page where htmx asks for one."""
        form.fields["name"].required = False
        answer = self.asked(form) if form.is_valid() else None
        if self.request.headers.get("HX-Request") == "true":
            return render(self.request, "repos/_tested.html", tested_context(answer, form))
        return self.render_to_response(self.get_context_data(**tested_context(answer, form)))

    def asked(self, form: ConnectionForm) -> Answer[Tested] | None:
        """The answer; None when the values cannot be used, which is said at their fields."""
        kind, options, secrets = form.provider.kind, form.options, form.secrets
        try:
            network = checked(form.ca, form.proxy or "")
            access.provider_for(kind, options, secrets, network=network)
        except Failure as failure:
            add_failure(form, failure)
            return None
        entered = network if network != Network() else None  # else that of an instance counts
        values = json.dumps([kind, options, secrets, form.ca, form.proxy], sort_keys=True).encode()
        key = ("try", self.request.user.pk, hashlib.sha256(values).hexdigest())
        question = partial(connections.try_out, kind, options, secrets, entered)
        return ask(key, 5.0, question, owner=self.request.team.pk, wait=WAIT_SECONDS)

    def pasted(self, text: str) -> HttpResponse:
        found = recognise(text)
        if not found.provider:
            context = self.get_context_data(pasted=text, paste_problem=found.sentence)
            return self.render_to_response(context)
        provider = provider_named(found.provider)
        form = ConnectionForm(provider, initial={"name": provider.label, **(found.initial or {})})
        for name in found.initial or {}:
            widget = form.fields[name].widget
            if isinstance(widget, PasswordInput):
                widget.render_value = True  # it was pasted here a moment ago; nothing keeps it
        missing = [n for n, field in form.fields.items() if field.required and not form.initial.get(n)]
        # a token goes nowhere before one has seen whose server it is sent to
        elsewhere = "url" in form.fields and not form.initial.get("url")
        asks = bool(found.initial) and not missing and not elsewhere
        site = provider.site_of("").partition("://")[2] if elsewhere and issubclass(provider, Forge) else ""
        return self.render_to_response(
            self.get_context_data(form=form, recognised=True, asks=asks, would_ask=site)
        )

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        form = kwargs.pop("form", None) or ConnectionForm(provider_named(self.kind))
        choices = [(one.kind, one.label, one is form.provider) for one in all_providers()]
        return super().get_context_data(
            form=form,
            kind=form.provider.kind,
            label=form.provider.label,
            credentials_page=self.credentials_page(form),
            choices=choices,
            buttons=instances(),
            apps=github_app.apps(),
            unregistered=self.unregistered(),
            public_key=self.public_key(form),
            **kwargs,
        )

    def public_key(self, form: ConnectionForm) -> str:
        """Of the key that was made here for a git server."""
        if not any(field.name == "private_key" for field in form.provider.fields):
            return ""
        return deploy_keys.public_part(self.request.session, self.request.user.pk)

    def credentials_page(self, form: ConnectionForm) -> str:
        """Where a token is made at the server of the form; "" where nobody knows."""
        provider = form.provider
        if not issubclass(provider, Forge) or not provider.credentials_page.startswith("/"):
            return getattr(provider, "credentials_page", "")
        site = provider.site_of(str(form["url"].value() or ""))
        return f"{site}{provider.credentials_page}" if is_web_address(site) else ""

    def unregistered(self) -> list[tuple[str, str, str]]:
        """Kind, label and callback address of providers whose button an administrator could turn on."""
        if not self.request.user.is_superuser:
            return []
        ready = {instance.provider.kind for instance in instances()}
        return [(p.kind, p.label, callback_of(p.kind)) for p in with_oauth() if p.kind not in ready]


@dataclass(frozen=True)
class Allowance:
    """A row of what a token may do: `needs` is the scope it asks for, `state` a key of STATES."""

    what: str
    how: str
    needs: str
    state: str
    word: str


_NEEDS: Final = {
    Need.READ: ("Read", "find repositories, fetch them, copy from them"),
    Need.WRITE: ("Copy as a commit", "push to branches that are not protected"),
    Need.PULL_REQUESTS: ("Copy as a pull request", "open and update pull requests"),
    Need.HOOKS: ("Hear pushes at once", "register webhooks"),
    Need.STATUSES: ("Tell results", "set the status of a commit"),
    Need.CREATE: ("Make repositories", "create a repository where there is none"),
}
_MAY: Final = {
    True: ("ok", "allowed"),
    False: ("degraded", "missing"),
    None: ("unknown", "known when it is tried"),
}


def allowances(identity: Identity, provider: type[Provider]) -> list[Allowance]:
    """What the token may do, need by need; empty where there is no API to ask."""
    if not issubclass(provider, Forge):
        return []
    rows = []
    for need, words in _NEEDS.items():
        state, word = _MAY[identity.may.get(need)]
        needs = provider.asks.get(need, "")
        what, how = (text.replace("pull request", provider.pull_word) for text in words)
        missing = f"missing {needs}" if state == "degraded" and needs else word
        rows.append(Allowance(what, how, needs, state, missing))
    return rows


def tested_context(answer: Answer[Tested] | None, form: ConnectionForm) -> dict[str, Any]:
    identity = answer.value.identity if answer is not None and answer.value is not None else None
    rows = allowances(identity, form.provider) if identity else []
    missing = list(dict.fromkeys(row.needs for row in rows if row.state == "degraded"))
    return {"answer": answer, "form": form, "allowances": rows, "missing": missing}


class EditConnection(OfConnection):
    """Change a connection. Stored secrets stay unless another one is entered."""

    role = Role.ADMIN
    post_role = Role.ADMIN
    template_name = "repos/connection_edit.html"

    def crumbs(self) -> Sequence[Crumb]:
        return [*super().crumbs(), Crumb("Edit")]

    def form(self, data: Any = None) -> ConnectionForm:
        connection = self.connection
        initial = {name: _as_text(value) for name, value in connection.options.items()}
        return ConnectionForm(
            provider_named(connection.provider),
            data,
            stored={row.purpose for row in connection.credentials.all()},
            proxied=bool(connection.proxy),
            initial={"name": connection.name, "ca": connection.ca, **initial},
        )

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        form = self.form(request.POST)
        if form.is_valid():
            try:
                self.change(form)
            except Failure as failure:
                add_failure(form, failure)
            else:
                forget(("test", self.connection.pk))  # what is known is of the former credential
                messages.success(request, f"{self.connection.name} is saved.")
                return redirect(f"{reverse('connection', args=[self.connection.pk])}?tested")
        return self.render_to_response(self.get_context_data(form=form), status=422)

    def change(self, form: ConnectionForm) -> None:
        connection = self.connection
        before = {name: _as_text(value) for name, value in connection.options.items()}
        # untouched options are left out: a connection of the command line keeps what only that may name
        same = {name: value.replace("\r\n", "\n") for name, value in form.options.items()} == before
        connections.update_connection(
            self.principal,
            connection,
            name=form.cleaned_data["name"],
            options=None if same else form.options,
            secrets=form.secrets,
            ca=form.ca,
            proxy=form.proxy,
        )

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        form = kwargs.pop("form", None) or self.form()
        label = form.provider.label
        return super().get_context_data(connection=self.connection, form=form, label=label, **kwargs)


def _as_text(value: object) -> str:
    return "\n".join(map(str, value)) if isinstance(value, list) else str(value)

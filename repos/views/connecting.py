"""Making and changing a connection: choose, enter, test, save; then pick repositories."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
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
from repos import access, connections, inventory, warm
from repos.beside import Answer, ask, forget
from repos.connections import Tested
from repos.forms import ConnectionForm, recognise
from repos.instances import callback_of, instances, with_oauth
from repos.inventory import Found
from repos.models import Connection
from repos.providers.registry import PROVIDERS, all_providers, provider_named
from repos.providers.types import Identity, Need
from repos.views.connections import WAIT_SECONDS, OfConnection
from repos.views.lists import repositories

LISTED: Final = 500  # found repositories on one page
LOOKED: Final = 20  # of what was just brought in, looked at beside
FRESH_SECONDS: Final = 60.0  # how long what was found counts as what is there
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
        form = ConnectionForm(provider_named(self.kind), request.POST)
        if "test" in request.POST:
            return self.tested(form)
        if form.is_valid():
            try:
                made = self.made(form)
            except Failure as failure:
                add_failure(form, failure)
            else:
                messages.success(request, f"{made.name} is stored. Now pick its repositories.")
                return redirect("connection_found", made.pk)
        return self.render_to_response(self.get_context_data(form=form), status=422)

    @property
    def kind(self) -> str:
        given = self.request.POST.get("provider") or self.request.GET.get("provider", "")
        return given if given in PROVIDERS else next(iter(PROVIDERS))

    def made(self, form: ConnectionForm) -> Connection:
        name, kind = form.cleaned_data["name"], form.provider.kind
        return connections.create_connection(
            self.principal, self.request.team, kind, name, form.options, form.secrets
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
            access.provider_for(kind, options, secrets)
        except Failure as failure:
            add_failure(form, failure)
            return None
        values = json.dumps([kind, options, secrets], sort_keys=True).encode()
        key = ("try", self.request.user.pk, hashlib.sha256(values).hexdigest())
        return ask(key, 5.0, lambda: connections.try_out(kind, options, secrets), wait=WAIT_SECONDS)

    def pasted(self, text: str) -> HttpResponse:
        found = recognise(text)
        if not found.provider:
            context = self.get_context_data(pasted=text, paste_problem=found.sentence)
            return self.render_to_response(context)
        form = ConnectionForm(provider_named(found.provider), initial=found.initial)
        for name in found.initial or {}:
            widget = form.fields[name].widget
            if isinstance(widget, PasswordInput):
                widget.render_value = True  # it was pasted here a moment ago; nothing keeps it
        return self.render_to_response(self.get_context_data(form=form, recognised=True))

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        form = kwargs.pop("form", None) or ConnectionForm(provider_named(self.kind))
        choices = [(one.kind, one.label, one is form.provider) for one in all_providers()]
        return super().get_context_data(
            form=form,
            kind=form.provider.kind,
            label=form.provider.label,
            choices=choices,
            buttons=instances(),
            unregistered=self.unregistered(),
            **kwargs,
        )

    def unregistered(self) -> list[tuple[str, str, str]]:
        """Kind, label and callback address of providers whose button an administrator could turn on."""
        if not self.request.user.is_superuser:
            return []
        ready = {instance.provider.kind for instance in instances()}
        return [(p.kind, p.label, callback_of(p.kind)) for p in with_oauth() if p.kind not in ready]


@dataclass(frozen=True)
class Allowance:
    """A row of what a token may do; `state` is a key of STATES."""

    what: str
    how: str
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
    None: ("unknown", "not told by the server"),
}


def allowances(identity: Identity) -> list[Allowance]:
    """What the token may do, need by need; empty where there is no API to ask."""
    if identity.scopes is None and not identity.may:
        return []
    return [Allowance(*words, *_MAY[identity.may.get(need)]) for need, words in _NEEDS.items()]


def tested_context(answer: Answer[Tested] | None, form: ConnectionForm) -> dict[str, Any]:
    identity = answer.value.identity if answer is not None and answer.value is not None else None
    return {"answer": answer, "form": form, "allowances": allowances(identity) if identity else []}


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
            initial={"name": connection.name, **initial},
        )

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        form = self.form(request.POST)
        if form.is_valid():
            try:
                self.change(form)
            except Failure as failure:
                add_failure(form, failure)
            else:
                messages.success(request, f"{self.connection.name} is saved. Test it to see that it works.")
                return self.back()
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
        )

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        form = kwargs.pop("form", None) or self.form()
        label = form.provider.label
        return super().get_context_data(connection=self.connection, form=form, label=label, **kwargs)


def _as_text(value: object) -> str:
    return "\n".join(map(str, value)) if isinstance(value, list) else str(value)


# --- what a connection sees ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """What the connection sees: `rows` of at most `LISTED`, `new` of which can be brought in."""

    answer: Answer[list[Found]]
    rows: Sequence[Found] = ()
    total: int = 0
    matching: int = 0
    new: int = 0


class FoundPage(OfConnection):
    """Everything the connection sees, to be picked from. The list is a part that is asked for later."""

    post_role = Role.OPERATOR
    template_name = "repos/found.html"

    def crumbs(self) -> Sequence[Crumb]:
        return [*super().crumbs(), Crumb("Repositories")]

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if "again" in request.GET:
            forget(self.key)
            return redirect("connection_found", self.connection.pk)
        if request.headers.get("HX-Request") == "true":
            return render(request, "repos/_found.html", self.part(PART_SECONDS))
        return super().get(request, *args, **kwargs)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Bring in what was picked, or everything."""
        everything = "all" in request.POST
        picked = None if everything else request.POST.getlist("id")
        if picked == []:
            messages.warning(request, "Nothing was picked. Tick a repository, or import all.")
            return redirect("connection_found", self.connection.pk)
        answer = self.ask(WAIT_SECONDS)
        if answer.value is None:
            said = answer.sentence or f"{self.connection.name} has not answered yet. Try again in a moment."
            messages.error(request, said)
            return redirect("connection_found", self.connection.pk)
        try:
            brought = inventory.import_repositories(
                self.principal, self.connection, picked, found=answer.value
            )
        except Failure as failure:
            messages.error(request, failure.sentence)
            return redirect("connection_found", self.connection.pk)
        forget(self.key)
        for repository in brought[:LOOKED]:
            warm.refs(repository)
        messages.success(request, f"{repositories(len(brought))} brought in. Nothing starts by itself.")
        return redirect(f"{reverse('connection', args=[self.connection.pk])}?imported")

    @property
    def key(self) -> tuple[object, ...]:
        return ("found", self.connection.pk)

    def ask(self, wait: float) -> Answer[list[Found]]:
        connection = self.connection
        return ask(self.key, FRESH_SECONDS, lambda: inventory.discover(connection), wait=wait)

    def seen(self, wait: float) -> Seen:
        answer = self.ask(wait)
        found = answer.value or []
        words = self.request.GET.get("q", "").lower().split()
        chosen = [one for one in found if all(word in one.remote.full_name.lower() for word in words)]
        new = sum(1 for one in found if one.known is None and one.remote.usable)
        return Seen(answer, chosen[:LISTED], len(found), len(chosen), new)

    def part(self, wait: float) -> dict[str, Any]:
        return {
            "connection": self.connection,
            "seen": self.seen(wait),
            "query": self.request.GET.get("q", ""),
            "may": self.principal.may(Role.OPERATOR, self.request.team.pk),
        }

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Without a script `?wait` gives the list in the page itself."""
        waiting = "wait" in self.request.GET or "q" in self.request.GET
        part = self.part(PART_SECONDS) if waiting else {"connection": self.connection}
        return super().get_context_data(**part, **kwargs)

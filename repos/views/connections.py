"""Connections: all of them, one of them, and what may be done with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from django.contrib import messages
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from opssight.accounts.models import Role
from opssight.core.errors import Failure
from opssight.web import registry
from opssight.web.formats import format_ago
from opssight.web.parts import Action, Crumb, Fact, Point, Teach
from opssight.web.views import TeamPage, one_or_404
from repos import connections, selectors
from repos.beside import Answer, ask, forget
from repos.connections import Tested
from repos.health import Life, ending_sentence, life_of
from repos.limits import limits_of
from repos.models import Connection, Repository
from repos.network import shown
from repos.providers.registry import provider_named
from repos.providers.types import Capability
from repos.reconnect import button_places, mend
from repos.views.lists import health_of, page_of, repositories, trouble_of
from repos.webhook_status import standing

KEPT_SECONDS: Final = 600.0  # how long the steps of a test can be looked at
WAIT_SECONDS: Final = 20.0  # how long a test or a look may hold a request
SORTS: Final[dict[str, tuple[Any, ...]]] = {
    "name": ("name", "id"),
    "-name": ("-name", "-id"),
    "repositories": ("repository_count", "name"),
    "-repositories": ("-repository_count", "name"),
    "ok": (F("last_ok_at").asc(nulls_first=True), "name"),
    "-ok": (F("last_ok_at").desc(nulls_last=True), "name"),
}


def teach(may: bool) -> Teach:
    """What a connection is, and the way to the first one."""
    add = Action(
        "Connect a forge, a git server or a folder", reverse("connection_new"), icon="plus", kind="primary"
    )
    return Teach(
        "Everything starts with a connection",
        "A connection is where your repositories are: a git server, or a folder of this machine. "
        "OpsSight lists what is there; nothing starts by itself.",
        (add,) if may else (),
        points=(
            Point("See before you save", "A test shows who you are there and what it sees.", "eye"),
            Point(
                "Your secrets stay yours",
                "Stored encrypted, sent to no other server, never shown again.",
                "lock",
            ),
            Point("Health that is measured", "When a server refuses, you hear what hangs on it.", "watch"),
        ),
        command="opssight connection add",
    )


@dataclass(frozen=True)
class ConnectionRow:
    connection: Connection
    state: str
    word: str


class ConnectionsPage(TeamPage):
    """All connections of the team with their health."""

    template_name = "repos/connections.html"

    def crumbs(self) -> Sequence[Crumb]:
        return [Crumb("Connections")]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        rows = selectors.connections(self.principal).filter(team=self.request.team)
        order = SORTS.get(self.request.GET.get("sort", ""), SORTS["name"])
        page = page_of(self.request, rows.order_by(*order))
        may = self.principal.may(Role.ADMIN, self.request.team.pk)
        return super().get_context_data(
            page=page,
            rows=[ConnectionRow(connection, *health_of(connection)) for connection in page.object_list],
            may=may,
            teach=teach(may) if page.paginator.count == 0 else None,
            **kwargs,
        )


class OfConnection(TeamPage):
    """A page of one connection of the team."""

    @cached_property
    def connection(self) -> Connection:
        rows = selectors.connections(self.principal).filter(team=self.request.team)
        return one_or_404(rows, pk=self.kwargs["connection_id"])

    def crumbs(self) -> Sequence[Crumb]:
        page = reverse("connection", args=[self.connection.pk])
        return [Crumb("Connections", reverse("connections")), Crumb(self.connection.name, page)]

    def back(self) -> HttpResponse:
        return redirect("connection", self.connection.pk)


class ConnectionPage(OfConnection):
    """One connection: its health, what was imported, what to do next."""

    template_name = "repos/connection.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        tested = self.tested() if "tested" in self.request.GET else None  # first: it tells how the row is
        state, word = health_of(self.connection)
        rows = selectors.repositories(self.principal, state="all", connection=str(self.connection.pk))
        may_admin = self.principal.may(Role.ADMIN, self.request.team.pk)
        life = life_of(self.connection)
        return super().get_context_data(
            connection=self.connection,
            label=provider_named(self.connection.provider).label,
            state=state,
            word=word,
            facts=self.facts(),
            newest=rows.filter(team=self.request.team).order_by("-id")[:10],
            number=self.connection.repository_count,  # type: ignore[attr-defined]
            hanging=connections.what_hangs_on(self.connection) if may_admin else [],
            may=self.principal.may(Role.OPERATOR, self.request.team.pk),
            may_admin=may_admin,
            next_steps=self.next_steps() if "imported" in self.request.GET else [],
            mend=mend(self.connection, button_places()) if may_admin and self.needs_mending else None,
            ending=ending_sentence(life.ends_at) if life.ends_soon and life.ends_at else "",
            tested=tested,
            hooks=standing(self.connection),
            **limits_context(self.connection),
            **kwargs,
        )

    def facts(self) -> list[Fact]:
        connection = self.connection
        provider = provider_named(connection.provider)
        found = [Fact("Kind", provider.label, provider=connection.provider)]
        if connection.account:
            found.append(Fact("You are", connection.account))
        for field in provider.fields:
            value = connection.options.get(field.name)
            if not field.is_secret and value:
                found.append(Fact(field.label, _shown(value)))
        stored = {row.purpose for row in connection.credentials.all()}
        found += [Fact(f.label, "stored, encrypted") for f in provider.fields if f.name in stored]
        found += _life_facts(life_of(connection))
        if connection.ca:
            found.append(Fact("Authority", "its own certificates"))
        if connection.proxy:
            found.append(Fact("Proxy", shown(connection.proxy)))
        found.append(Fact("Last reached", format_ago(connection.last_ok_at)))
        found.append(Fact("Last asked", format_ago(connection.checked_at)))
        if connection.error_class:
            found.append(Fact("Last trouble", trouble_of(connection)))
        if connection.local:
            found.append(Fact("Made", "on the command line of this machine"))
        return found

    @property
    def needs_mending(self) -> bool:
        return self.connection.dead or life_of(self.connection).ends_soon

    def tested(self) -> Answer[Tested] | None:
        """The test that was asked for a moment ago, step by step; asked again where it is not known."""
        if not self.principal.may(Role.OPERATOR, self.request.team.pk):
            return None
        answer = ask_test(self.connection, KEPT_SECONDS)
        self.connection.refresh_from_db()
        return answer

    def next_steps(self) -> list[registry.NextStep]:
        found = [step for steps in registry.next_steps for step in steps(self.principal, self.request.team)]
        lists = Capability.LIST in provider_named(self.connection.provider).capabilities
        if lists and not self.connection.import_rules.exists():
            found.append(self.always())
        return found

    def always(self) -> registry.NextStep:
        """New repositories come by themselves, once a rule says which."""
        page = reverse("connection_found", args=[self.connection.pk])
        text = "Narrow the list to what belongs here; new repositories that fit are imported from then on."
        return registry.NextStep(
            "filter",
            "Import new ones by themselves",
            text,
            Action("Choose which", f"{page}?archived=no", icon="filter"),
        )


def _life_facts(life: Life) -> list[Fact]:
    if life.ends_at is None:
        return []
    if life.renews_at is None:
        return [Fact("Token ends", format_ago(life.ends_at), "warning" if life.ends_soon else "")]
    renewed = f"last {format_ago(life.renewed_at)}" if life.renewed_at else ""
    return [Fact("Token renewed", format_ago(life.renews_at), note=renewed)]


def limits_context(connection: Connection) -> dict[str, Any]:
    capabilities = provider_named(connection.provider).capabilities
    return {
        "limits": limits_of(connection),
        "tells_limits": Capability.RATE_LIMITS in capabilities,
        "shows_limits": Capability.RATE_LIMITS in capabilities or Capability.SEARCH in capabilities,
    }


def ask_test(connection: Connection, fresh: float) -> Answer[Tested]:
    """What a test finds that is younger than `fresh` seconds; waited for, but not for long."""
    key, owner = ("test", connection.pk), connection.team_id
    return ask(key, fresh, lambda: connections.test_connection(connection), owner=owner, wait=WAIT_SECONDS)


def _shown(value: object) -> str:
    if isinstance(value, list):
        first = str(value[0])
        return first if len(value) == 1 else f"{first} and {len(value) - 1} more"
    return str(value)


class TestConnection(OfConnection):
    """Ask the provider now. The answer is waited for, but not for long."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        connection = self.connection
        forget(("test", connection.pk))
        answer = ask_test(connection, 0.0)
        if answer.value is not None and answer.value.ok:
            messages.success(request, f"{connection.name} works. {' '.join(answer.value.sentences)}")
        elif answer.pending:
            messages.warning(
                request, f"{connection.name} has not answered yet. Its health follows when it does."
            )
        else:
            said = answer.value.sentences if answer.value else [answer.sentence]
            messages.error(request, f"{connection.name}: {' '.join(said)}")
        return redirect(f"{reverse('connection', args=[connection.pk])}?tested")


class DeleteConnection(OfConnection):
    http_method_names = ["post"]
    post_role = Role.ADMIN

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        connection = self.connection
        number = Repository.objects.filter(connection=connection).count()
        try:
            stay = connections.delete_connection(self.principal, connection, with_everything=True)
        except Failure as failure:
            messages.error(request, failure.sentence)
            return self.back()
        gone = f" with {repositories(number)} here" if number else ""
        messages.success(request, f"{connection.name} is deleted{gone}.{connections.what_stays(stay)}")
        return redirect("connections")

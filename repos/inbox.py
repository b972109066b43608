"""What the repos room puts on every page and into the inbox: what is in trouble, what is proved."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from typing import Final

from django.db.models import (
    Case,
    Count,
    Exists,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Now
from django.urls import reverse
from django.utils.html import format_html

from opssight.accounts.models import Role, Team
from opssight.accounts.scope import Principal, visible_to
from opssight.core.clock import now
from opssight.core.ids import first_id
from opssight.core.words import count, join_words
from opssight.web import registry
from opssight.web.formats import format_ago
from opssight.web.parts import Action, Need
from opssight.web.registry import NavEntry, NextStep, Proof
from repos import health, selectors
from repos.models import DEAD_STATES, Connection, Credential, Delivery, Repository, Webhook
from repos.reconnect import STATE_KEYS, Place, button_places, mend
from repos.tokens import REFRESH, TOKEN

LISTED: Final = 20  # lines of one sort; the lists have the rest
NAMED: Final = 3  # repositories that a line names
LOOK_BACK: Final = dt.timedelta(days=1)  # for deliveries that were refused
FRESH: Final = dt.timedelta(hours=24)  # a connection that answered within this time counts as proved


def register() -> None:
    registry.register_nav(
        NavEntry(
            "", 10, "Repositories", "repositories", "repository", ("repositories",),
            count=_repository_count, short="Repos",
        ),
        NavEntry("Setup", 10, "Connections", "connections", "link", ("connections",), _connection_count),
        NavEntry("Setup", 20, "Deliveries", "deliveries", "inbox", ("deliveries", "webhooks")),
    )  # fmt: skip
    registry.needs.append(needs)
    registry.proofs.append(proof)
    registry.next_steps.append(next_steps)


def _repository_count(team: Team) -> int:
    return Repository.objects.filter(team=team).exclude(state=Repository.State.IGNORED).count()


def _connection_count(team: Team) -> int:
    return Connection.objects.filter(team=team).count()


def needs(principal: Principal, team: Team) -> Sequence[Need]:
    """Costliest first. Five queries, however much there is."""
    may = principal.may(Role.OPERATOR, team.pk)
    return [
        *_connections(principal, team),
        *_errors(principal, team, may),
        *_lost(principal, team),
        *_refused(principal, team),
    ]


# --- connections --------------------------------------------------------------------------------------


def _connections(principal: Principal, team: Team) -> list[Need]:
    """Those that are not well, and those whose token ends soon; what stands still first."""
    rows = selectors.connections(principal).filter(team=team).annotate(ends_at=_ends_at())
    rank = Case(
        When(state__in=DEAD_STATES, then=Value(0)),
        When(state=Connection.State.DEGRADED, then=Value(1)),
        When(ends_at__lt=now() + health.SOON, then=Value(2)),
        output_field=IntegerField(),
    )
    found = list(rows.annotate(rank=rank).filter(rank__isnull=False).order_by("rank", "name")[:LISTED])
    buttons = button_places() if found else frozenset()
    return [_connection(principal, connection, buttons) for connection in found]


def _ends_at() -> Subquery:
    """When the token of a connection ends for good."""
    renewed = Credential.objects.filter(connection=OuterRef("connection"), purpose=REFRESH)
    tokens = Credential.objects.filter(connection=OuterRef("pk"), purpose=TOKEN, expires_at__isnull=False)
    tokens = tokens.filter(~Exists(renewed), connection__installation_id="")
    return Subquery(tokens.values("expires_at")[:1])


def _connection(principal: Principal, connection: Connection, buttons: Collection[Place]) -> Need:
    number = connection.repository_count  # type: ignore[attr-defined]
    held = f"{count(number, 'repository', 'repositories')} of it" if number else "no repository of it yet"
    reached = (
        f"last reached {format_ago(connection.last_ok_at)}" if connection.last_ok_at else "never reached"
    )
    ends_at: dt.datetime | None = connection.ends_at  # type: ignore[attr-defined]
    if connection.dead:
        state, harm, detail = (
            STATE_KEYS[Connection.State(connection.state)],
            "Standing still:",
            f"{held}, {reached}.",
        )
    elif connection.state == Connection.State.DEGRADED:
        state, harm, detail = "degraded", "Not sure:", f"{held}, {reached}."
    else:
        state, harm, detail = "warning", "Losing then:", f"{held}."
    fallback = health.ending_sentence(ends_at) if ends_at and state == "warning" else "It does not answer."
    return Need(
        state=state,
        sentence=format_html("<b>{}</b>: {}", connection.name, connection.sentence or fallback),
        harm=harm,
        detail=detail,
        action=_action(principal, connection, buttons, test=state == "degraded"),
        at=connection.checked_at,
    )


def _action(
    principal: Principal, connection: Connection, buttons: Collection[Place], *, test: bool
) -> Action:
    if test and principal.may(Role.OPERATOR, connection.team_id):
        url = reverse("connection_test", args=[connection.pk])
        return Action("Test again", url, "retry", method="post")
    if not test and principal.may(Role.ADMIN, connection.team_id):
        return mend(connection, buttons)
    return Action("See what it answered", reverse("connection", args=[connection.pk]))


# --- repositories -------------------------------------------------------------------------------------


def _lost(principal: Principal, team: Team) -> list[Need]:
    """Repositories that cannot be used, in one line."""
    rows = visible_to(Repository.objects.all(), principal).filter(team=team)
    rows = rows.filter(unusable()).order_by("full_name")
    number, names = rows.count(), list(rows.values_list("full_name", flat=True)[:NAMED])
    if not names:
        return []
    more = [f"{number - NAMED} more"] if number > NAMED else []
    return [
        Need(
            "unreadable",
            f"{count(number, 'repository', 'repositories')} cannot be used.",
            "Out of reach:",
            f"{join_words([*names, *more])}. Jobs that need them fail.",
            Action("See why", f"{reverse('repositories')}?state=unusable"),
        )
    ]


def unusable() -> Q:
    """Repositories that are wanted and cannot be used."""
    active = Repository.State.ACTIVE
    return Q(state__in=[Repository.State.LOST_ACCESS, Repository.State.GONE]) | (
        Q(state=active) & ~Q(state_reason="")
    )


# --- deliveries ---------------------------------------------------------------------------------------


def _errors(principal: Principal, team: Team, may: bool) -> list[Need]:
    """Deliveries that were stored but not acted on, until they are replayed."""
    again = Delivery.objects.filter(replay_of=OuterRef("pk"))
    rows = selectors.deliveries(principal, verdict=Delivery.Verdict.ERROR)
    rows = rows.filter(team=team, pk__gte=first_id(now() - 7 * LOOK_BACK)).exclude(Exists(again))
    return [_error(delivery, may) for delivery in rows[:LISTED]]


def _error(delivery: Delivery, may: bool) -> Need:
    page = reverse("delivery", args=[delivery.pk])
    replay = Action("Replay", reverse("delivery_replay", args=[delivery.pk]), "retry", method="post")
    where = delivery.repository.full_name if delivery.repository else delivery.webhook.name
    return Need(
        "error",
        format_html(
            "A {} of <b>{}</b> was stored, but acting on it failed.", delivery.event or "delivery", where
        ),
        "Not done:",
        "what it should have started has not run.",
        replay if may else Action("Look at it", page),
        at=delivery.received_at,
    )


def _refused(principal: Principal, team: Team) -> list[Need]:
    """Webhooks to which only deliveries that are not authentic came lately: the secret is wrong."""
    return [_refused_by(hook) for hook in refusing(principal, team)[:LISTED]]


def refusing(principal: Principal, team: Team) -> QuerySet[Webhook]:
    """Webhooks whose newest delivery of the last day was not authentic.

    With `refused` (how many of that day were not) and `refused_at` (the newest).
    """
    lately = Delivery.objects.filter(webhook=OuterRef("pk"), received_at__gte=Now() - LOOK_BACK)
    newest = lately.order_by("-id")
    refused = lately.filter(verdict=Delivery.Verdict.UNAUTHENTIC).order_by().values("webhook")
    rows: QuerySet[Webhook] = selectors.webhooks(principal).filter(team=team, state=Webhook.State.ACTIVE)
    return (
        rows.annotate(newest=Subquery(newest.values("verdict")[:1]))
        .filter(newest=Delivery.Verdict.UNAUTHENTIC)
        .annotate(
            refused=Subquery(refused.annotate(n=Count("pk")).values("n")),
            refused_at=Subquery(newest.values("received_at")[:1]),
        )
        .order_by("-refused_at")
    )


def _refused_by(hook: Webhook) -> Need:
    number = hook.refused  # type: ignore[attr-defined]
    return Need(
        "unauthentic",
        format_html("{} to <b>{}</b> could not be trusted.", count(number, "delivery", "deliveries"), hook),
        "Not heard:",
        "it was refused, so what was pushed there starts nothing.",
        Action("See why", reverse("webhook", args=[hook.pk]), "key"),
        at=hook.refused_at,  # type: ignore[attr-defined]
    )


# --- what is fine, and what to do next -----------------------------------------------------------------


def proof(principal: Principal, team: Team) -> Proof | None:
    """How many connections answered lately. None when none did."""
    rows = visible_to(Connection.objects.all(), principal).filter(team=team)
    fine = Q(state=Connection.State.OK, last_ok_at__gte=Now() - FRESH)
    counts = rows.aggregate(all=Count("pk"), fine=Count("pk", filter=fine))
    if not counts["fine"]:
        return None
    text = f"{counts['fine']} of {count(counts['all'], 'connection')} answered within 24 h"
    return Proof("", text, url=reverse("connections"))


def next_steps(principal: Principal, team: Team) -> Sequence[NextStep]:
    """Hearing of pushes at once, for who may set that up."""
    if not principal.may(Role.ADMIN, team.pk):
        return ()
    return (
        NextStep(
            "bolt",
            "Hear pushes at once",
            "A webhook tells of a push within a second. Without one, jobs look every few minutes.",
            Action("Add a webhook", reverse("webhook_new"), icon="plus"),
        ),
    )

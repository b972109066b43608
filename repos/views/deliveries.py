"""Deliveries: what arrived at the webhooks, how it was judged, what it caused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from opssight.accounts.models import Role
from opssight.accounts.scope import Principal
from opssight.core.errors import Failure
from opssight.web import registry
from opssight.web.formats import format_bytes, format_exact
from opssight.web.parts import Action, Choice, Crumb, Entry, Fact, Point, Teach
from opssight.web.views import TeamPage, one_or_404
from repos import receiving, selectors
from repos.models import Delivery, Repository, Webhook
from repos.views.lists import address_with, id_in, page_of

SHOWN: Final = 64_000  # characters of a payload
INDENTED: Final = 1_000_000  # bytes; what is larger is not taken apart while somebody waits
SORTS: Final = {
    "received": ("id",),
    "-received": ("-id",),
    "duplicates": ("duplicates", "-id"),
    "-duplicates": ("-duplicates", "-id"),
}
VERDICTS: Final = (
    ("All", ""),
    ("Accepted", Delivery.Verdict.ACCEPTED),
    ("Not acted on", Delivery.Verdict.ERROR),
    ("Not authentic", Delivery.Verdict.UNAUTHENTIC),
)
_REPLAYABLE: Final = (Delivery.Verdict.ACCEPTED, Delivery.Verdict.IGNORED, Delivery.Verdict.ERROR)
TEACH_POINTS: Final = (
    Point("Signed, or not taken", "Each delivery is checked with the secret of its webhook.", "lock"),
    Point("Stored before it is acted on", "A crash loses nothing; replay it when you like.", "inbox"),
    Point("Every effect has a cause", "From a delivery to its runs, and from a run back.", "link"),
)


@dataclass(frozen=True)
class DeliveryRow:
    delivery: Delivery
    effects: Sequence[Entry]


def effects_of(principal: Principal, ids: Sequence[UUID]) -> dict[UUID, list[Entry]]:
    """What deliveries caused, over all rooms."""
    found: dict[UUID, list[Entry]] = {}
    for effects in registry.delivery_effects:
        for delivery_id, entries in effects(principal, ids).items():
            found.setdefault(delivery_id, []).extend(entries)
    return found


def rows_of(principal: Principal, deliveries: Sequence[Delivery]) -> list[DeliveryRow]:
    caused = effects_of(principal, [delivery.pk for delivery in deliveries])
    return [DeliveryRow(delivery, caused.get(delivery.pk, ())) for delivery in deliveries]


def section_tabs(current: str) -> list[Choice]:
    names = (("Deliveries", "deliveries"), ("Webhooks", "webhooks"))
    return [Choice(label, reverse(name), name == current) for label, name in names]


class DeliveriesPage(TeamPage):
    """Newest first; filter by verdict, event, webhook and repository."""

    template_name = "repos/deliveries.html"

    def crumbs(self) -> Sequence[Crumb]:
        return [Crumb("Deliveries")]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        given = self.request.GET
        chosen = {name: given.get(name, "").strip()[:200] for name in ("verdict", "event", "q")}
        chosen["webhook"] = id_in(given.get("webhook", ""))
        rows = self.rows(**chosen).order_by(*SORTS.get(given.get("sort", ""), SORTS["-received"]))
        page = page_of(self.request, rows)
        empty = page.paginator.count == 0 and not any(chosen.values())
        hooks = list(selectors.webhooks(self.principal).filter(team=self.request.team))
        return super().get_context_data(
            page=page,
            rows=rows_of(self.principal, list(page.object_list)),
            chosen=chosen,
            verdicts=self.verdicts(chosen["verdict"]),
            without_event=address_with(self.request, event=None),
            hooks=hooks,
            tabs=section_tabs("deliveries"),
            teach=self.teach(hooks) if empty else None,
            **kwargs,
        )

    def rows(self, *, verdict: str, event: str, q: str, webhook: str) -> QuerySet[Delivery]:
        rows = selectors.deliveries(self.principal, verdict=verdict, event=event, webhook=webhook)
        rows = rows.filter(team=self.request.team)
        for word in q.split():
            rows = rows.filter(repository__full_name__icontains=word)
        return rows

    def verdicts(self, verdict: str) -> list[Choice]:
        choices = list(VERDICTS)
        if verdict in Delivery.Verdict.values and verdict not in {key for _, key in choices}:
            choices.append((Delivery.Verdict(verdict).label.capitalize(), verdict))
        return [
            Choice(word, address_with(self.request, verdict=key), key == verdict) for word, key in choices
        ]

    def teach(self, hooks: Sequence[Webhook]) -> Teach:
        if hooks:
            go = Action("See the webhooks", reverse("webhooks"), icon="bolt", kind="primary")
            text = "The webhooks are ready and nothing has arrived yet. Send a test from one of them."
            return Teach("Nothing has been delivered yet", text, (go,), points=TEACH_POINTS)
        may = self.principal.may(Role.ADMIN, self.request.team.pk)
        add = Action("Add a webhook", reverse("webhook_new"), icon="plus", kind="primary")
        return Teach(
            "Hear of a push within a second",
            "A webhook is an address that your git server calls after each push. Without one, jobs look "
            "every few minutes.",
            (add,) if may else (),
            points=TEACH_POINTS,
            command="opssight hook add",
        )


class OfDelivery(TeamPage):
    @cached_property
    def delivery(self) -> Delivery:
        rows = selectors.deliveries(self.principal).filter(team=self.request.team)
        rows = rows.select_related("webhook", "repository", "team", "replay_of")
        return one_or_404(rows, pk=self.kwargs["delivery_id"])

    def crumbs(self) -> Sequence[Crumb]:
        return [Crumb("Deliveries", reverse("deliveries")), Crumb(f"Delivery {self.delivery.pk.hex[-4:]}")]


class DeliveryPage(OfDelivery):
    """One delivery: its verdict, what it caused, what it said."""

    template_name = "repos/delivery.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        delivery = self.delivery
        may = self.principal.may(Role.OPERATOR, self.request.team.pk)
        replays = selectors.deliveries(self.principal).filter(team=self.request.team, replay_of=delivery)
        payload = payload_of(delivery)
        return super().get_context_data(
            delivery=delivery,
            short=delivery.pk.hex[-4:],
            headline=_headline(delivery),
            nothing=_NOTHING[Delivery.Verdict(delivery.verdict)],
            effects=effects_of(self.principal, [delivery.pk]).get(delivery.pk, []),
            replays=list(replays[:10]),
            payload=payload,
            facts=_facts(delivery),
            headers=sorted(delivery.headers.items()),
            may_replay=may and delivery.verdict in _REPLAYABLE and payload.kept,
            **kwargs,
        )


_NOTHING: Final = {
    Delivery.Verdict.ACCEPTED: "Nothing: no job waits for this event of this repository.",
    Delivery.Verdict.DUPLICATE: "Nothing: the first of them did.",
    Delivery.Verdict.IGNORED: "Nothing: it asks for nothing that is done here.",
    Delivery.Verdict.UNAUTHENTIC: "Nothing: it was not trusted.",
    Delivery.Verdict.UNREADABLE: "Nothing: it made no sense.",
    Delivery.Verdict.ERROR: "Nothing: acting on it failed.",
}


def _headline(delivery: Delivery) -> str:
    """What arrived, about what, in one line."""
    what = f"A {delivery.event} event" if delivery.event else "A delivery"
    return f"{what} of {delivery.repository.full_name}" if delivery.repository else what


@dataclass(frozen=True)
class Payload:
    """The body as text, indented where it is JSON; `sentence` says why there is none or not all of it."""

    text: str = ""
    sentence: str = ""
    kept: bool = True


def payload_of(delivery: Delivery) -> Payload:
    try:
        body = receiving.body_of(delivery)
    except Failure as failure:
        if delivery.verdict in (Delivery.Verdict.UNAUTHENTIC, Delivery.Verdict.DUPLICATE):
            sentence = f"The body of a delivery that is {delivery.get_verdict_display()} is not kept."
            return Payload(sentence=sentence, kept=False)
        return Payload(sentence=failure.sentence, kept=False)
    text = _indented(body)
    shown = "".join(map(_visible, text[:SHOWN]))
    if len(text) <= SHOWN:
        return Payload(shown)
    return Payload(shown, f"This is its beginning; it has {format_bytes(len(body))}.")


def _indented(body: bytes) -> str:
    if len(body) > INDENTED:
        return body[:INDENTED].decode("utf-8", "replace")
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")


def _visible(char: str) -> str:
    """The character; one without a shape (a direction mark, a control character) as its number."""
    if char.isprintable() or char in "\n\t":
        return char
    return "" if char == "\r" else f"\\u{ord(char):04x}"


def _facts(delivery: Delivery) -> list[Fact]:
    hook = Action(str(delivery.webhook), reverse("webhook", args=[delivery.webhook_id]))
    found = [
        Fact("Webhook", "", link=hook),
        Fact("Event", delivery.event or "not named"),
        Fact("Understood as", ", ".join(delivery.events) or "nothing that is acted on"),
        Fact("Received", format_exact(delivery.received_at)),
        Fact("Size", format_bytes(delivery.body_bytes)),
    ]
    if delivery.repository:
        page = reverse("repository", args=[delivery.repository_id])
        found.insert(1, Fact("Repository", "", link=Action(delivery.repository.full_name, page)))
    if delivery.duplicates:
        again = "once" if delivery.duplicates == 1 else f"{delivery.duplicates:,} times"
        found.append(Fact("Came again", f"{again}, and was not acted on twice"))
    if delivery.replay_of_id:
        page = reverse("delivery", args=[delivery.replay_of_id])
        found.append(Fact("Replay of", "", link=Action(f"delivery {delivery.replay_of_id.hex[-4:]}", page)))
    return found


class ReplayDelivery(OfDelivery):
    """Act on it once more, as a new delivery."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            again = receiving.replay(self.principal, self.delivery)
        except Failure as failure:
            messages.error(request, failure.sentence)
            return redirect("delivery", self.delivery.pk)
        if _was_told(again):
            messages.success(request, "Replayed. What it starts is listed here.")
        else:
            messages.warning(request, again.sentence)
        return redirect("delivery", again.pk)


def _was_told(delivery: Delivery) -> bool:
    """Whether somebody here hears of it; else its sentence says why not."""
    if delivery.verdict != Delivery.Verdict.ACCEPTED:
        return False
    ignored = delivery.repository is None or delivery.repository.state == Repository.State.IGNORED
    return not (delivery.sentence and ignored)

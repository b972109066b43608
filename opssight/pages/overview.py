"""The overview: what needs somebody, what is proved, what happened today, how far the work is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.urls import reverse

from opssight.accounts.models import Role, Team
from opssight.accounts.scope import Principal
from opssight.core.words import join_words
from opssight.pages.activity import activity, trends
from opssight.web import registry
from opssight.web.parts import Action, Choice, Crumb, Need, Point, Protection, Teach
from opssight.web.registry import NextStep, Proof
from opssight.web.states import look_of
from opssight.web.views import TeamPage
from repos.models import Connection, Repository
from syncs.engine.kinds import all_kinds

_RANK: Final = {"bad": 0, "hold": 1, "warn": 2}  # by what is lost while one waits
_NUMBERS: Final = ("Nothing", "One thing", "Two things", "Three things", "Four things", "Five things")


class OverviewPage(TeamPage):
    """The page one starts on. A new installation is told where to begin."""

    template_name = "overview/overview.html"

    def crumbs(self) -> Sequence[Crumb]:
        return [Crumb("Overview")]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        team = self.request.team
        begin = beginning(self.principal, team)
        if begin is not None:
            return super().get_context_data(teach=begin, **kwargs)
        needs = needs_of(self.principal, team)
        days = 7 if self.request.GET.get("days") == "7" else 1
        found = activity(self.principal, team, days)
        return super().get_context_data(
            needs=needs,
            how_many=f"{_number(len(needs))}, the costliest first." if needs else "",
            proof=proof_of(self.principal, team, bool(needs)),
            activity=found,
            windows=[Choice("Today", reverse("overview"), days == 1), Choice("7 days", "?days=7", days == 7)],
            protections=protections_of(self.principal, team),
            repositories=Repository.objects.filter(team=team).exclude(state=Repository.State.IGNORED).count(),
            trends=trends(self.principal, team),
            next_steps=next_steps_of(self.principal, team) if not found.lanes else [],
            **kwargs,
        )


def needs_of(principal: Principal, team: Team) -> list[Need]:
    """The inbox over all rooms, the costliest first; within a tone in the order of the rooms."""
    found = [need for needs in registry.needs for need in needs(principal, team)]
    return sorted(found, key=lambda need: _RANK.get(look_of(need.state).tone, 3))


def need_count(principal: Principal, team: Team) -> int:
    """The number beside "Overview", on every page: a few indexed queries, the same whatever there is."""
    return sum(len(needs(principal, team)) for needs in registry.needs)


def _number(number: int) -> str:
    return _NUMBERS[number] if number < len(_NUMBERS) else f"{number} things"


def proof_of(principal: Principal, team: Team, needs: bool) -> Proof | None:
    """What was measured, in one line; None when nothing was."""
    proofs = [proof for of in registry.proofs if (proof := of(principal, team)) is not None]
    if not proofs:
        return None
    lead = "What is proved:" if needs else "Nothing needs you."
    return Proof(lead, f"{'; '.join(proof.text for proof in proofs)}.", url=proofs[-1].url)


def protections_of(principal: Principal, team: Team) -> list[Protection]:
    return [found for of in registry.protections if (found := of(principal, team)) is not None]


def next_steps_of(principal: Principal, team: Team) -> list[NextStep]:
    return [step for of in registry.next_steps for step in of(principal, team)]


def beginning(principal: Principal, team: Team) -> Teach | None:
    """Where to begin while there is no connection or nothing of it was imported; None after that."""
    if Repository.objects.filter(team=team).exists():
        return None
    connection = Connection.objects.filter(team=team).order_by("-last_ok_at", "name").first()
    if connection is not None:
        action = Action(
            f"Pick repositories of {connection.name}",
            reverse("connection_found", args=[connection.pk]),
            icon="repository",
            kind="primary",
        )
        return _teach("One more step: pick what belongs here", action)
    if not principal.may(Role.ADMIN, team.pk):
        return _teach("Nothing is connected yet. An administrator of the team does that.", None)
    action = Action(
        "Connect a forge, a git server or a folder", reverse("connection_new"), icon="plus", kind="primary"
    )
    return _teach("One place for every repository you own", action)


def _teach(title: str, action: Action | None) -> Teach:
    return Teach(
        title,
        "Connect where your repositories are, pick the ones that belong here, and say what is to happen "
        "to them. This page then shows what needs you, and proves the rest.",
        (action,) if action else (),
        points=(
            Point(
                "Connect",
                "A git server or a folder of this machine. A test shows what it sees first.",
                "link",
            ),
            Point("Pick", "Choose repositories from the list. Nothing starts by itself.", "repository"),
            Point(
                "Say what to do",
                f"{join_words(_kinds())}, with a preview before anything is written.",
                "play",
            ),
        ),
        command="opssight demo",
    )


def _kinds() -> list[str]:
    labels = [kind.label for kind in all_kinds() if not kind.in_background]
    return [labels[0], *(label.lower() for label in labels[1:])]

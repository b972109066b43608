"""What a test of a connection looks at, step by step, each with a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from django.db.models import F

from opssight.core.errors import Failure
from opssight.core.words import count, join_words
from opssight.web.formats import format_ago
from repos import access
from repos.git.fetching import look
from repos.git.types import RemoteRefs
from repos.limits import DatabaseLimiter, label_of
from repos.models import Connection, Repository, Webhook
from repos.providers.base import Provider
from repos.providers.forge import Forge
from repos.providers.types import Capability, RemoteRepository
from repos.webhook_status import why_no_hooks

StepState = Literal["ok", "failed", "skipped"]
IDENTITY, LIST, GIT, HOOKS, LIMITS = "identity", "list", "git", "webhooks", "limits"
LABELS: Final = {
    IDENTITY: "Who we are there",
    LIST: "List of repositories",
    GIT: "git",
    HOOKS: "Webhooks",
    LIMITS: "Rate limits",
}


@dataclass(frozen=True)
class Step:
    name: str  # a key of LABELS
    state: StepState
    sentence: str

    @property
    def label(self) -> str:
        return LABELS[self.name]

    @property
    def look(self) -> tuple[str, str]:
        """A key of STATES, and the word for it."""
        return {"ok": ("ok", "works"), "failed": ("failed", ""), "skipped": ("skipped", "not tried")}[
            self.state
        ]


def not_reached(after: str) -> list[Step]:
    """The steps behind the one that failed."""
    names = list(LABELS)
    rest = names[names.index(after) + 1 :]
    return [Step(name, "skipped", "Not tried, because an earlier step failed.") for name in rest]


def git_step(
    connection: Connection, client: Provider, found: Sequence[RemoteRepository]
) -> tuple[Step, Failure | None]:
    """Ask one repository for its branches, as jobs do: one that is imported, else the first that is seen."""
    known = connection.repositories.filter(state=Repository.State.ACTIVE).select_related("connection")
    row = known.order_by(F("head_seen_at").desc(nulls_last=True), "id").first()
    one = next((one for one in found if one.usable), None) if client.origins else None
    if row is None and one is None:
        return Step(GIT, "skipped", "No repository was imported yet that could be asked."), None
    name = row.full_name if row is not None else one.full_name if one is not None else ""
    try:
        refs = access.look(row) if row is not None else _look_at(client, one)
    except Failure as failure:
        return Step(GIT, "failed", f"{name}: {failure.sentence}"), failure
    return Step(
        GIT, "ok", f"{name} answers with {count(len(refs.refs), 'branch or tag', 'branches and tags')}."
    ), None


def _look_at(client: Provider, one: RemoteRepository | None) -> RemoteRefs:
    assert one is not None  # noqa: S101 - by the caller
    return look(access.git(), client.context.vet(client.remote(one.external_id, one.full_name)))


def hook_step(connection: Connection) -> Step:
    """What can be known from here about webhooks: whether the server could reach us, and when it last did."""
    if why_not := why_no_hooks(connection):
        return Step(HOOKS, "skipped", why_not)
    hooks = Webhook.objects.filter(connection=connection)
    last = hooks.exclude(last_delivery_at=None).order_by("-last_delivery_at").first()
    if last is not None:
        return Step(HOOKS, "ok", f"A delivery came {format_ago(last.last_delivery_at)}.")
    words = count(hooks.count(), "webhook") if hooks.exists() else "no webhook"
    return Step(
        HOOKS, "skipped", f"No delivery came yet ({words}). Only a delivery shows that it reaches us."
    )


def limits_step(connection: Connection, client: Provider) -> Step:
    """What is left of the limits, asked without spending any; remembered for the page."""
    if not isinstance(client, Forge) or Capability.RATE_LIMITS not in client.capabilities:
        return Step(LIMITS, "skipped", f"{client.label} does not tell what is left of its limits.")
    try:
        budgets = read_limits(connection, client)
    except Failure as failure:
        return Step(LIMITS, "failed", failure.sentence)
    if not budgets:
        return Step(LIMITS, "ok", "The server has no limits switched on.")
    return Step(LIMITS, "ok", f"Left: {join_words(budgets[:4])}.")


def read_limits(connection: Connection, client: Forge) -> list[str]:
    """Ask what is left and remember it; in words such as "4,987 of 5,000 (REST API)". Raises a `Failure`."""
    limiter = DatabaseLimiter(connection)
    found = client.budgets()
    for budget in found:
        limiter.told(budget)
    return [f"{one.remaining:,} of {one.limit:,} ({label_of(one.resource)})" for one in found]

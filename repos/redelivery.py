"""Deliveries that did not arrive while we were away: where the provider keeps them, it sends them again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from django.db.models import TextField
from django.db.models.fields.json import KT
from django.db.models.functions import Cast

from opssight.core.clock import now
from opssight.core.errors import NotFound
from opssight.core.words import count
from repos import access
from repos.limits import RESERVE
from repos.managed_webhooks import NoSteps, Steps
from repos.models import Connection, Delivery, Webhook
from repos.providers.forge import FailedDelivery, Forge
from repos.providers.registry import provider_named
from repos.providers.types import Capability

KEPT: Final = dt.timedelta(days=3)  # how long GitHub keeps deliveries
_MOST: Final = 100  # of one webhook, in one go


@dataclass(frozen=True)
class Redelivered:
    """How many webhooks were asked about, and how many deliveries come again."""

    webhooks: int = 0
    again: int = 0

    @property
    def sentence(self) -> str:
        if not self.again:
            return "No delivery was missed."
        return f"{count(self.again, 'delivery', 'deliveries')} that did not arrive are sent again."


def are_kept(connection: Connection) -> bool:
    """Whether the provider tells which deliveries did not arrive."""
    return Capability.REDELIVERY in provider_named(connection.provider).capabilities


def fetch(connection: Connection, steps: Steps | None = None) -> Redelivered:
    """Ask for each delivery that failed and is not here. One that arrives twice counts once.

    Raises a `Failure` that concerns the whole connection.
    """
    steps = steps or NoSteps()
    client = access.client_of(connection, reserve=RESERVE)
    assert isinstance(client, Forge)  # noqa: S101 - by its capability
    rows = connection.webhooks.filter(managed=True, remote_state=Webhook.Remote.OK, repository__isnull=False)
    hooks = list(rows.exclude(remote_id="").select_related("repository").order_by("id"))
    again = 0
    for number, hook in enumerate(hooks):
        steps.progress("Redelivered deliveries", number, len(hooks))
        assert hook.repository is not None  # noqa: S101 - by the filter
        try:
            failed = client.failed_deliveries(hook.repository.external_id, hook.remote_id, now() - KEPT)
            for one in _not_here(hook, failed[:_MOST], client.delivery_header):
                client.redeliver(hook.repository.external_id, hook.remote_id, one.attempt_id)
                again += 1
        except NotFound:  # the webhook was deleted there; the next check makes it again
            continue
    return Redelivered(len(hooks), again)


def _not_here(hook: Webhook, failed: Collection[FailedDelivery], header: str) -> list[FailedDelivery]:
    """Those that were not stored, oldest first, as they happened."""
    rows = Delivery.objects.filter(webhook=hook).exclude(verdict=Delivery.Verdict.UNAUTHENTIC)
    ids = [one.delivery_id for one in failed]
    named = rows.annotate(key=Cast(KT(f"headers__{header}"), TextField())).filter(key__in=ids)
    here = set(named.values_list("key", flat=True))
    return sorted((one for one in failed if one.delivery_id not in here), key=lambda one: one.at)

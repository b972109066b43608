"""Reading the log, for the page, the API and the command line."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Q, QuerySet

from opssight.audit.models import AuditEvent


@dataclass(frozen=True)
class Filters:
    """What to show; empty means everything. `action` may be a beginning, such as `job.`."""

    action: str = ""
    actor: str = ""  # part of the actor's name
    object_type: str = ""
    object_id: str = ""
    run_id: uuid.UUID | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    text: str = ""  # part of the action, the actor's or the object's name


def events_for(
    team_ids: Iterable[uuid.UUID], filters: Filters | None = None, *, system: bool = False
) -> QuerySet[AuditEvent]:
    """Events of these teams, newest first, each with its seal (`event.seal`, absent while it waits).

    `system` adds what concerns the whole installation, for its administrators.
    """
    mine = Q(team_id__in=list(team_ids))
    return narrow(AuditEvent.objects.filter(mine | Q(team_id=None) if system else mine), filters)


def narrow(rows: QuerySet[AuditEvent], filters: Filters | None = None) -> QuerySet[AuditEvent]:
    """`rows` (already limited to what the reader may see) by `filters`, newest first, with seals."""
    rows = rows.select_related("seal").order_by("-id")
    if filters is None:
        return rows
    exact = {"object_type": filters.object_type, "object_id": filters.object_id, "run_id": filters.run_id}
    rows = rows.filter(**{name: value for name, value in exact.items() if value})
    if filters.action:
        rows = rows.filter(action__startswith=filters.action)
    if filters.actor:
        rows = rows.filter(actor_label__icontains=filters.actor)
    if filters.since:
        rows = rows.filter(at__gte=filters.since)
    if filters.until:
        rows = rows.filter(at__lt=filters.until)
    if filters.text:
        part = filters.text
        rows = rows.filter(
            Q(action__icontains=part) | Q(actor_label__icontains=part) | Q(object_label__icontains=part)
        )
    return rows

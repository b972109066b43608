"""Chaining events: each seal covers its event, its place and the seal before it, under a key.

Any number of sealers may run at once. The place (`seq`) and the event are both unique, so of two
that seal at the same time one is refused by the database and looks again.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging

from django.db import IntegrityError, transaction
from django.db.models import Count

from opssight.audit.models import AuditEvent, AuditPending, AuditSeal
from opssight.core.keys import keyring

logger = logging.getLogger(__name__)

PURPOSE = "audit seal"
FIRST_PREV = "0" * 64
BATCH = 200  # rows per transaction: SQLite has one writer


def seal_new(limit: int = 500) -> int:
    """Seal up to `limit` events that wait; how many were sealed here. Needs no transaction.

    Events are taken as they become visible: one that was made earlier but committed later is
    sealed later.
    """
    sealed = 0
    while sealed < limit and AuditPending.objects.exists():
        try:
            with transaction.atomic():
                done = _seal_batch(min(BATCH, limit - sealed))
        except IntegrityError:  # another sealer was first; it does the rest
            break
        if not done:
            break
        sealed += done
    return sealed


def _seal_batch(limit: int) -> int:
    last = AuditSeal.objects.order_by("-seq").first()
    seq, mac = (last.seq, last.mac) if last else (0, FIRST_PREV)
    ids = list(AuditPending.objects.order_by("event_id").values_list("event_id", flat=True)[:limit])
    events = AuditEvent.objects.in_bulk(ids)
    kid = keyring().primary
    key = keyring().derive(PURPOSE, kid)
    seals = []
    for event_id in ids:
        if event_id not in events:
            logger.error("audit event %s was removed before it was sealed", event_id)
            continue
        seq += 1
        prev, mac = mac, seal_mac(key, kid, seq, mac, events[event_id])
        seals.append(AuditSeal(seq=seq, event_id=event_id, prev_mac=prev, mac=mac, key_id=kid))
    AuditSeal.objects.bulk_create(seals)
    AuditPending.objects.filter(event_id__in=ids).delete()
    return len(ids)


def seal_mac(key: bytes, kid: str, seq: int, prev_mac: str, event: AuditEvent) -> str:
    """The seal of `event` at place `seq`, as hex."""
    content = json.dumps([seq, prev_mac, kid, _content(event)], sort_keys=True, separators=(",", ":"))
    return hmac.new(key, content.encode(), hashlib.sha256).hexdigest()


def _content(event: AuditEvent) -> list[object]:
    return [
        str(event.pk),
        event.at.isoformat(),
        event.actor_kind,
        event.actor_id,
        event.actor_label,
        str(event.team_id or ""),
        event.action,
        event.object_type,
        event.object_id,
        event.object_label,
        event.diff,
        event.request_id,
        str(event.run_id or ""),
    ]


def seals_per_key() -> dict[str, int]:
    """How many seals each key made: none of these keys may be thrown away."""
    rows = AuditSeal.objects.order_by().values_list("key_id").annotate(n=Count("seq"))
    return dict(rows)

"""Writing an event: in the transaction of the change, so that there is neither without the other."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection

from opssight.audit.actor import Actor, current_actor
from opssight.audit.models import AuditEvent, AuditPending
from opssight.core.logs import bound
from opssight.core.redact import redact

CHANGED = "changed"  # stands for a secret's values
MAX_TEXT = 2_000  # characters of one value
MAX_DIFF = 65_536  # characters of the whole difference as JSON

Target = tuple[str, object, str]  # type, id, label

_SECRET_KEY = re.compile(
    r"(?:^|_)(?:passwords?|passwd|passphrase|secrets?|tokens?|credentials?|authorization|cookies?|signature|pem|pat"
    r"|(?:api|private|access|signing|encryption|ssh)_?keys?)$|^keys?$"
)


def record(
    action: str,
    *,
    team_id: uuid.UUID | None,
    target: Target,
    actor: Actor | None = None,
    diff: Mapping[str, object] | None = None,
    run_id: uuid.UUID | None = None,
) -> AuditEvent:
    """Store that `action` (`job.create`, …) was done to `target` = (type, id, label).

    `actor` is by default who acts in this context; `team_id` None is for what concerns the whole
    installation. `diff` maps names to a value or to [before, after]; values of secrets are
    replaced by "changed". Raises RuntimeError outside a transaction: the change and its event must
    be stored together or not at all.
    """
    if not connection.in_atomic_block:
        raise RuntimeError(f"The event {action} must be recorded in the transaction of its change.")
    who = actor or current_actor()
    kind, id, label = target
    event = AuditEvent.objects.create(
        action=action,
        actor_kind=who.kind,
        actor_id=_text(who.id)[:64],
        actor_label=_text(who.label)[:254],
        team_id=team_id,
        object_type=kind,
        object_id=_text(str(id))[:64],
        object_label=_text(label)[:400],
        diff=clean(diff or {}),
        request_id=_text(bound().get("request_id", ""))[:64],
        run_id=run_id or _bound_run(),
    )
    AuditPending.objects.create(event=event)
    return event


def clean(diff: Mapping[str, object]) -> dict[str, Any]:
    """`diff` as JSON that every database stores, without secrets, of bounded size."""
    plain = json.loads(json.dumps(dict(diff), cls=DjangoJSONEncoder))
    cleaned: dict[str, Any] = _clean(plain)
    if len(json.dumps(cleaned)) > MAX_DIFF:
        return dict.fromkeys(list(cleaned)[:200], CHANGED)
    return cleaned


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return {_text(k): CHANGED if _is_secret(k) else _clean(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_clean(one) for one in value]
    if isinstance(value, str):
        text = _text(value)
        return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"
    # databases disagree on how a fraction is written back, and the seal covers what comes back
    return str(value) if isinstance(value, float) else value


def _is_secret(key: str) -> bool:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[\s.-]+", "_", key).lower()
    return _SECRET_KEY.search(words) is not None


def _text(text: str) -> str:
    """Redacted, and without what PostgreSQL cannot store (NUL, lone surrogates)."""
    return redact(text).encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def _bound_run() -> uuid.UUID | None:
    text = bound().get("run_id", "")
    return uuid.UUID(text) if text else None

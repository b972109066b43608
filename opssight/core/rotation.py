"""Which key encrypts what, and bringing every stored secret under the first key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import models
from django.db.models import Count, F, QuerySet, Value
from django.db.models.functions import Left, StrIndex, Substr

from opssight.core import keys
from opssight.core.crypto import VERSION, Keyring, SecretUnreadable
from opssight.core.fields import EncryptedTextField, Stored

_uses: dict[str, Callable[[], Mapping[str, int]]] = {}


def register_use(label: str, count: Callable[[], Mapping[str, int]]) -> None:
    """Tell of rows that need a key by its id without being encrypted (a digest, a seal).

    `count` gives the number of rows per key id. Such a key is never called removable.
    """
    _uses[label] = count


@dataclass(frozen=True)
class Status:
    """Rows per key id for each place that uses keys; `kids` in the order of the keyring."""

    kids: tuple[str, ...]
    places: Mapping[str, Mapping[str, int]]  # "repos.Credential.secret" -> {"k1": 3}

    @property
    def totals(self) -> dict[str, int]:
        """Rows per key id, for every key of the ring and every key that rows still name."""
        counted: Counter[str] = Counter(dict.fromkeys(self.kids, 0))
        for place in self.places.values():
            counted.update(place)
        return dict(counted)

    @property
    def missing(self) -> tuple[str, ...]:
        """Key ids that rows need and that are not here: those rows cannot be read."""
        return tuple(sorted(kid for kid, rows in self.totals.items() if rows and kid not in self.kids))

    @property
    def removable(self) -> tuple[str, ...]:
        """Keys that nothing needs any more; never the one that encrypts."""
        return tuple(kid for kid in self.kids[1:] if not self.totals[kid])


@dataclass(frozen=True)
class Progress:
    """What rotation did to one batch of one field. `unreadable` names rows as `place primary key`."""

    place: str
    rotated: int
    unreadable: tuple[str, ...] = ()


def encrypted_fields() -> Iterator[EncryptedTextField]:
    """Every encrypted field of every model, in a fixed order."""
    for model in sorted(apps.get_models(), key=lambda model: model._meta.label):
        for field in model._meta.local_fields:
            if isinstance(field, EncryptedTextField):
                yield field


def status() -> Status:
    """Count what every key is needed for, one query for each field."""
    places = {_place(field): _count(field) for field in encrypted_fields()}
    places |= {label: dict(count()) for label, count in _uses.items()}
    return Status(keys.keyring().kids, places)


def rotate(batch: int = 500) -> Iterator[Progress]:
    """Encrypt everything under the first key; yields after every `batch` rows.

    Each row is written by itself and only if nobody changed it meanwhile, so it may be stopped at
    any time and started again, beside running processes. Rows that cannot be read are named and
    left as they are.
    """
    ring = keys.keyring()
    for field in encrypted_fields():
        last: Any = None
        while rows := _stale(field, ring.primary, last, batch):
            last = rows[-1][0]
            yield _rotate_rows(field, ring, rows)


def _rotate_rows(field: EncryptedTextField, ring: Keyring, rows: list[tuple[Any, Stored]]) -> Progress:
    rotated, unreadable = 0, []
    for pk, stored in rows:
        aad = field.aad(pk)
        try:
            fresh = Stored(ring.encrypt(ring.decrypt(stored, aad), aad))
        except SecretUnreadable:
            unreadable.append(f"{_place(field)} {pk}")
            continue
        # Somebody who saved the row meanwhile has encrypted it anew: their text stays.
        rotated += _rows(field).filter(pk=pk, **{field.name: stored}).update(**{field.name: fresh})
    return Progress(_place(field), rotated, tuple(unreadable))


def _stale(field: EncryptedTextField, kid: str, after: Any, batch: int) -> list[tuple[Any, Stored]]:
    """The next rows that another key encrypts, in order of their primary keys."""
    prefix = f"{VERSION}:{kid}:"
    rows = _rows(field).annotate(_head=Left(field.name, len(prefix)))
    rows = rows.exclude(**{field.name: ""}).exclude(_head=prefix).exclude(**{f"{field.name}__isnull": True})
    if after is not None:
        rows = rows.filter(pk__gt=after)
    return list(rows.order_by("pk").values_list("pk", field.name)[:batch])


def _count(field: EncryptedTextField) -> dict[str, int]:
    rest = Substr(field.name, len(VERSION) + 2, output_field=models.TextField())
    kid = Left(rest, StrIndex(rest, Value(":")) - 1, output_field=models.TextField())
    rows = _rows(field).exclude(**{field.name: ""}).exclude(**{f"{field.name}__isnull": True})
    return dict(rows.annotate(_kid=kid).order_by().values_list("_kid").annotate(_n=Count(F("pk"))))


def _rows(field: EncryptedTextField) -> QuerySet[Any, Any]:
    return field.model._base_manager.all()


def _place(field: EncryptedTextField) -> str:
    return f"{field.model._meta.label}.{field.name}"

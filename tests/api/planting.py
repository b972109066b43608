"""One row of every model that belongs to a team, with a canary in every text column.

Made from the models themselves: a new model or column is covered without a change here, unless a
column takes only certain words (then it is named in `WORDS`).
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import uuid
import zlib
from typing import Any

from django.apps import apps
from django.db import models

from opssight.accounts.models import Invitation, Membership, Organization, Role, Team, User
from opssight.core.clock import now
from opssight.core.ids import uuid7

LABELS = ("accounts", "audit", "notices", "repos", "syncs", "copy", "mirror", "backup", "index", "watch")

# columns whose text is read by the product and must be one of its words
WORDS: dict[str, Any] = {
    "repos.Connection.provider": "folder",
    "repos.Connection.options": {"root": "/nowhere"},
    "repos.Webhook.scheme": "github",
    "repos.Delivery.headers": {},
    "repos.RepositoryStatus.state": "succeeded",
    "repos.RepositoryStatus.lane": "copy",
    "syncs.Job.kind": "probe",
    "syncs.Job.cron": "",
    "syncs.Job.tz": "UTC",
    "syncs.Run.kind": "probe",
    "syncs.Run.lane": "std",
    "syncs.Run.stats": {},
    "syncs.Item.planned": {},
    "syncs.Trigger.event": "Pushed",
    "notices.Channel.scheme": "webhook",
    "copy.OwnedFile.mode": "100644",
    "copy.ConfigFile.problems": [["", "a problem"]],
    "copy.ConfigFile.due_at": None,
    "copy.ConfigVersion.texts": [["", "", "rules.yaml", "workflows: []"]],
    "copy.ConfigVersion.jobs": [],
}


_numbers = itertools.count(1)


class Garden:
    """The planted rows of one team: `rows` by model, `team` and its owner `user`.

    All rows have the same key, so an address names a row of A whatever model it looks in.
    """

    def __init__(self, canary: str) -> None:
        self.canary, self.key = canary, uuid7()
        self.user = User(pk=self.key, email=f"{canary}@example.org", name=canary)
        self.user.set_password("correct horse")
        self.user.save(force_insert=True)
        organization = Organization.objects.create(pk=self.key, name=canary, slug=canary)
        self.team = Team.objects.create(pk=self.key, name=canary, slug=canary, organization=organization)
        member = Membership.objects.create(team=self.team, user=self.user, role=Role.OWNER)
        self.rows: dict[type[models.Model], models.Model] = {User: self.user, Team: self.team}
        self.rows |= {Organization: organization, Membership: member}
        self.columns = 0
        for model in team_models():
            self.plant(model)
        self._fill_links()

    def plant(self, model: type[models.Model]) -> models.Model:
        if model not in self.rows:
            values = {}
            for field in model._meta.concrete_fields:
                if self._wanted(field):
                    values[field.name if field.is_relation else field.attname] = self._value(field)
            self.rows[model] = row = model(**values)
            row.save(force_insert=True)
        return self.rows[model]

    def _wanted(self, field: models.Field[Any, Any]) -> bool:
        return not isinstance(field, models.AutoField) and not field.generated

    def _value(self, field: models.Field[Any, Any]) -> Any:
        name = f"{field.model._meta.label}.{field.name}"
        if name in WORDS:
            return WORDS[name]
        if isinstance(field, models.ForeignKey):
            return self._relation(field)
        if field.primary_key and isinstance(field, models.UUIDField):
            return self.key
        if field.choices:
            return next(iter(field.flatchoices))[0]
        if field.name == "team_id":
            return self.team.pk
        return self._plain(field)

    def _relation(self, field: models.ForeignKey[Any, Any]) -> models.Model | None:
        """The row it points to; one that may be empty is filled when all rows are there."""
        target: type[models.Model] = field.related_model
        return self.rows.get(target) if field.null else self.plant(target)

    def _plain(self, field: models.Field[Any, Any]) -> Any:
        if isinstance(field, (models.CharField, models.TextField)):
            self.columns += 1
            return f"{self.canary}@example.org" if isinstance(field, models.EmailField) else self.canary
        if isinstance(field, models.JSONField):
            self.columns += 1
            return [self.canary] if field.default is list else {self.canary: self.canary}
        if isinstance(field, models.BinaryField):
            line = {"at": now().isoformat(), "level": "info", "step": self.canary, "message": self.canary}
            return zlib.compress(json.dumps(line).encode())
        for kind, value in (
            (models.UUIDField, uuid7()),
            (models.DateTimeField, now() + dt.timedelta(days=1)),
            (models.BooleanField, True),
            (models.IntegerField, next(_numbers)),
            (models.FloatField, 1.0),
        ):
            if isinstance(field, kind):
                return field.get_default() if field.has_default() else value
        raise TypeError(f"no value is known for {field}: add one")

    def _fill_links(self) -> None:
        for model, row in self.rows.items():
            for field in model._meta.concrete_fields:
                target = self.rows.get(field.related_model) if field.is_relation else None  # type: ignore[arg-type]
                if target not in (None, row) and model is not Team and getattr(row, field.attname) is None:
                    model._default_manager.filter(pk=row.pk).update(**{field.name: target})
        Invitation.objects.filter(team=self.team).update(accepted_at=None)  # open ones are listed

    def all_keys(self) -> list[Any]:
        """Every primary key that an address may hold."""
        return list({row.pk: None for row in self.rows.values() if isinstance(row.pk, (uuid.UUID, int))})

    def snapshot(self) -> dict[str, list[dict[str, Any]]]:
        """What is stored in the planted rows now."""
        return {
            model._meta.label: list(model._default_manager.filter(pk=row.pk).values())
            for model, row in self.rows.items()
        }


def team_models() -> list[type[models.Model]]:
    """Models whose rows belong to a team, by themselves or through what they belong to."""
    known: set[type[models.Model]] = {Team}
    ours = [model for model in apps.get_models() if model._meta.app_label in LABELS]
    while True:
        more = {model for model in ours if model not in known and _belongs(model, known)}
        if not more:
            return [model for model in ours if model in known and model is not Team]
        known |= more


def _belongs(model: type[models.Model], known: set[type[models.Model]]) -> bool:
    fields = model._meta.concrete_fields
    return any(field.related_model in known or field.name == "team_id" for field in fields)

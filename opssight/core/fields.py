"""A model field that stores its text encrypted, bound to its table, row and column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core import checks
from django.db import models
from django.db.models.query_utils import DeferredAttribute

from opssight.core import redact
from opssight.core.keys import keyring

if TYPE_CHECKING:
    _Text = models.TextField[str, str]
else:
    _Text = models.TextField


class Stored(str):
    """The encrypted text as it stands in the database: all that `.values()` and filters ever see."""

    __slots__ = ()


class _Secret(DeferredAttribute):
    """Decrypts when read, so an object can be listed and deleted even when its key is gone."""

    field: EncryptedTextField

    def __get__(self, instance: models.Model | None, cls: type[models.Model] | None = None) -> Any:
        value = super().__get__(instance, cls)
        if instance is not None and isinstance(value, Stored):
            value = keyring().decrypt(value, self.field.aad(instance.pk)) if value else ""
            redact.register(value)
        return value

    def __set__(self, instance: models.Model, value: object) -> None:
        instance.__dict__[self.field.attname] = value


class EncryptedTextField(_Text):
    """Text that is encrypted in the database and plain as an attribute of its object.

    The primary key must be known before INSERT (a UUID), and values are written through objects:
    `save()` and `bulk_create()` encrypt, while `QuerySet.update()`, `bulk_update()` and filters with
    a plain value raise `TypeError`. Filters by `""` work: an empty value is stored as it is. Reading
    raises `SecretUnreadable` when the key is not here or the row was tampered with. Forms,
    serialised fixtures and `.values()` never hold the plain text. Renaming the table or column
    makes the stored values unreadable: pin `db_table` and `db_column` then.
    """

    descriptor_class = _Secret
    description = "Encrypted text"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["editable"] = False  # a form would show the secret in its page
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        del kwargs["editable"]
        return name, path, args, kwargs

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        found = super().check(**kwargs)
        if isinstance(self.model._meta.pk, models.AutoField):
            message = "An encrypted field needs a primary key that is known before INSERT, such as a UUID."
            found.append(checks.Error(message, obj=self, id="opssight.E001"))
        return found

    def aad(self, pk: Any) -> str:
        """Where a value belongs: `table:primary key:column`."""
        options = self.model._meta
        return f"{options.db_table}:{options.pk.to_python(pk)}:{self.column}"

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        value = model_instance.__dict__[self.attname]
        if not value:
            return value
        if model_instance.pk is None:
            raise TypeError(f"{self} can only be stored when its object has a primary key.")
        aad = self.aad(model_instance.pk)
        if isinstance(value, Stored):
            if add:  # refuse to store in a new row what that row could not read
                keyring().decrypt(value, aad)
            return value
        redact.register(value)
        stored = Stored(keyring().encrypt(value, aad))
        model_instance.__dict__[self.attname] = stored
        return stored

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Stored | None:
        return None if value is None else Stored(value)

    def get_prep_value(self, value: Any) -> Any:
        if value is None or value == "" or isinstance(value, Stored):
            return value
        raise TypeError(f"{self} is encrypted for its row: set it on the object and call save().")

    def get_lookup(self, lookup_name: str) -> Any:
        """Only what makes sense on encrypted text; `startswith` and the like are refused by Django."""
        return super().get_lookup(lookup_name) if lookup_name in {"exact", "in", "isnull"} else None

    def value_from_object(self, obj: models.Model) -> Any:
        return obj.__dict__.get(self.attname)

    def value_to_string(self, obj: models.Model) -> str:
        raise TypeError(f"{self} is not written to fixtures: it would not decrypt in another row.")

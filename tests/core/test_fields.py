from __future__ import annotations

import copy
import pickle
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core import checks, serializers
from django.core.exceptions import FieldError
from django.db import connection, models, transaction
from django.forms import modelform_factory
from django.forms.models import model_to_dict
from django.test.utils import isolate_apps

from opssight.accounts.models import Team
from opssight.core import keys
from opssight.core.crypto import SecretUnreadable
from opssight.core.env import load
from opssight.core.fields import EncryptedTextField, Stored
from opssight.core.redact import redact
from repos.models import Webhook

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def data(tmp_path: Path, settings: Any) -> Path:
    settings.ENV = load({"OPSSIGHT_DATA": str(tmp_path)})
    return tmp_path


@pytest.fixture
def team() -> Team:
    return Team.objects.create(name="Team", slug="team")


def make_webhook(team: Team, **fields: Any) -> Webhook:
    return Webhook.objects.create(**{"team": team, "scheme": "github", "secret": "hunter22", **fields})


def column(webhook: Webhook, name: str = "secret") -> str:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {name} FROM repos_webhook WHERE id = %s",  # noqa: S608
            [webhook.pk if connection.vendor == "postgresql" else webhook.pk.hex],
        )
        return str(cursor.fetchone()[0])


def test_the_attribute_is_plain_and_the_column_is_not(team: Team) -> None:
    webhook = make_webhook(team)
    assert webhook.secret == "hunter22"
    assert Webhook.objects.get().secret == "hunter22"
    assert column(webhook).startswith(f"v1:{keys.keyring().primary}:")
    assert keys.keyring().decrypt(column(webhook), f"repos_webhook:{webhook.pk}:secret") == "hunter22"


def test_after_save_the_object_itself_holds_no_plain_text(team: Team) -> None:
    webhook = make_webhook(team)
    assert "hunter22" not in str(webhook.__dict__)
    assert b"hunter22" not in pickle.dumps(webhook)
    assert copy.deepcopy(webhook).secret == "hunter22"


def test_a_secret_in_use_is_taken_out_of_logs(team: Team) -> None:
    webhook = make_webhook(team, secret="a-secret-just-stored")
    assert redact("with a-secret-just-stored") == "with ***"
    Webhook.objects.filter(pk=webhook.pk)  # reading registers, too
    assert Webhook.objects.get().secret not in redact(f"with {webhook.secret}")


def test_an_unchanged_secret_is_not_encrypted_again(team: Team) -> None:
    webhook = make_webhook(team)
    before = column(webhook)
    webhook.name = "renamed"
    webhook.save()
    read = Webhook.objects.get()
    read.save()
    assert column(webhook) == before
    read.secret = "other-secret"
    read.save(update_fields=["secret"])
    assert column(webhook) != before
    assert Webhook.objects.get().secret == "other-secret"


def test_empty_is_stored_as_it_is(team: Team) -> None:
    webhook = make_webhook(team)
    assert webhook.previous_secret == ""
    assert column(webhook, "previous_secret") == ""
    assert Webhook.objects.get().previous_secret == ""
    assert Webhook.objects.filter(previous_secret="").count() == 1
    assert Webhook.objects.exclude(secret="").count() == 1


def test_a_secret_copied_to_another_row_or_column_does_not_decrypt(team: Team) -> None:
    first, second = make_webhook(team), make_webhook(team, secret="another-one")
    Webhook.objects.filter(pk=second.pk).update(
        secret=Stored(column(first)), previous_secret=models.F("secret")
    )
    second = Webhook.objects.get(pk=second.pk)  # the row itself can still be listed and read
    for name in ("secret", "previous_secret"):
        with pytest.raises(SecretUnreadable, match="moved"):
            getattr(second, name)
    assert Webhook.objects.get(pk=first.pk).secret == "hunter22"


def test_a_copied_object_is_not_stored_with_a_secret_it_cannot_read(team: Team) -> None:
    webhook = make_webhook(team)
    webhook.pk = uuid.uuid4()
    webhook._state.adding = True
    with pytest.raises(SecretUnreadable), transaction.atomic():
        webhook.save()
    assert Webhook.objects.count() == 1


def test_without_the_key_a_row_is_listed_changed_and_deleted(team: Team, data: Path) -> None:
    make_webhook(team)
    (data / "keys").unlink()
    webhook = Webhook.objects.get()
    webhook.name = "still here"
    webhook.save()
    with pytest.raises(SecretUnreadable, match="not among the keys"):
        _ = webhook.secret
    webhook.delete()
    assert not Webhook.objects.exists()


def test_values_serialisers_and_forms_never_hold_the_plain_text(team: Team) -> None:
    webhook = make_webhook(team)
    fresh = Webhook(team=team, scheme="github", secret="not-yet-stored")
    assert "hunter22" not in str(list(Webhook.objects.values()))
    assert "hunter22" not in str(list(Webhook.objects.values_list("secret", flat=True)))
    assert "secret" not in model_to_dict(fresh)
    assert Webhook._meta.get_field("secret").value_from_object(webhook) == column(webhook)
    with pytest.raises(TypeError, match="not written to fixtures"):
        serializers.serialize("json", [webhook])
    assert "secret" not in modelform_factory(Webhook, exclude=[]).base_fields


def test_a_query_cannot_write_or_search_plain_text(team: Team) -> None:
    webhook = make_webhook(team)
    webhook.secret = "changed-secret"
    attempts: list[Callable[[], object]] = [
        lambda: Webhook.objects.update(secret="changed-secret"),
        lambda: Webhook.objects.bulk_update([webhook], ["secret"]),
        lambda: Webhook.objects.filter(secret="hunter22").count(),
        lambda: Webhook.objects.filter(secret__in=["hunter22"]).count(),
    ]
    for attempt in attempts:
        with pytest.raises(TypeError, match="call save"), transaction.atomic():
            attempt()
    with pytest.raises(FieldError, match="Unsupported lookup"):
        Webhook.objects.filter(secret__startswith="hunter")
    assert Webhook.objects.get().secret == "hunter22"


def test_bulk_create_encrypts_each_row_for_itself(team: Team) -> None:
    Webhook.objects.bulk_create(
        [Webhook(team=team, scheme="github", secret=f"secret-{number}") for number in range(3)]
    )
    assert {webhook.secret for webhook in Webhook.objects.all()} == {"secret-0", "secret-1", "secret-2"}
    assert len({column(webhook) for webhook in Webhook.objects.all()}) == 3


def test_without_a_primary_key_nothing_is_stored(team: Team) -> None:
    webhook = Webhook(pk=None, team=team, scheme="github", secret="hunter22")
    with pytest.raises(TypeError, match="has a primary key"):
        Webhook._meta.get_field("secret").pre_save(webhook, True)
    Webhook.objects.bulk_create([webhook])  # gives it one first
    assert Webhook.objects.get().secret == "hunter22"


def test_deferred_and_refreshed_secrets_are_plain(team: Team) -> None:
    webhook = make_webhook(team)
    assert Webhook.objects.defer("secret").get().secret == "hunter22"
    assert Webhook.objects.only("name").get().secret == "hunter22"
    webhook.refresh_from_db()
    assert webhook.secret == "hunter22"


def test_a_primary_key_given_as_text_is_the_same_place(team: Team) -> None:
    text = "0198C0DE-0000-7000-8000-000000000001"
    make_webhook(team, pk=text)
    assert Webhook.objects.get(pk=text).secret == "hunter22"


def test_the_class_attribute_is_the_descriptor_and_migrations_see_plain_arguments() -> None:
    field = Webhook._meta.get_field("previous_secret")
    assert Webhook.__dict__["previous_secret"].field is field
    assert Webhook.previous_secret is Webhook.__dict__["previous_secret"]
    _, path, args, kwargs = field.deconstruct()
    assert (path, args, kwargs) == (
        "opssight.core.fields.EncryptedTextField",
        [],
        {"blank": True, "default": ""},
    )


def test_null_stays_null() -> None:
    field = EncryptedTextField()
    assert field.get_prep_value(None) is None
    assert field.from_db_value(None, None, None) is None


@isolate_apps("tests")
def test_a_model_that_gets_its_primary_key_from_the_database_is_refused() -> None:
    class Late(models.Model):
        secret = EncryptedTextField()

        class Meta:
            app_label = "tests"

        def __str__(self) -> str:
            return "late"

    found = Late._meta.get_field("secret").check()
    assert [(problem.id, problem.level) for problem in found] == [("opssight.E001", checks.ERROR)]
    assert not Webhook._meta.get_field("secret").check()

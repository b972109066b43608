"""What a new installation needs before it can serve: tables, the cache, somebody who may sign in."""

from __future__ import annotations

import secrets
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import transaction

from opssight.accounts.models import User
from opssight.audit.record import record

ADMINISTRATOR = "admin@localhost"


def prepare_database() -> None:
    """Create or update all tables. Safe to call again, and beside another process that does the same."""
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)
    call_command("migrate", interactive=False, verbosity=0)
    call_command("createcachetable", verbosity=0)


def make_administrator() -> tuple[str, str] | None:
    """The first administrator as (e-mail, password), made once; None when somebody is there already."""
    with transaction.atomic():
        if User.objects.exists():
            return None
        password = "-".join(secrets.token_hex(2) for _ in range(4))
        user = User.objects.create_superuser(ADMINISTRATOR, password, name="Administrator")
        record("user.create", team_id=user.personal_team.pk, target=("user", user.pk, user.email))
        return ADMINISTRATOR, password

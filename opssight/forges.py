"""The stand-in forges of a checkout, for a person to connect to without an account anywhere.

While they run, their addresses are allowed and OpsSight is registered there as an OAuth application; both
is taken back when they stop.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import transaction

from opssight.accounts.models import AllowedHost
from opssight.audit.record import record
from opssight.cli import free_port
from opssight.core.errors import InvalidInput
from repos.models import ProviderInstance

REASON: Final = "Made by opssight up --forges"
NUMBER: Final = 4


@dataclass(frozen=True)
class StandInForge:
    """One that runs. `email` goes with the token where the forge asks for it."""

    kind: str
    label: str
    url: str
    token: str
    email: str


@contextmanager
def stand_in_forges(port: int) -> Iterator[list[StandInForge]]:
    """They run at the ports after `port`, or at any that are free. InvalidInput outside of a checkout."""
    try:
        from tests.forges import showcase
    except ImportError:
        raise InvalidInput(
            "The stand-in forges belong to a checkout of OpsSight, and are not there. Clone its repository, "
            "run make in it, and start opssight up --forges there."
        ) from None
    folder = Path(settings.DATA) / "forges"
    with showcase.Showcase(folder, _ports(port)) as forges:
        shown = [StandInForge(one.kind, one.label, one.url, one.token, one.email) for one in forges]
        _take_back(showcase.CLIENT_ID)
        _register(shown, showcase.CLIENT_ID, showcase.CLIENT_SECRET)
        try:
            yield shown
        finally:
            _take_back(showcase.CLIENT_ID)


def table(forges: list[StandInForge], url: str) -> str:
    """What to enter where, for a person; `url` is the dashboard's address."""
    rows = [("forge", "address", "token", "e-mail")]
    rows += [(one.label, one.url, one.token, one.email or "-") for one in forges]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(
        [
            "Four stand-in forges run on this machine. They are not the real ones: nothing leaves it.",
            "",
            *(line.rstrip() for line in lines),
            "",
            f"Open {url}/connections/new/. With a button: press Continue with GitHub and allow it there.",
            "With a token: choose the forge, enter its address and token (for Bitbucket the e-mail as well),",
            "press Test, and connect. Then pick repositories.",
        ]
    )


def _ports(port: int) -> list[int]:
    """The ports after the dashboard's; 0 for those that are taken."""
    wanted = []
    for number in range(port + 1, port + 1 + NUMBER):
        try:
            wanted.append(free_port("127.0.0.1", number) if number < 65_536 else 0)
        except OSError:
            wanted.append(0)
    return wanted


def _register(forges: list[StandInForge], client_id: str, client_secret: str) -> None:
    with transaction.atomic():
        for one in forges:
            address = {"pattern": "127.0.0.1", "cidr": "127.0.0.1/32", "ports": one.url.rpartition(":")[2]}
            host, made = AllowedHost.objects.get_or_create(**address, defaults={"reason": REASON})
            if made:
                record("allowed_host.create", team_id=None, target=_target(host))
            app = {"client_id": client_id, "client_secret": client_secret}
            row, made = ProviderInstance.objects.get_or_create(provider=one.kind, url=one.url, defaults=app)
            if made:
                record("provider_instance.create", team_id=None, target=_target(row))


def _take_back(client_id: str) -> None:
    """What this start made, or one before it that was killed."""
    with transaction.atomic():
        hosts = list(AllowedHost.objects.filter(reason=REASON))
        urls = [f"http://127.0.0.1:{host.ports}" for host in hosts]
        rows = ProviderInstance.objects.filter(url__in=urls, client_id=client_id)
        left: list[AllowedHost | ProviderInstance] = [*rows, *hosts]
        for made in left:
            target = _target(made)
            record(f"{target[0]}.delete", team_id=None, target=target)
            made.delete()


def _target(made: AllowedHost | ProviderInstance) -> tuple[str, object, str]:
    word = "allowed_host" if isinstance(made, AllowedHost) else "provider_instance"
    return (word, made.pk, str(made))

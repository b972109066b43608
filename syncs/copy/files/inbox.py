"""Copiers' files of which the newest version is not in force, for the inbox."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django.urls import reverse
from django.utils.html import format_html

from opssight.accounts.models import Team
from opssight.accounts.scope import Principal, visible_to
from opssight.web.parts import Action, Need
from syncs.copy.models import ConfigFile

LISTED: Final = 20


def needs(principal: Principal, team: Team) -> Sequence[Need]:
    """One line for each. One query."""
    rows = visible_to(ConfigFile.objects.all(), principal).filter(team=team).exclude(sentence="")
    return [_need(file) for file in rows.select_related("version").order_by("-checked_at")[:LISTED]]


def _need(file: ConfigFile) -> Need:
    number = file.version.number if file.version else 0
    return Need(
        state="broken",
        sentence=format_html("The newest <b>{}</b> is not in force: {}", file.name, file.sentence),
        harm="Still copying",
        detail=f"as version {number} says." if number else "nothing: no version was ever in force.",
        action=Action("See what is wrong", reverse("copy_file", args=[file.pk])),
        at=file.checked_at,
    )

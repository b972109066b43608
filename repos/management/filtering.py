"""The filters of discovery as options of a command."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from repos.filters import CHOICES, Filters

_HELP = {
    "search": "Words of name or description.",
    "owner": "An organization, workspace or group, with all groups in it.",
    "topic": "One of its topics.",
    "language": "Its main language.",
    "pushed-since": "A date such as 2026-01-31: pushed, or active, since then.",
    "include": "A pattern (RE2) that is found in the full name.",
    "exclude": "A pattern (RE2) that is not found in the full name.",
}


def add_filter_arguments(parser: CommandParser) -> None:
    for name, help in _HELP.items():
        parser.add_argument(f"--{name}", default="", help=help)
    for name, values in CHOICES.items():
        parser.add_argument(f"--{name}", default="", choices=values, help="Only these.")


def filters_of(options: dict[str, Any]) -> Filters:
    """InvalidInput names what does not fit."""
    return Filters.read(options)

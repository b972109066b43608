"""Runs that answer a tag: they copy the commit it stands for, and never take a target back."""

from __future__ import annotations

from typing import Any

from syncs.copy.rules.file_config import read_version
from syncs.copy.transfer.transfer import Source


def tag_of(input: dict[str, Any]) -> str:
    """The tag that a run was asked for; "" for the source branch."""
    return str(input.get("tag") or "")


def only_tags(config: object) -> str:
    """The glob of tags that a job copies, "" for one that follows its branch."""
    listening = read_version(config).listening
    return listening.tags if listening.only_tags else ""


def is_behind(source: Source, known: str) -> bool:
    """Whether the tag stands for what a target holds already (`known`), or for something older."""
    store = source.end.store
    if not source.end.tag or not known or not store.has(known):
        return False
    return store.is_ancestor(source.head, known)

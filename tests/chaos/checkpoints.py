"""The points at which a copy may be killed, read from its code."""

from __future__ import annotations

import re

from tests.instance import ROOT

MERGED = {"merged-branch-deleted", "merge-stored", "pull-opened"}
CLOSED = {"pull-closed", "branch-deleted"}
HANDED_OVER = {"pull-handed-over"}
LOOKED_AFTER = {"pull-merged", "pull-looked-at"}
SHADOW = {"shadow-planned"}
RECORDED = {"deletions-recorded"}
SIGNED = {"commit-signed"}
UPDATED = {"pull-asked", "branch-read", "pull-changed"}
LEFT = {"left-asked", "left-branch-deleted", "left-stored"}

PULLS = MERGED | CLOSED | HANDED_OVER | LOOKED_AFTER | SHADOW | RECORDED | SIGNED | UPDATED | LEFT
"""Those that a rule which pushes commits of its own straight to its target does not come to."""


def checkpoints() -> set[str]:
    return {
        name
        for file in (ROOT / "syncs" / "copy").rglob("*.py")
        for name in re.findall(r'checkpoint\("([a-z-]+)"\)', file.read_text())
    }

"""The job kinds. One line each: settings, URLs, pages, API and docs are derived from this list.

The value is the Django app of the kind; its module `kind` holds `KIND`.
"""

from __future__ import annotations

KINDS: dict[str, str] = {
    "copy": "syncs.copy",
    "watch": "syncs.watch",
}

# those that are about single repositories: a repository shows how far behind each of them is
REPOSITORY_KINDS: tuple[str, ...] = tuple(name for name in KINDS if name != "watch")

"""The reference page and the example file of the settings, made from their declarations."""

from __future__ import annotations

import textwrap
from itertools import groupby
from typing import Any

from opssight.core.env import SETTINGS, Setting

_EXAMPLE_HEAD = """\
# Every setting with its default. Copy this file to .env, remove the # where you change a value, and
# load it into the environment of both processes (web and worker).
# docs/reference/settings.md says more. Made by opssight.core.env_docs; a test compares.
"""

_REFERENCE_HEAD = """\
# Settings

OpsSight is set up by environment variables. All are read and checked when a process starts; when one
cannot be used, every problem is named and the exit status is 2. A name that starts with `OPSSIGHT_` and is
not on this page is reported and ignored. A variable that is set but empty counts as not set.

A setting marked as secret may be given as a file: set `OPSSIGHT_X_FILE` to the path of a file that holds
the value. Setting both is an error.

This page is made from the declarations in `opssight/core/env.py`; a test compares.
"""


def render_env_example() -> str:
    """The text of `.env.example`: every setting, commented out, with its default."""
    parts = [_EXAMPLE_HEAD]
    for group, entries in _groups():
        parts.append(f"\n# --- {group} ---\n")
        for setting in entries:
            note = f" Default: {setting.derived}." if setting.derived else ""
            text = setting.help.replace("`", "") + note.replace("`", "")
            lines = textwrap.wrap(text, 100, break_long_words=False, break_on_hyphens=False)
            parts.append("\n" + "".join(f"# {line}\n" for line in lines))
            parts.append(f"#{setting.name}={setting.default_text}\n")
    return "".join(parts)


def render_reference() -> str:
    """The text of `docs/reference/settings.md`: a heading for every setting."""
    parts = [_REFERENCE_HEAD]
    for group, entries in _groups():
        parts.append(f"\n## {group}\n")
        parts.extend(f"\n### {setting.name}\n\n{setting.help}\n\n{_facts(setting)}\n" for setting in entries)
    return "".join(parts)


def _facts(setting: Setting[Any]) -> str:
    default = setting.derived or (f"`{setting.default_text}`" if setting.default_text else "empty")
    facts = [f"- Value: {setting.kind.accepts}", f"- Default: {default}"]
    if setting.secret:
        facts.append(f"- Secret: may be given as `{setting.name}_FILE`")
    if setting.alias:
        facts.append(f"- Also read as: `{setting.alias}`")
    return "\n".join(facts)


def _groups() -> list[tuple[str, list[Setting[Any]]]]:
    return [(group, list(entries)) for group, entries in groupby(SETTINGS, key=lambda setting: setting.group)]

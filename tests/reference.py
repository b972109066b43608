"""Writes the reference pages that are made from the code: ``python -m tests.reference``.

commands.md is made from the commands' own parsers, data-model.md from the models, the others where they are
declared. tests/test_docs.py compares.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import django

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()

from django.apps import apps
from django.core.management import get_commands, load_command_class
from django.core.management.base import DjangoHelpFormatter
from django.db import models

from opssight.api import reference as api
from opssight.core import env_docs
from repos.providers.registry import all_providers
from repos.providers.types import Capability
from syncs.copy.formats.schema import FORMATS, schema

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("opssight", "repos", "syncs")

COMMON = {"help", "version", "verbosity", "settings", "pythonpath", "traceback", "no_color", "force_color"}
COMMON |= {"skip_checks", "json", "subcommand"}

_COMMANDS = """# Commands

`opssight X` and `manage.py X` are the same program. In a checkout it is `.venv/bin/opssight`.

- Every command takes `--json` and then prints exactly one JSON document on standard output. Progress, logs
  and sentences about failures go to standard error.
- `-v 0` leaves progress out; `-v 2` adds where in the code something unexpected went wrong.
- Exit status: 0 done; 1 it ran and something failed or did not match; 2 wrong usage, settings or input. A
  failure is one sentence; with `--json` the document is then `{"error": {"class", "sentence"}}`, see
  [errors](errors.md).
- On the command line the person at the keyboard is trusted with every folder of this machine. The commands
  act as the local administrator in the first team, or in the one that `--team` names; the audit log says so.

Besides these, Django's own commands are there: `migrate`, `createsuperuser`, `changepassword`,
`collectstatic`, `check`, `shell`. This page is made from the commands themselves; a test compares.
"""

_MODEL = """# Data model

Every table of OpsSight with its columns. Objects that belong to somebody have a team; who may see them
follows from the memberships and grants of that team alone. Ids are UUIDs that sort by time, except a
webhook's, which is random because it is part of its address.

Columns marked *encrypted* hold ciphertext that is bound to their row. This page is made from the models; a
test compares.
"""

_DOCUMENTS = {
    "doctor": '{"ok", "checks": [{"name", "ok", "detail"}]}',
    "demo": '{"jobs": [{"kind", "name", "status", "seconds", "summary"}]}',
    "hook add": '{"id", "path", "url"}, and the secret when it was made now; `path` is what to POST to',
    "delivery list": '{"results": [{"id", "provider", "event", "verdict", "events"}]}',
    "copy validate": '{"valid", "format", "errors": [{"where", "message"}], "warnings": […], "rules"}',
    "copy convert": '{"yaml", "conflicts": […]}; without it, the YAML',
    "copy sources": '{"format", "sources": [{"source", "branch", "rules", "targets", "target_names", '
    '"enabled"}]}',
    "copy test": '{"matched", "variables", "path"}; with `--template` alone, "path"; with `--file`, '
    '"matched" and "targets". With `--batch`: one JSON line for each line that is read, in order, see '
    "[copy](jobs.md#trying-patterns)",
    "copy init": '`{"template", "yaml"}`, or with `--output` `{"template", "file"}`',
    "copy import-env": '{"settings", "commands", "defaults", "notes": [{"variable", "sentence"}], "unknown"}',
    "copy send-webhook": '`{"sent", "delivery", "status", "answer"}`, or with `--dry-run` '
    '`{"sent", "delivery", "payload"}`',
    "copy history": '`{"results": […]}` as in [the API](copy-history.md#in-the-api)',
    "copy apply": '{"status", "targets": [{"repo", "branch", "strategy", "writes", "deletes", "skipped", '
    '"commit", "pull_request", "status", "error"}]}',
    "copy sync": "the same as `copy apply`",
}
"""What scripts hold on to: the documents that `--json` gives and that keep their shape."""


def commands_page() -> str:
    ours = {name: room for name, room in get_commands().items() if str(room).split(".")[0] in ROOMS}
    sections = [line for name in sorted(ours) for line in _command(name, str(ours[name]))]
    return "\n".join([_COMMANDS, *sections]).rstrip() + "\n"


def _command(name: str, room: str) -> Iterator[str]:
    command = load_command_class(room, name)
    parser = command.create_parser("opssight", name)
    yield from (f"## {name}", "", str(command.help), "")
    yield from _document(name)
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    yield from _usage(parser, f"opssight {name}", has_commands=bool(groups))
    for group in groups:
        for word, below in group.choices.items():
            yield from (f"### {name} {word}", "", str(below.description), "")
            yield from _document(f"{name} {word}")
            yield from _usage(below, f"opssight {name} {word}")


def _document(command: str) -> Iterator[str]:
    if shape := _DOCUMENTS.get(command):
        braces = shape.rfind("}") + 1
        shown = f"`{shape[:braces]}`{shape[braces:]}" if shape.startswith("{") else shape
        yield from (f"With `--json`: {shown}.", "")


def _usage(parser: argparse.ArgumentParser, program: str, *, has_commands: bool = False) -> Iterator[str]:
    """The usage line and a table of the arguments; nothing for a command that only has subcommands."""
    shown = [action for action in parser._actions if _is_shown(action)]
    if has_commands and not shown:
        return
    formatter = DjangoHelpFormatter(prog=program, width=10_000)
    formatter.add_usage(None, shown, parser._mutually_exclusive_groups, prefix="")
    yield from ("```", formatter.format_help().strip(), "```", "")
    if shown:
        yield from ("| argument | is |", "|---|---|")
        yield from (f"| `{_spelling(action)}` | {_meaning(action)} |" for action in shown)
        yield ""


def _is_shown(action: argparse.Action) -> bool:
    hidden = action.help == argparse.SUPPRESS or isinstance(action, argparse._SubParsersAction)
    return not hidden and action.dest not in COMMON


def _spelling(action: argparse.Action) -> str:
    value = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    if not action.option_strings:
        return value if action.metavar else action.dest
    takes_value = action.nargs != 0 and not action.choices
    return ", ".join(action.option_strings) + (f" {value}" if takes_value else "")


def _meaning(action: argparse.Action) -> str:
    words = str(action.help or "")
    if choices := [str(choice) for choice in action.choices or () if choice]:
        words = f"{words} One of: {', '.join(f'`{choice}`' for choice in choices)}."
    is_plain = isinstance(action.default, (str, int)) and not isinstance(action.default, bool)
    if is_plain and action.default != "" and action.nargs != 0 and "efault" not in words:
        words = f"{words} Default: `{action.default}`."
    return words.strip().replace("|", "\\|")


def data_model_page() -> str:
    sections: list[str] = []
    for config in apps.get_app_configs():
        tables = [model for model in config.get_models() if model.__module__.split(".")[0] in ROOMS]
        if tables:
            sections += [f"## {config.label}", ""]
        for model in tables:
            sections += [*_table(model), ""]
    return "\n".join([_MODEL, *sections]).rstrip() + "\n"


def _table(model: type[models.Model]) -> Iterator[str]:
    yield from (f"### {model.__name__}", "", _doc(model), "", f"Table `{model._meta.db_table}`.", "")
    yield from ("| column | type | notes |", "|---|---|---|")
    for field in model._meta.concrete_fields:
        yield f"| `{field.column}` | {_type(field)} | {'; '.join(_notes(field))} |"
    rules = [*_constraints(model)]
    if rules:
        yield from ("", *rules)


def _doc(model: type[models.Model]) -> str:
    text = (model.__doc__ or "").strip()
    return re.sub(r"\n\s*\n\s*", "\n\n", re.sub(r"(?<=\S)\n[ \t]+(?=\S)", "\n", text))


def _type(field: models.Field[object, object]) -> str:
    if isinstance(field, (models.ForeignKey, models.OneToOneField)):
        return f"→ {field.remote_field.model.__name__}"
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", field.get_internal_type().removesuffix("Field")).lower()
    words = {"uuid": "UUID", "json": "JSON", "char": "text", "date time": "time"}.get(words, words)
    length = field.max_length if isinstance(field, models.CharField) else None
    return f"{words}, ≤ {length}" if length else words


def _notes(field: models.Field[object, object]) -> Iterator[str]:
    if field.primary_key:
        yield "primary key"
    elif field.unique:
        yield "unique"
    if type(field).__name__ == "EncryptedTextField":
        yield "*encrypted*"
    if field.null:
        yield "may be empty"
    if choices := [str(value) for value, _ in field.flatchoices if value != ""]:
        yield ", ".join(f"`{choice}`" for choice in choices)


def _constraints(model: type[models.Model]) -> Iterator[str]:
    for constraint in model._meta.constraints:
        if isinstance(constraint, models.UniqueConstraint) and constraint.fields:
            where = " (for some rows only)" if constraint.condition else ""
            yield f"- Unique together: {', '.join(f'`{name}`' for name in constraint.fields)}{where}."


_CAPABILITIES = {
    Capability.LIST: "find repositories by itself",
    Capability.SEARCH: "search repositories by words",
    Capability.CREATE: "make repositories",
    Capability.DESCRIBE: "change description and visibility",
    Capability.ARCHIVE: "archive repositories",
    Capability.DELETE: "delete repositories",
    Capability.DEFAULT_BRANCH: "set the default branch",
    Capability.PULL_REQUESTS: "open, find, change, merge and close pull requests",
    Capability.DRAFTS: "drafts",
    Capability.LABELS: "labels",
    Capability.REVIEWERS: "reviewers",
    Capability.ASSIGNEES: "assignees",
    Capability.AUTO_MERGE: "merge by itself once the checks passed",
    Capability.SIGNED_COMMITS: "make commits by its API, signed by itself",
    Capability.STATUSES: "tell and read the result of a check",
    Capability.PIPELINES: "list runs of its CI",
    Capability.WEBHOOKS_IN: "deliveries can be verified",
    Capability.HOOKS: "register webhooks by itself",
    Capability.HOOK_TESTS: "send a test delivery when asked",
    Capability.REDELIVERY: "send again what did not arrive",
    Capability.RATE_LIMITS: "tell what is left of its limits",
}

_BEGIN = "<!-- capabilities: made by python -m tests.reference -->\n"
_END = "<!-- end of capabilities -->\n"


def providers_page() -> str:
    """The page as it is, with the table of capabilities between its markers made anew."""
    text = (ROOT / "docs/reference/providers.md").read_text(encoding="utf-8")
    before, rest = text.split(_BEGIN)
    _, after = rest.split(_END)
    return "".join([before, _BEGIN, *(f"{line}\n" for line in _capabilities()), _END, after])


def _capabilities() -> Iterator[str]:
    providers = all_providers()
    yield "| | " + " | ".join(f"`{one.kind}`" for one in providers) + " |"
    yield "|---" * (len(providers) + 1) + "|"
    for capability in Capability:
        cells = ["yes" if capability in one.capabilities else "–" for one in providers]
        yield f"| {_CAPABILITIES[capability]} | {' | '.join(cells)} |"


def schema_page(format_: str) -> str:
    return json.dumps(schema(format_), indent=1) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    ".env.example": env_docs.render_env_example,
    "docs/reference/settings.md": env_docs.render_reference,
    "docs/reference/api.md": api.render_reference,
    "docs/reference/openapi.yaml": api.render_openapi,
    "docs/reference/commands.md": commands_page,
    "docs/reference/data-model.md": data_model_page,
    "docs/reference/providers.md": providers_page,
}
PAGES |= {f"docs/reference/schemas/copy-{name}.json": partial(schema_page, name) for name in FORMATS}


def main() -> None:
    for name, page in PAGES.items():
        (ROOT / name).write_text(page(), encoding="utf-8")
        sys.stdout.write(f"{name}\n")


if __name__ == "__main__":
    main()

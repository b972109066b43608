"""The base of every command: words or one JSON document, sentences for what failed, exit 0, 1 or 2."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import secrets
import sys
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DatabaseError

from opssight.core.env_kinds import Kind
from opssight.core.errors import ErrorClass, Failure, InvalidInput
from opssight.core.logs import bind, bound
from opssight.core.redact import redact

T = TypeVar("T")

DONE, FAILED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130

_JSON = "Print one JSON document on standard output."
_VERBOSITY = "0: no progress; 2: where in the code something unexpected went wrong."


@dataclass(frozen=True)
class Answer:
    """What a command found out or did.

    `document` is printed with `--json` (dates, UUIDs and decimals may be in it); `text` is printed
    without. `failed` are sentences that name what failed; any of them makes the exit status 1.
    """

    document: object
    text: str = ""
    failed: Sequence[str] = ()


class OpsCommand(BaseCommand, ABC):
    """A command that answers in words or, with `--json`, in exactly one JSON document.

    It implements `arguments(parser)` and `run(**options) -> Answer`, or is a `CommandGroup`.

    Standard output carries the answer only; `progress()` and every sentence about a failure go to
    standard error. Exit status: 0 done, 1 something failed, 2 wrong usage, settings or input.
    """

    requires_system_checks = ()  # slow; `doctor` and `up` run them
    _verbosity = 1
    _json = False
    _reference = ""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help=_JSON)
        self.arguments(parser)

    def arguments(self, parser: CommandParser) -> None:
        """Add the command's own arguments."""

    @abstractmethod
    def run(self, **options: Any) -> Answer:
        """Do it. `options` are the arguments by their names."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run and answer. Raises `SystemExit` with the status unless it is 0."""
        self._verbosity = int(options.get("verbosity", 1))
        self._json = bool(options.get("json"))
        try:
            super().execute(*args, **options)
            return None
        except KeyboardInterrupt:
            self._say("Stopped.")
            raise SystemExit(INTERRUPTED) from None
        except BrokenPipeError:  # the reader (`head`) has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return None
        except Exception as error:  # the last line of defence: a sentence, not a traceback
            if options.get("traceback"):
                raise
            raise SystemExit(self._report(error)) from None

    def handle(self, *args: Any, **options: Any) -> None:
        with bind(request_id=bound().get("request_id") or secrets.token_hex(4)):
            self._reference = bound()["request_id"]
            answer = self.run(**options)
        if self._json:
            self._print_document(answer.document)
        elif answer.text:
            self.stdout.write(answer.text)
        self.stdout.flush()
        for sentence in answer.failed:
            self._say(sentence)
        if answer.failed:
            raise SystemExit(FAILED)

    def progress(self, text: str) -> None:
        """Tell on standard error how far it is; silent with `-v 0`."""
        if self._verbosity > 0:
            self.stderr.write(redact(text), lambda words: words)
            self.stderr.flush()

    def _report(self, error: Exception) -> int:
        status, lines = explain(error, self._reference)
        for line in lines:
            self._say(line)
        if self._verbosity >= 2:
            self.stderr.write(redact("".join(traceback.format_exception(error))), lambda words: words)
        if self._json:
            self._print_document({"error": _problem(error, lines)})
        return status

    def _say(self, sentence: str) -> None:
        self.stderr.write(redact(sentence))

    def _print_document(self, document: object) -> None:
        self.stdout.write(json.dumps(document, cls=DjangoJSONEncoder, indent=2))


class CommandGroup(OpsCommand):
    """A command with subcommands. It calls in `arguments` `self.subcommands(parser)` and for each
    `self.subcommand(group, name, method, help)`, which gives the parser for its arguments.
    """

    def run(self, **options: Any) -> Answer:
        method: Callable[..., Answer] = options.pop("method")
        return method(**options)

    def subcommands(self, parser: CommandParser) -> argparse._SubParsersAction[CommandParser]:
        return parser.add_subparsers(dest="subcommand", required=True, metavar="COMMAND", title="commands")

    def subcommand(
        self,
        group: argparse._SubParsersAction[CommandParser],
        name: str,
        method: Callable[..., Answer],
        help: str,
    ) -> CommandParser:
        """Add a subcommand that calls `method(**options)`; the common options may follow its name."""
        parser = group.add_parser(name, help=help, description=help)
        parser.set_defaults(method=method)
        parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=_JSON)
        for option in ("--traceback", "--no-color", "--force-color"):
            parser.add_argument(
                option, action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS
            )
        for option in ("--settings", "--pythonpath"):
            parser.add_argument(option, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        parser.add_argument("-v", "--verbosity", type=int, choices=[0, 1, 2, 3], default=argparse.SUPPRESS,
                            help=_VERBOSITY)  # fmt: skip
        return parser


def typed(kind: Kind[T]) -> Callable[[str], T]:
    """The `type` of an argument whose values are like those of a setting."""

    def parse(text: str) -> T:
        try:
            return kind.parse(text)
        except (ValueError, InvalidInput):
            raise argparse.ArgumentTypeError(f"{text!r} cannot be used: give {kind.accepts}.") from None

    return parse


def explain(error: Exception, reference: str = "") -> tuple[int, list[str]]:
    """The exit status and the lines that tell a person about `error`, without secrets."""
    if isinstance(error, InvalidInput):
        found = [f"{where}: {message}" if where else message for where, message in error.problems]
        return WRONG_INPUT, [redact(line) for line in found]
    if isinstance(error, Failure):
        return FAILED, [redact(error.sentence)]
    if isinstance(error, CommandError):
        return error.returncode, [redact(str(error))]
    if isinstance(error, DatabaseError):
        words = redact(str(error)).strip().partition("\n")[0].rstrip(".")
        return FAILED, [
            f"The database cannot be used: {words}. Check OPSSIGHT_DATABASE_URL, then run opssight up."
        ]
    what = type(error).__name__ + (f", reference {reference}" if reference else "")
    return FAILED, [f"Something unexpected went wrong ({what}). Run it again with -v 2 to see where."]


def _problem(error: Exception, lines: Sequence[str]) -> dict[str, object]:
    kind = error.error_class if isinstance(error, Failure) else ErrorClass.PERMANENT
    problem: dict[str, object] = {"class": kind.value, "sentence": " ".join(lines)}
    if isinstance(error, InvalidInput):
        problem["sentence"] = redact(error.sentence)
        problem["problems"] = [{"where": w, "message": redact(m)} for w, m in error.problems]
    return problem


def table(rows: Sequence[Mapping[str, object]], columns: Sequence[str | tuple[str, str]]) -> str:
    """Rows as aligned text. A column is a key, or a key and its heading; numbers align right."""
    pairs = [(column, column.replace("_", " ")) if isinstance(column, str) else column for column in columns]
    lines = [[heading for _, heading in pairs]]
    lines += [[_cell(row.get(key)) for key, _ in pairs] for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(pairs))]
    right = [bool(rows) and all(_is_number(row.get(key)) for row in rows) for key, _ in pairs]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _cell(value: object) -> str:
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dt.datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    # Names come from other people's servers and must not steer the terminal.
    return "".join(char if char.isprintable() else "?" for char in str(value))

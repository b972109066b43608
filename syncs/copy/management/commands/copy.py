"""`opssight copy …`: check a copier's configuration, try its rules, apply it between any repositories."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from opssight.core.command import Answer, OpsCommand, table
from opssight.core.errors import Failure, InvalidInput
from opssight.core.words import count
from repos.access import remote_typed
from repos.git.remote import Remote
from syncs.copy import batch
from syncs.copy.apply import Applied, apply_flows
from syncs.copy.formats import Loaded, load

MAX_CONFIG = 1_000_000  # bytes
_COMMIT = re.compile(r"[0-9a-f]{40}")


class Command(OpsCommand):
    help = "Check a copier configuration, try its rules, and apply it between git repositories."

    def arguments(self, parser: CommandParser) -> None:
        commands = self.subcommands(parser)
        validate = self.subcommand(commands, "validate", self.validate, "Check a configuration file.")
        validate.add_argument("file", help="The file, or - for standard input.")
        test = self.subcommand(commands, "test", self.test, "Try patterns, transforms and messages.")
        test.add_argument(
            "--batch", action="store_true", required=True, help="JSON lines in, JSON lines out."
        )
        apply = self.subcommand(commands, "apply", self.apply, "Copy what changed between two commits.")
        apply.add_argument("--base", required=True, help="The commit to compare with, all 40 digits.")
        apply.add_argument("--head", required=True, help="The commit to copy, all 40 digits.")
        sync = self.subcommand(commands, "sync", self.sync, "Copy the whole tree at the head (backfill).")
        for command in (apply, sync):
            command.add_argument("file", help="The configuration file, or - for standard input.")
            command.add_argument(
                "--repo", action="append", default=[], metavar="OWNER/NAME=URL",
                help="Where a repository of the file is: any git URL, a folder, or CONNECTION:owner/name. "
                "Repeat for each.",
            )  # fmt: skip
            command.add_argument(
                "--source", required=True, metavar="OWNER/NAME", help="The source to copy from."
            )
            command.add_argument(
                "--dry-run", action="store_true", help="Say what would be written; write nothing."
            )

    def validate(self, **options: Any) -> Answer:
        loaded = load(read(options["file"]))
        document = {
            "valid": not loaded.errors,
            "format": loaded.format,
            "errors": [{"where": where, "message": message} for where, message in loaded.errors],
            "warnings": [{"where": where, "message": message} for where, message in loaded.warnings],
            "rules": loaded.rules,
        }
        for where, message in loaded.warnings:
            self.progress(f"warning: {where}: {message}" if where else f"warning: {message}")
        if loaded.errors:
            self._print(document)
            raise InvalidInput("The configuration cannot be used.", list(loaded.errors))
        return Answer(document, f"Valid: {loaded.format}, {count(loaded.rules, 'rule')}.")

    def _print(self, document: dict[str, Any]) -> None:
        """The document of an invalid file; the sentences follow on standard error with status 2."""
        if self._json:
            self.stdout.write(json.dumps(document, indent=2))
            self._json = False

    def test(self, **options: Any) -> Answer:
        for line in sys.stdin:
            if line.strip():
                sys.stdout.write(json.dumps(batch.answer(line), ensure_ascii=False) + "\n")
        sys.stdout.flush()
        raise SystemExit(0)

    def apply(self, **options: Any) -> Answer:
        return self._apply(options, base=commit(options, "base"), head=commit(options, "head"))

    def sync(self, **options: Any) -> Answer:
        return self._apply(options, base="", head="")

    def _apply(self, options: dict[str, Any], *, base: str, head: str) -> Answer:
        loaded = load(read(options["file"]))
        if loaded.errors:
            raise InvalidInput("The configuration cannot be used.", list(loaded.errors))
        applied = apply_flows(
            flows_of(loaded, options["source"]),
            remotes_of(options["repo"]),
            base=base,
            head=head,
            dry_run=options["dry_run"],
            say=self.progress,
        )
        return _answer(applied)


def read(name: str) -> bytes:
    """The file's bytes, or standard input for `-`. InvalidInput when it cannot be read or is too large."""
    try:
        with sys.stdin.buffer if name == "-" else Path(name).open("rb") as file:
            data = file.read(MAX_CONFIG + 1)
    except OSError as error:
        raise InvalidInput(f"The file {name} cannot be read: {error.strerror}.") from None
    if len(data) > MAX_CONFIG:
        raise InvalidInput(f"The file {name} is larger than 1 MB. A copier configuration is smaller.")
    return data


def flows_of(loaded: Loaded, source: str) -> list[Any]:
    flows = [flow for flow in loaded.flows if flow.source_repo == source]
    if not flows:
        known = ", ".join(sorted({flow.source_repo for flow in loaded.flows})) or "none"
        raise InvalidInput(f"No rule of the file copies from {source}. Its sources are: {known}.")
    return flows


def remotes_of(pairs: list[str]) -> dict[str, Remote]:
    """`OWNER/NAME=URL` pairs as a mapping. InvalidInput names the pair that cannot be used."""
    remotes: dict[str, Remote] = {}
    for pair in pairs:
        name, found, url = pair.partition("=")
        if not found or not name or not url:
            raise InvalidInput(f"--repo {pair!r} is not OWNER/NAME=URL, such as acme/docs=/srv/git/docs.git.")
        if name in remotes:
            raise InvalidInput(f"--repo {name} was given twice.")
        try:
            remotes[name] = remote_typed(url, name)
        except Failure as failure:
            raise InvalidInput(failure.sentence, [(f"--repo {name}", failure.sentence)]) from None
    return remotes


def commit(options: dict[str, Any], name: str) -> str:
    """The option as the id of a commit. InvalidInput for a branch, a tag or a part of an id."""
    given: str = options[name].lower()
    if not _COMMIT.fullmatch(given):
        raise InvalidInput(
            f"--{name} {options[name]!r} is not the id of a commit. Give all 40 digits of it; "
            "git rev-parse shows them."
        )
    return given


def _answer(applied: list[Applied]) -> Answer:
    wrong = [one for one in applied if one.error]
    failed = [one for one in applied if one.status == "failed"]
    status = "succeeded" if not wrong else ("failed" if len(failed) == len(applied) else "partial")
    rows = [one.document() for one in applied]
    text = table(rows, ["repo", "branch", "status", "writes", "skipped", "commit"])
    return Answer({"status": status, "targets": rows}, text, [f"{one.repo}: {one.error}" for one in wrong])

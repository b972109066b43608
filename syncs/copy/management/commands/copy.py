"""`opssight copy …`: check a copier's configuration, try its rules, apply it between any repositories."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from opssight.core.command import Answer, CommandGroup, table
from opssight.core.errors import InvalidInput
from opssight.core.words import count
from syncs.copy.commands import batch, converting, hooking, starting, trying
from syncs.copy.commands.apply import Applied, apply_flows, forges_of
from syncs.copy.commands.arguments import add_file_arguments, add_hook_arguments, add_trying_arguments
from syncs.copy.commands.history import add_history_arguments, history_of
from syncs.copy.commands.opening import read, remotes_of, source_of, usable
from syncs.copy.formats import Loaded, import_env
from syncs.copy.formats.convert import WRITTEN
from syncs.copy.formats.schema import FORMATS, schema
from syncs.copy.rules.config import Flow

_COMMIT = re.compile(r"[0-9a-f]{40}")


class Command(CommandGroup):
    help = "Check a copier configuration, try its rules, and apply it between git repositories."

    def arguments(self, parser: CommandParser) -> None:
        commands = self.subcommands(parser)
        validate = self.subcommand(commands, "validate", self.validate, "Check a configuration file.")
        add_file_arguments(validate, source=True)
        convert = self.subcommand(
            commands, "convert", self.convert, "Write configuration files as one, in another format."
        )
        convert.add_argument("files", nargs="+", metavar="file", help="The files, or - for standard input.")
        convert.add_argument("--to", required=True, choices=WRITTEN, help="The format to write.")
        add_file_arguments(convert, source=True, file=False)
        sources = self.subcommand(commands, "sources", self.sources, "List what a file copies from.")
        add_file_arguments(sources, source=True)
        test = self.subcommand(commands, "test", self.test, "Try patterns, transforms, files and messages.")
        add_trying_arguments(test)
        init = self.subcommand(commands, "init", self.init, "Print a configuration to begin with.")
        init.add_argument("--template", choices=tuple(starting.TEMPLATES), default="basic", help="Which one.")
        init.add_argument("--output", default="", metavar="FILE", help="Write it to this new file instead.")
        env = self.subcommand(
            commands, "import-env", self.import_env, "Say what an examples-copier's variables become here."
        )
        env.add_argument("file", help="A file of NAME=VALUE lines or of YAML keys, or - for standard input.")
        of_format = self.subcommand(commands, "schema", self.schema, "Print the JSON Schema of a format.")
        of_format.add_argument("--format", choices=FORMATS, default="workflows", help="The format.")
        hook = self.subcommand(
            commands, "send-webhook", self.send_webhook, "Send a signed delivery of a merged pull request."
        )
        add_hook_arguments(hook)
        past = self.subcommand(commands, "history", self.history, "List what copies did, or sums of it.")
        add_history_arguments(past)
        self._applying(commands)

    def _applying(self, commands: Any) -> None:
        apply = self.subcommand(commands, "apply", self.apply, "Copy what changed between two commits.")
        apply.add_argument("--base", required=True, help="The commit to compare with, all 40 digits.")
        apply.add_argument("--head", required=True, help="The commit to copy, all 40 digits.")
        sync = self.subcommand(commands, "sync", self.sync, "Copy the whole tree at the head (backfill).")
        for command in (apply, sync):
            add_file_arguments(command)
            command.add_argument(
                "--source", required=True, metavar="OWNER/NAME[@BRANCH]",
                help="The source to copy from; with a branch only by the rules that copy from it. A file of "
                "the oldest format (v0), which names no branch, copies from this one (default: main).",
            )  # fmt: skip
            command.add_argument(
                "--dry-run",
                action="store_true",
                help="Show every difference that it would make, and write nothing.",
            )

    def validate(self, **options: Any) -> Answer:
        loaded, document = converting.validated(options)
        converting.tell(loaded, self.progress)
        if loaded.errors:
            self._print(document)
            raise InvalidInput("The configuration cannot be used.", list(loaded.errors))
        return Answer(document, f"Valid: {loaded.format}, {count(loaded.rules, 'rule')}.")

    def _print(self, document: dict[str, Any]) -> None:
        """The document of an invalid file; the sentences follow on standard error with status 2."""
        if self._json:
            self.stdout.write(json.dumps(document, indent=2))
            self._json = False

    def history(self, **options: Any) -> Answer:
        return history_of(options)

    def convert(self, **options: Any) -> Answer:
        return converting.convert(options, self.progress)

    def sources(self, **options: Any) -> Answer:
        return converting.sources(options)

    def test(self, **options: Any) -> Answer:
        if not options["batch"]:
            return trying.tried(options)
        for line in sys.stdin:
            if line.strip():
                sys.stdout.write(json.dumps(batch.answer(line), ensure_ascii=False) + "\n")
        sys.stdout.flush()
        raise SystemExit(0)

    def init(self, **options: Any) -> Answer:
        name, output = options["template"], options["output"]
        if not output:
            return Answer({"template": name, "yaml": starting.TEMPLATES[name]}, starting.TEMPLATES[name])
        starting.write(name, output)
        return Answer(
            {"template": name, "file": output}, f"{output} is written. Change it, then validate it."
        )

    def import_env(self, **options: Any) -> Answer:
        found = import_env.imported(import_env.variables_in(read(options["file"])))
        return Answer(found.document(), found.text())

    def schema(self, **options: Any) -> Answer:
        document = schema(options["format"])
        return Answer(document, json.dumps(document, indent=2))

    def send_webhook(self, **options: Any) -> Answer:
        return hooking.send(options, settings.ENV, self.progress)

    def apply(self, **options: Any) -> Answer:
        return self._apply(options, base=commit(options, "base"), head=commit(options, "head"))

    def sync(self, **options: Any) -> Answer:
        return self._apply(options, base="", head="")

    def _apply(self, options: dict[str, Any], *, base: str, head: str) -> Answer:
        loaded = usable(options, options["file"], source=source_of(options["source"]))
        for where, message in loaded.left_out:
            self.progress(f"warning: {where}: {message}")
        applied = apply_flows(
            _flows_from(loaded, options["source"]),
            remotes_of(options["repo"]),
            base=base,
            head=head,
            dry_run=options["dry_run"],
            say=self.progress,
            forges=forges_of(options["repo"]),
        )
        return _answer(applied)


def _flows_from(loaded: Loaded, source: str) -> list[Flow]:
    name, named, branch = source.partition("@")
    flows = [flow for flow in loaded.flows if flow.source_repo == name]
    flows = [flow for flow in flows if not named or flow.source_branch == branch]
    if not flows:
        ends = {(flow.source_repo, flow.source_branch) for flow in loaded.flows}
        known = ", ".join(sorted({f"{repo}@{at}" if named else repo for repo, at in ends})) or "none"
        raise InvalidInput(f"No rule of the file copies from {source}. Its sources are: {known}.")
    return flows


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
    patches = [f"\n{one.repo} {one.branch}\n\n{one.patch}" for one in applied if one.patch]
    return Answer(
        {"status": status, "targets": rows},
        "\n".join([text, *patches]),
        [f"{one.repo}: {one.error}" for one in wrong],
    )

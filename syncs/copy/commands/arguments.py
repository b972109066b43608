"""Arguments that several subcommands of `opssight copy` share, or that one has many of."""

from __future__ import annotations

from django.core.management.base import CommandParser

from opssight.core.command import typed
from opssight.core.env_kinds import whole_number
from syncs.copy.rules.rule import EXCLUDE_SYNTAXES, FLAVOURS, RULE_TYPES


def add_file_arguments(parser: CommandParser, *, source: bool = False, file: bool = True) -> None:
    """The file, and where the repositories and further files that it names are."""
    if file:
        parser.add_argument("file", help="The configuration file, or - for standard input.")
    add_place_arguments(parser)
    if source:
        parser.add_argument(
            "--source", default="", metavar="OWNER/NAME[@BRANCH]",
            help="What a file of the oldest format (v0) copies from: it does not say so itself.",
        )  # fmt: skip


def add_place_arguments(parser: CommandParser) -> None:
    parser.add_argument(
        "--repo", action="append", default=[], metavar="OWNER/NAME=URL",
        help="Where a repository of the file is: any git URL, a folder, or CONNECTION:owner/name. "
        "Repeat for each.",
    )  # fmt: skip
    parser.add_argument(
        "--root", default="", metavar="FOLDER",
        help="The folder that paths in the file begin in (default: the top of the checkout that the file "
        "is in, else its folder). Nothing outside of it is read.",
    )  # fmt: skip


def add_trying_arguments(parser: CommandParser) -> None:
    parser.add_argument("--batch", action="store_true", help="JSON lines in, JSON lines out.")
    parser.add_argument("--path", default="", metavar="FILE", help="The path of a file, to try with.")
    parser.add_argument("--pattern", default="", help="Does this pattern take the path?")
    parser.add_argument("--type", choices=RULE_TYPES, default="glob", help="What kind of pattern it is.")
    parser.add_argument("--exclude", action="append", default=[], metavar="PATTERN",
                        help="Leave out what this takes. Repeat for each.")  # fmt: skip
    parser.add_argument("--exclude-syntax", choices=EXCLUDE_SYNTAXES, default="",
                        help="How excludes are read (default: as globs, if they can be).")  # fmt: skip
    parser.add_argument("--meaning", choices=FLAVOURS, default="native",
                        help="Whose variables a glob gives: ours, of copy_rules, of workflows.")  # fmt: skip
    parser.add_argument("--template", default="", help="Where does this template put the path?")
    parser.add_argument("--var", action="append", default=[], metavar="NAME=VALUE",
                        help="A variable of the template. Repeat for each.")  # fmt: skip
    parser.add_argument("--file", default="", metavar="CONFIG",
                        help="Which rules of this configuration file take the path?")  # fmt: skip
    parser.add_argument("--source", default="", metavar="OWNER/NAME",
                        help="Only the rules that copy from this repository.")  # fmt: skip
    add_place_arguments(parser)


def add_hook_arguments(parser: CommandParser) -> None:
    parser.add_argument(
        "--url", required=True, help="Where to send it, such as http://127.0.0.1:8000/webhook."
    )
    parser.add_argument("--secret", default="", metavar="SOURCE",
                        help="-, env:VARIABLE or file:PATH. Without it, it is not signed.")  # fmt: skip
    parser.add_argument("--pr", type=typed(whole_number(1)), default=None, metavar="N",
                        help="The number of the pull request.")  # fmt: skip
    parser.add_argument("--owner", default="", help="The owner of its repository.")
    parser.add_argument("--repo", default="", dest="repo_name", metavar="NAME",
                        help="The name of its repository.")  # fmt: skip
    parser.add_argument("--branch", default="main", help="The branch that it was merged into.")
    parser.add_argument("--commit", default="", metavar="SHA", help="The commit that the merge made.")
    parser.add_argument("--payload", default="", metavar="FILE",
                        help="Send this delivery instead, or - for standard input.")  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="Print the delivery; send nothing.")

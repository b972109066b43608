"""`copy init`: configurations to begin with, each in one format and ready to be changed."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from opssight.core.errors import InvalidInput

_BASIC: Final = """\
# Everything below docs/ of one repository goes to another one.
# opssight copy validate FILE checks it; opssight copy test --file FILE --path docs/a.md tries it.
name: Docs to website
source: {repository: acme/handbook, branch: main}
rules:
  - type: move
    pattern: docs
    template: handbook
    exclude: ["**/drafts/**"]
targets:
  - {repository: acme/website, branch: main}
message: Bring ${file_count} files from ${source_repo}
strategy: pull_request
"""

_GLOB: Final = """\
# Pages of all folders: ** takes any number of folders, * and ? stay within one name.
name: Pages to website
source: {repository: acme/handbook, branch: main}
rules:
  - type: glob
    pattern: pages/**/*.md
    template: content/${relative_path}   # what follows the fixed beginning, pages/
targets:
  - {repository: acme/website, branch: main}
"""

_REGEX: Final = """\
# A named group becomes a variable of the target. Expressions are RE2: no backreferences, no look-around.
name: Examples by language
source: {repository: acme/examples, branch: main}
rules:
  - type: regex
    pattern: ^examples/(?P<lang>[^/]+)/(?P<rest>.+)$
    template: code/${lang}/${rest}
    exclude: ['_test\\.[a-z]+$']
    exclude_syntax: regex
targets:
  - {repository: acme/website, branch: main}
"""

_WORKFLOWS: Final = """\
# Workflows, as examples-copier has them: each from one source to one destination.
defaults:
  commit_strategy: {type: pull_request, pr_title: "Update from ${source_repo}"}
  exclude: ["**/.env"]
workflows:
  - name: server
    source: {repo: acme/examples, branch: main}
    destination: {repo: acme/server-sample, branch: main}
    transformations:
      - move: {from: app/server, to: server}
      - copy: {from: README-SERVER.md, to: README.md}
"""

TEMPLATES: Final = {"basic": _BASIC, "glob": _GLOB, "regex": _REGEX, "workflows": _WORKFLOWS}


def write(template: str, output: str) -> None:
    """Write a template to a new file. InvalidInput when there is one already, or it cannot be written."""
    try:
        with Path(output).open("x", encoding="utf-8") as file:
            file.write(TEMPLATES[template])
    except FileExistsError:
        raise InvalidInput(
            f"{output} is there already; it is not overwritten. Choose another name."
        ) from None
    except OSError as error:
        raise InvalidInput(f"{output} cannot be written: {error.strerror}.") from None

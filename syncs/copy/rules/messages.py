"""Messages of commits and pull requests from templates: `${file_count} files from ${source_repo}`.

Known names: rule_name, source_repo, target_repo, source_branch, target_branch, file_count,
pr_number, commit_sha, and any variable of a match that the caller gives. An unknown `${name}`
stays as it is written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

# What stands for an empty template of a commit, and in files with workflows.
DEFAULT: Final = "Update code examples from ${source_repo}"
WORKFLOW_DEFAULT: Final = "Update from workflow: ${rule_name}"

# What stands for an empty template of a pull request's text.
_BODY: Final = "Automated update of ${file_count} file(s) from ${source_repo}"
_BODY_OF_PULL: Final = f"{_BODY} (PR #${{pr_number}})"

_VARIABLE: Final = re.compile(r"\$\{([^{}]+)\}")


def render_message(template: str, values: Mapping[str, str]) -> str:
    """`template`, or the default when it is empty, with its variables replaced.

    Values are never read as templates.
    """
    return _VARIABLE.sub(lambda found: values.get(found[1], found[0]), template or DEFAULT)


def render_body(template: str, values: Mapping[str, str]) -> str:
    """The text of a pull request; an empty template is one sentence that says how many files came.

    The sentence names the pull request at the source where there is one (`pr_number` in `values`).
    """
    default = _BODY_OF_PULL if values.get("pr_number") else _BODY
    return render_message(template or default, values)

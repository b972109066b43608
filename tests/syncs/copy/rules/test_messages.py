from __future__ import annotations

import pytest

from syncs.copy.rules.messages import render_body, render_message

VALUES = {
    "rule_name": "docs",
    "source_repo": "acme/docs",
    "target_repo": "acme/app",
    "source_branch": "main",
    "target_branch": "dev",
    "file_count": "3",
    "pr_number": "7",
    "commit_sha": "9c41e07",
    "lang": "go",
    "tricky": "${file_count}",
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("Sync ${file_count} files from ${source_repo}@${commit_sha}", "Sync 3 files from acme/docs@9c41e07"),
        ("${rule_name}: ${source_branch} to ${target_repo} ${target_branch} (#${pr_number})",
         "docs: main to acme/app dev (#7)"),
        ("${lang}", "go"),
        ("${unknown} ${File_count} $file_count ${}", "${unknown} ${File_count} $file_count ${}"),
        ("${tricky}", "${file_count}"),  # values are not templates
        ("a\n\nb ${lang}\n", "a\n\nb go\n"),
        ("", "Update code examples from acme/docs"),
    ],
)  # fmt: skip
def test_render(template: str, text: str) -> None:
    assert render_message(template, VALUES) == text


@pytest.mark.parametrize(
    ("template", "pr_number", "text"),
    [
        ("", "7", "Automated update of 3 file(s) from acme/docs (PR #7)"),
        ("", "", "Automated update of 3 file(s) from acme/docs"),
        ("As of ${commit_sha}.", "7", "As of 9c41e07."),
        ("#${pr_number} ${unknown}", "", "# ${unknown}"),
    ],
)
def test_the_text_of_a_pull_request(template: str, pr_number: str, text: str) -> None:
    assert render_body(template, VALUES | {"pr_number": pr_number}) == text

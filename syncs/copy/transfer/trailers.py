"""The lines at the end of a commit of ours, by which it is known again."""

from __future__ import annotations

from typing import Final

RUN_KEY: Final = "OpsSight-Run-Key"  # <run>/<target>/<commit of the source>
SOURCE: Final = "OpsSight-Source"  # <repository>@<commit>


def trailers(source_repo: str, head: str, run_key: str) -> str:
    """The lines, each with its end."""
    return f"{SOURCE}: {source_repo}@{head}\n{RUN_KEY}: {run_key}\n"

"""Looks for what may not be in a tracked file: tokens, private keys, package indexes, paths of a machine.

``python -m tests.scan`` prints each place and exits 1 when there is one. A made-up token in a test
says so: it has `example`, `canary`, `…` or a run like `0123`, `abcd` or `x1y2` in it.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

_MADE_UP = re.compile(
    r"example|canary|0123|1234|abcd|x1y2|16C7e42F292c6912E7710c838347Ae178B4a|…", re.IGNORECASE
)
"""In a token that opens nothing; the hexadecimal one is from a forge's public documentation."""

TOKENS = re.compile(
    r"\bgh[opsur]_[A-Za-z0-9]{16,}|\bgithub_pat_\w{20,}|\bgl(?:pat|ptt|dt|rt)-[\w-]{16,}|\bATBB\w{16,}"
    r"|\bxox[abprs]-[\w-]{10,}|\bosp_\w{8,}\.\w{16,}|\b(?:AKIA|ASIA)[A-Z0-9]{16}|\bsk-[\w-]{24,}"
    r"|\bAIza[\w-]{30,}|\bhooks\.slack\.com/services/T\w{6,}/B\w{6,}/\w{12,}"
    r"|\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{40,}"
)
KEYS = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=\s]{200,}")
INDEXES = re.compile(
    r"(?:pypi|pythonhosted)\.(?:org|io)|\b(?:devpi|artifactory|nexus)\.[\w-]+\.\w+", re.IGNORECASE
)
PATHS = re.compile(r"(?<![\w.])/(?:work|opt/pypi|opt/wheels|root|Users/\w+|home/\w+)/")
ADDRESSES = re.compile(r"https?://|--index-url|--extra-index-url|--find-links")


def main() -> int:
    found = [line for path in tracked() for line in findings(path, text_of(path))]
    for line in found:
        sys.stdout.write(f"{line}\n")
    return 1 if found else 0


def tracked() -> list[str]:
    """The paths of all tracked files, relative to the checkout."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for path in done.stdout.split("\0") if path and (ROOT / path).is_file()]


def findings(path: str, text: str) -> Iterator[str]:
    """A line `path:number: what` for each thing in `text` that may not be there; without the thing."""
    for what, pattern in (("a token", TOKENS), ("a private key", KEYS)):
        for found in pattern.finditer(text):
            if not _MADE_UP.search(found[0]):
                yield f"{path}:{_line(text, found)}: {what}"
    rules = [("a package index", INDEXES), ("a path of one machine", PATHS)]
    if path.endswith(".lock"):
        rules.append(("a download address", ADDRESSES))
    if path != "tests/scan.py":
        for what, pattern in rules:
            yield from (f"{path}:{_line(text, found)}: {what}" for found in pattern.finditer(text))


def _line(text: str, found: re.Match[str]) -> int:
    return text.count("\n", 0, found.start()) + 1


def text_of(path: str) -> str:
    return (ROOT / path).read_bytes().decode("utf-8", errors="replace")


if __name__ == "__main__":
    sys.exit(main())

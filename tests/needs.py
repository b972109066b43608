"""What the machine must have for tests with a marker, and where that is found."""

from __future__ import annotations

import os
import shutil

CHROMIUM = os.environ.get("OPSSIGHT_TEST_CHROMIUM") or shutil.which("chromium")

_FOUND = {
    "browser": (CHROMIUM is not None, "no chromium here: apt-get install chromium"),
    "ssh": (
        shutil.which("ssh-add") is not None,
        "no OpenSSH here: apt-get install openssh-client",
    ),
    "root": (os.geteuid() == 0, "only root can give files away"),
}
MISSING = {marker: reason for marker, (found, reason) in _FOUND.items() if not found}
"""Why tests with a marker are skipped here. In CI they may not be: `REQUIRED` in tests/conftest.py."""

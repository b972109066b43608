"""`opssight doctor`: is everything right for this installation to work on this machine?"""

from __future__ import annotations

import datetime as dt
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from opssight.audit import triggers
from opssight.core import rotation
from opssight.core.clock import db_now_value, now
from opssight.core.command import Answer, OpsCommand
from opssight.core.env import Env
from opssight.core.errors import Failure
from opssight.core.words import count, join_words, seconds
from opssight.health import Check, checks
from repos import access
from repos.git.signing import public_words
from syncs.copy import receiver
from syncs.copy.transfer import signing
from syncs.models import Run, RunState

OLDEST_GIT = (2, 30)
MAX_CLOCK_SECONDS = 5.0


class Command(OpsCommand):
    help = "Check that everything is right: settings, database, keys, folders, git, clock."

    def run(self, **options: Any) -> Answer:
        found = diagnose()
        ok = all(check.ok for check in found)
        document = {"ok": ok, "checks": [asdict(check) for check in found]}
        text = "\n".join(
            f"{'ok   ' if check.ok else 'WRONG'}  {check.name}: {check.detail}" for check in found
        )
        failed = [f"{check.name}: {check.detail}" for check in found if not check.ok]
        return Answer(document, text, failed)


def diagnose() -> list[Check]:
    """Everything that `/readyz` asks, and what only this machine can tell."""
    found = {check.name: check for check in checks()}
    if found["migrations"].ok:
        if not found["worker"].ok:
            found["worker"] = _without_worker()
        if found["keys"].ok:
            found["keys"] = check_stored_keys()
        found["audit"] = check_audit()
        found["clock"] = check_clock()
        found["git"] = check_git()
        if settings.COPIER_WEBHOOK is not None:
            found["copier_webhook"] = check_copier_webhook()
    own = [check_python(), *check_settings(), check_guard(), check_folder("data", settings.DATA)]
    return [*own, check_folder("stores", settings.STORES), *check_roots(), *check_signing(), *found.values()]


def _without_worker() -> Check:
    """No worker is only wrong where something waits for one."""
    due = Run.objects.filter(state=RunState.QUEUED, run_after__lte=Now()).count()
    if due:
        waiting = count(due, "run")
        return Check("worker", False, f"No worker runs, though {waiting} should start: run opssight worker.")
    return Check(
        "worker", True, "No worker runs, and nothing waits. opssight up or opssight worker starts one."
    )


def check_python() -> Check:
    return Check("python", sys.version_info >= (3, 11), f"Python {sys.version.split()[0]}.")


def check_settings() -> Iterator[Check]:
    env: Env = settings.ENV
    yield Check("settings", not env.warnings, " ".join(env.warnings) or f"Mode {env.mode}.")


def check_git() -> Check:
    try:
        text = access.git().run(["version"]).stdout.decode("ascii", "replace").strip()
    except Failure as failure:
        return Check("git", False, failure.sentence)
    match = re.search(r"(\d+)\.(\d+)", text)
    if match is None or (int(match[1]), int(match[2])) < OLDEST_GIT:
        oldest = ".".join(map(str, OLDEST_GIT))
        return Check("git", False, f"{text or 'git'} is too old: install {oldest} or newer.")
    return Check("git", True, f"{text}.")


def check_guard() -> Check:
    """setpriv ends git with its parent; without it a slower guard does."""
    if shutil.which("setpriv"):
        return Check("setpriv", True, "git ends together with the process that started it.")
    if platform.system() == "Linux":
        return Check("setpriv", False, "setpriv is not installed: install util-linux.")
    return Check("setpriv", True, "Not there on this system; git is ended by another guard.")


def check_folder(name: str, folder: Path | str) -> Check:
    """Whether files can be made in the folder, by making one."""
    path = Path(folder)
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path) as file:
            file.write(b"check")
    except OSError as error:
        return Check(name, False, f"{path} cannot be written: {error.strerror}.")
    return Check(name, True, f"{path} can be written.")


def check_roots() -> Iterator[Check]:
    roots = [Path(root) for root in settings.FOLDER_ROOTS]
    bad = [str(root) for root in roots if not (root.is_dir() and os.access(root, os.R_OK | os.X_OK))]
    if bad:
        yield Check("folder_roots", False, f"Not a folder that can be read: {join_words(bad)}.")
    elif roots:
        yield Check("folder_roots", True, f"{count(len(roots), 'folder')} allowed for folder connections.")


def check_signing() -> Iterator[Check]:
    """The public part of the key that commits are signed with, as people register it at a forge."""
    try:
        key = signing.installation_key()
    except Failure as failure:
        yield Check("signing_key", False, failure.sentence)
        return
    if key:
        words = public_words(key)
        yield Check("signing_key", True, f"Commits are signed where a rule says so. Register it: {words}")


def check_stored_keys() -> Check:
    status = rotation.status()
    if status.missing:
        names = join_words(status.missing)
        return Check("keys", False, f"Stored secrets need keys that are not here: {names}. Put them back.")
    used = sum(status.totals.values())
    return Check(
        "keys", True, f"{count(len(status.kids), 'key')} for {count(used, 'stored secret')} and seals."
    )


def check_audit() -> Check:
    missing = triggers.missing(connection)
    if missing:
        return Check("audit", False, f"The audit log is not protected: {join_words(missing)} is gone.")
    return Check("audit", True, "The database refuses changes of the audit log.")


def check_copier_webhook() -> Check:
    """Whether the addresses of an examples-copier lead somewhere."""
    hook = receiver.hook()
    if hook is None:
        sentence = (
            "OPSSIGHT_COPIER_WEBHOOK names no webhook of GitHub, so /webhook and /events answer 404. "
            "opssight hook list shows what there is."
        )
        return Check("copier_webhook", False, sentence)
    return Check("copier_webhook", True, f"/webhook and /events lead to {hook}.")


def check_clock() -> Check:
    """This machine's clock against the database's; leases use the database's, logs this one."""
    off: dt.timedelta = abs(now() - db_now_value(connection))
    apart = seconds(off.total_seconds())
    if off.total_seconds() > MAX_CLOCK_SECONDS:
        return Check("clock", False, f"This machine and the database are {apart} apart: set up time sync.")
    return Check("clock", True, f"{apart} apart from the database.")

"""Keeping up with copiers' files: a push makes them due, a chore of the supervisor reads them again.

Nothing is asked of a git server in the event's transaction. Each team has its share of the threads.
"""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from typing import Final

from django.db.models import Q
from django.db.models.functions import Now

from opssight.accounts.models import Role
from opssight.accounts.scope import visible_to
from opssight.core.errors import Failure, InvalidInput, NotFound
from repos import beside
from repos.events import Event, Imported, Pushed
from repos.models import Connection, Repository
from repos.webhook_status import is_told
from syncs import jobs
from syncs.copy.files import following as config_files
from syncs.copy.files.given import Given, from_repository, from_texts
from syncs.copy.files.reads import StoreReads
from syncs.copy.models import ConfigFile
from syncs.engine.claim import after

logger = logging.getLogger(__name__)

EVERY_SECONDS: Final = 2.0
LEASE: Final = dt.timedelta(minutes=5)  # a file that was being read when its process died is due again then
SECONDS: Final = 120.0  # that the requests for one file may take
_HEADS: Final = "refs/heads/"
_BATCH: Final = 20


def answer(event: Event) -> None:
    """A push to a branch that a file is read from, or new repositories that a broken one may wait for."""
    if isinstance(event, Pushed):
        read = Q(reads__repository_id=event.repository_id, reads__branch=event.ref.removeprefix(_HEADS))
        files = ConfigFile.objects.filter(read).values("pk")
        ConfigFile.objects.filter(pk__in=files).update(due_at=Now())
    elif isinstance(event, Imported):
        team = Connection.objects.filter(pk=event.connection_id).values("team_id")
        waiting = ConfigFile.objects.filter(team_id__in=team).exclude(sentence="")
        waiting.update(due_at=Now(), seen_digest="")


def read_due() -> int:
    """Begin to read the files that are due; each is claimed by a compare-and-set. How many were begun."""
    begun = 0
    due = ConfigFile.objects.filter(due_at__lte=Now()).order_by("due_at")
    for id, team in list(due.values_list("pk", "team_id")[:_BATCH]):
        claimed = ConfigFile.objects.filter(pk=id, due_at__lte=Now()).update(due_at=after(LEASE))
        if claimed:
            _begin(id, team)
            begun += 1
    return begun


def _begin(id: uuid.UUID, team: uuid.UUID) -> None:
    beside.ask(("config-file", id), 0.0, lambda: reload(id), owner=team, seconds=SECONDS)


def reload(id: uuid.UUID) -> bool:
    """Read a file again and put it in force when it changed and is whole. False when it is gone."""
    rows = ConfigFile.objects.select_related("repository__connection", "team", "created_by", "version")
    file = rows.filter(pk=id).first()
    if file is None:
        return False
    later = after(dt.timedelta(seconds=jobs.default_poll_seconds())) if _unheard(file) else None
    try:
        _read_again(file)
    except Failure as failure:
        logger.info("%s could not be read: %s", file.name, failure.sentence)
        later = after(LEASE)
    # a push that came meanwhile has made it due already, which stays
    ConfigFile.objects.filter(pk=id, due_at__gt=Now()).update(due_at=later)
    return True


def _read_again(file: ConfigFile) -> None:
    """What is wrong with the file itself is noted at it; a server that does not answer is a Failure."""
    principal = config_files.limited(file)
    if principal is None or not principal.may(Role.OPERATOR, file.team_id):
        sentence = "Whoever imported this file may not save rules in this team any more. Import it again."
        config_files.note_broken(file, InvalidInput(sentence))
        return
    try:
        given = newest(file, StoreReads(principal))
    except (InvalidInput, NotFound) as error:
        problem = error if isinstance(error, InvalidInput) else InvalidInput(error.sentence)
        config_files.note_broken(file, problem)
        return
    config_files.take_newest(principal, file, given)


def newest(file: ConfigFile, reads: StoreReads) -> Given:
    """What the file says now. Asks git servers."""
    if file.repository is not None:
        seen = visible_to(Repository.objects.all(), reads.principal)
        if not seen.filter(pk=file.repository_id).exists():
            raise NotFound(f"{file.repository.full_name} is not a repository of this team any more.")
        return from_repository(reads, file.repository, file.branch, file.path)
    rows = file.version.texts if file.version else []
    own = {path: text for repository, _, path, text in rows if not repository}
    source = (file.source_name, file.source_branch) if file.source_name else None
    return from_texts(reads, own, next(iter(own), ""), source)


def _unheard(file: ConfigFile) -> bool:
    """Whether something it is read from has no webhook, so that we have to look."""
    return any(not is_told(read.repository) for read in file.reads.select_related("repository__connection"))

"""What news does to the inventory: the row says at once what a delivery told, and a look at the provider
stays the truth."""

from __future__ import annotations

from typing import Any

from django.db.models.functions import Now

from opssight.audit.record import record
from repos.events import Event, InstallationChanged, Pushed, RepositoryChanged, subscribe
from repos.git.types import NO_OBJECT
from repos.models import Repository

State = Repository.State
_TAKEN = "The GitHub App was not given this repository any more. Give it back in the installation's settings."
_BACK = ("created", "transferred")  # news of one that was gone, and is there again


def connect() -> None:
    """Listen before everybody else, so that they find the rows as they are now."""
    subscribe(answer, Pushed, RepositoryChanged, InstallationChanged)


def answer(event: Event) -> None:
    if isinstance(event, Pushed):
        _pushed(event)
    elif isinstance(event, RepositoryChanged):
        _changed(event)
    elif isinstance(event, InstallationChanged):
        _vanished(event)


def _pushed(event: Pushed) -> None:
    """A push to the default branch is shown at once.

    Of several deliveries at the same moment one writes: they do not wait for each other for a hint.
    """
    branch = event.ref.removeprefix("refs/heads/")
    is_new = event.heard == "webhook" and not event.after.startswith(NO_OBJECT)
    if not is_new or branch == event.ref:
        return
    values: dict[str, Any] = {"pushed_at": Now()}
    if event.after:
        values |= {"head_oid": event.after, "head_seen_at": Now()}
    # not the key: who stores another delivery of the repository must not wait for this
    free = Repository.objects.select_for_update(skip_locked=True, no_key=True).order_by()
    if free.filter(pk=event.repository_id, default_branch=branch).values("pk").first():
        Repository.objects.filter(pk=event.repository_id).update(**values)


def _changed(event: RepositoryChanged) -> None:
    row = Repository.objects.select_for_update(no_key=True).filter(pk=event.repository_id).first()
    if row is None:
        return
    told = {**_told(event), **_state(row, event), **_identity(row, event)}
    changed = {name: value for name, value in told.items() if getattr(row, name) != value}
    if not changed:
        return
    before = {name: getattr(row, name) for name in changed}
    Repository.objects.filter(pk=row.pk).update(**changed)
    record(
        _ACTIONS.get(event.what, "repository.update"),
        team_id=row.team_id,
        target=("repository", row.pk, event.full_name or row.full_name),
        diff={name: [before[name], value] for name, value in changed.items()},
    )


_ACTIONS = {
    "renamed": "repository.rename",
    "transferred": "repository.rename",
    "archived": "repository.archive",
    "unarchived": "repository.unarchive",
    "deleted": "repository.gone",
}


def _told(event: RepositoryChanged) -> dict[str, Any]:
    told = {
        "full_name": event.full_name[:400],
        "visibility": event.visibility,
        "default_branch": event.default_branch[:255],
    }
    values: dict[str, Any] = {name: value for name, value in told.items() if value}
    if event.what in ("archived", "unarchived"):
        values["archived"] = event.what == "archived"
    elif event.archived is not None:
        values["archived"] = event.archived
    return values


def _state(row: Repository, event: RepositoryChanged) -> dict[str, Any]:
    if event.what == "deleted" and row.state != State.IGNORED:
        who = f" by {event.by}" if event.by else ""
        reason = f"It was deleted at its provider{who}. What is stored here of it is kept."
        return {"state": State.GONE, "state_reason": reason}
    if event.what in _BACK and row.state in (State.GONE, State.LOST_ACCESS):
        return {"state": State.ACTIVE, "state_reason": ""}
    return {}


def _identity(row: Repository, event: RepositoryChanged) -> dict[str, Any]:
    """A transfer may give another id, unless the connection has a row of that id already."""
    new = event.external_id
    if event.what != "transferred" or new in ("", row.external_id):
        return {}
    taken = Repository.objects.filter(connection_id=row.connection_id, external_id=new).exists()
    return {} if taken else {"external_id": new}


def _vanished(event: InstallationChanged) -> None:
    """What an installation was not given any more, its connections do not see."""
    if not event.vanished:
        return
    rows = Repository.objects.filter(connection_id__in=event.connection_ids, state=State.ACTIVE)
    for row in rows.filter(external_id__in=event.vanished).order_by("id"):
        Repository.objects.filter(pk=row.pk).update(state=State.LOST_ACCESS, state_reason=_TAKEN)
        record(
            "repository.lost",
            team_id=row.team_id,
            target=("repository", row.pk, row.full_name),
            diff={"state": [row.state, State.LOST_ACCESS.value]},
        )

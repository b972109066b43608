"""Whether a rule may still use what belongs to another team than the rule itself.

Who saved the rule had to be allowed to; that counts at every run, or somebody who was taken out of a
team would go on reading and writing its repositories by a rule elsewhere.
"""

from __future__ import annotations

import uuid

from opssight.accounts.models import Role, User
from opssight.accounts.scope import Principal, visible_to
from opssight.core.errors import PermanentFailure
from repos.models import Repository
from syncs.models import JobVersion


def require_still(version: JobVersion, repository: Repository, role: Role) -> None:
    """Raise PermanentFailure unless the rule's team, or who saved this version, may use the repository.

    `role`: VIEWER to read from it, OPERATOR to write to it.
    """
    require_right(version.job.team_id, version.created_by, repository, role)


def require_right(team_id: uuid.UUID, author: User | None, repository: Repository, role: Role) -> None:
    """The same for a rule of this team that `author` saved, which may be gone by now."""
    if _team_may(team_id, repository, role) or _author_may(author, repository, role):
        return
    verb = "read" if role == Role.VIEWER else "write to"
    who = f" ({author.email})" if author else ""
    raise PermanentFailure(
        f"{repository.full_name} belongs to another team, and whoever saved this rule{who} may not {verb} "
        "it any more. Somebody who may has to save the rule again."
    )


def _team_may(team_id: uuid.UUID, repository: Repository, role: Role) -> bool:
    rows = Repository.objects.filter(pk=repository.pk)
    return (rows.in_teams([team_id]) if role == Role.VIEWER else rows.owned_by([team_id])).exists()


def _author_may(author: User | None, repository: Repository, role: Role) -> bool:
    if author is None or not author.is_active:
        return False
    return visible_to(Repository.objects.filter(pk=repository.pk), Principal.of_user(author), role).exists()

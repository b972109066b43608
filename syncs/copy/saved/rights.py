"""Whether a rule may still use what belongs to another team than the rule itself.

Who saved the rule had to be allowed to; that counts at every run, or somebody who was taken out of a
team would go on reading and writing its repositories by a rule elsewhere.
"""

from __future__ import annotations

from opssight.accounts.models import Role
from opssight.accounts.scope import Principal, visible_to
from opssight.core.errors import PermanentFailure
from repos.models import Repository
from syncs.models import JobVersion


def require_still(version: JobVersion, repository: Repository, role: Role) -> None:
    """Raise PermanentFailure unless the rule's team, or who saved this version, may use the repository.

    `role`: VIEWER to read from it, OPERATOR to write to it.
    """
    if _team_may(version, repository, role) or _author_may(version, repository, role):
        return
    verb = "read" if role == Role.VIEWER else "write to"
    author = f" ({version.created_by.email})" if version.created_by else ""
    raise PermanentFailure(
        f"{repository.full_name} belongs to another team, and whoever saved this rule{author} may not {verb} "
        "it any more. Somebody who may has to save the rule again."
    )


def _team_may(version: JobVersion, repository: Repository, role: Role) -> bool:
    rows = Repository.objects.filter(pk=repository.pk)
    team = [version.job.team_id]
    return (rows.in_teams(team) if role == Role.VIEWER else rows.owned_by(team)).exists()


def _author_may(version: JobVersion, repository: Repository, role: Role) -> bool:
    author = version.created_by
    if author is None or not author.is_active:
        return False
    return visible_to(Repository.objects.filter(pk=repository.pk), Principal.of_user(author), role).exists()

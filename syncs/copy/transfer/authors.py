"""Who a copied change is by: us, or whoever made it at the source."""

from __future__ import annotations

import re
from typing import Final

from repos.git.store import Store
from syncs.copy.plan.planned import Plan
from syncs.copy.rules.options import Authors
from syncs.copy.transfer.trailers import RUN_KEY

_LOOKED_AT: Final = 200  # commits; in what is older nobody looks for the author
_PERSON: Final = re.compile(r"(?P<name>[^<>]+) <(?P<email>[^<>]+)>")


def author_of(
    policy: Authors, store: Store, plan: Plan, since: str | None, head: str
) -> tuple[str, str] | None:
    """Name and address of the author by the policy; None: us.

    That is the author of the newest commit of `store` after `since` (None: of all) up to `head` that touches
    a file of the plan; the author of `head` where none of the newest 200 does.
    """
    if policy.policy == "bot":
        return None
    found = _newest(store, plan, since, head)
    if policy.policy == "source":
        return found
    people = {address.lower(): person for address, person in policy.people}
    mapped = _PERSON.fullmatch(people.get(found[1].lower(), ""))
    return (mapped["name"], mapped["email"]) if mapped else None


def _newest(store: Store, plan: Plan, since: str | None, head: str) -> tuple[str, str]:
    wanted = {write.source_path for write in plan.writes} | {gone.source_path for gone in plan.deletes}
    commits = store.commits_between(since, head, trailer=RUN_KEY, limit=_LOOKED_AT)
    for commit in commits:
        if len(commit.parents) > 1:
            continue  # a merge brings what others made
        changes = store.changes(commit.parents[0] if commit.parents else None, commit.oid)
        if any(change.path in wanted or change.old_path in wanted for change in changes):
            return commit.author_name, commit.author_email
    info = store.commit_info(head)
    return info.author_name, info.author_email

"""Rules as the workflows file of a copier, with the names of their repositories."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from opssight.accounts.scope import Principal, visible_to
from opssight.core.errors import InvalidInput
from repos.models import Repository
from syncs.copy.formats.convert import converted
from syncs.copy.rules.config import Flow
from syncs.copy.rules.file_config import flows_of, read_version
from syncs.models import Job


def as_workflows(principal: Principal, jobs: Sequence[Job]) -> str:
    """The YAML of these rules. InvalidInput when there is none, or one cannot be said in that format."""
    flows = [flow for job in jobs for flow in _flows(job)]
    if not flows:
        raise InvalidInput("Name at least one rule that has a configuration.")
    ids = {id for flow in flows for id in _ids(flow)}
    names = _names(principal, ids)
    if ids - set(names):
        raise InvalidInput("A repository of these rules is not visible to you.")
    return converted([_named(flow, names) for flow in flows], "workflows")


def _names(principal: Principal, ids: Iterable[str]) -> dict[str, str]:
    """The name of each repository by its id, with its connection where others are called the same."""
    seen = visible_to(Repository.objects.all(), principal)
    rows = list(seen.filter(pk__in=ids).select_related("connection"))
    names = seen.filter(full_name__in={row.full_name for row in rows}).values_list("full_name", flat=True)
    times = Counter(names)
    return {str(row.pk): row.qualified_name if times[row.full_name] > 1 else row.full_name for row in rows}


def _flows(job: Job) -> list[Flow]:
    return flows_of(read_version(job.version.config)) if job.version is not None else []


def _ids(flow: Flow) -> list[str]:
    record = flow.options.deletions.repository
    return [flow.source_repo, flow.target_repo, *([record] if record else [])]


def _named(flow: Flow, names: dict[str, str]) -> Flow:
    deletions = flow.options.deletions
    if deletions.repository:
        deletions = replace(deletions, repository=names[deletions.repository])
    return replace(
        flow,
        source_repo=names[flow.source_repo],
        target_repo=names[flow.target_repo],
        options=replace(flow.options, deletions=deletions),
    )

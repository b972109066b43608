"""Looking after open pull requests: which were merged meanwhile, and merging those whose checks have passed.

A forge that merges by itself needs none of this. Elsewhere a run of its own looks, again and again with
longer pauses for up to a day: a run that copies never waits for checks.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from django.db.models.functions import Now

from opssight.accounts.models import Role
from opssight.core.errors import Conflict, Failure
from opssight.core.words import count, join_words
from repos.providers.forge import CheckState, Pull
from repos.providers.types import Capability, PullState
from syncs.copy.models import CopyState
from syncs.copy.pulls.branches import Held, Known, Proposer
from syncs.copy.pulls.pulls import ForgeEnd
from syncs.copy.pulls.settling import settle
from syncs.copy.rules.options import PullRequest
from syncs.copy.runs.results import pull_document
from syncs.copy.runs.summary import reason, with_reasons
from syncs.copy.runs.targets import TargetRun, Work, health
from syncs.copy.saved import origin
from syncs.copy.saved.rights import require_still
from syncs.copy.transfer.transfer import End, open_target
from syncs.engine import claim
from syncs.engine.kinds import Outcome
from syncs.engine.request import RunRequest, request_run
from syncs.engine.retry import NotYet
from syncs.models import BAD_ITEMS, Item, ItemState, Job, Run, RunState

LOOK: Final = "look"  # the key in the input of such a run
COALESCE: Final = "pulls"
AGAIN: Final = "after a merge"
FIRST: Final = dt.timedelta(minutes=1)  # checks need a moment to begin
_LONGEST: Final = dt.timedelta(hours=1)
PATIENCE: Final = dt.timedelta(days=1)


def request_look(
    job: Job, trigger: Run.Trigger, because: str, after: dt.timedelta = dt.timedelta(0), **more: Any
) -> Run:
    """Ask for a look at the job's open pull requests, in a while; one that waits already comes no later."""
    run = request_run(
        RunRequest(job=job, trigger=trigger, because=because, input={LOOK: True}, coalesce=COALESCE, **more)
    )
    waiting = Run.objects.filter(pk=run.pk, state=RunState.QUEUED)
    if after:
        reason = "waits for the checks of pull requests"
        waiting.filter(attempt=0).update(run_after=claim.after(after), wait_reason=reason)
    else:
        waiting.filter(run_after__gt=Now()).update(run_after=Now())
    return run


def look_after(work: Work, targets: list[TargetRun]) -> Outcome:
    """Look at each target's pull request. Raises `NotYet` while checks go on."""
    waiting = [one for one in targets if _is_due(one) and _look_at(work, one)]
    if waiting:
        names = join_words([one.target.repository.full_name for one in waiting[:3]])
        age = claim.db_now() - work.run.run.created_at
        pause = min(max(age / 2, FIRST), _LONGEST)
        raise NotYet(f"Checks of pull requests go on at {names}.", retry_at=claim.db_now() + pause)
    return _outcome(work.run.run, list(work.run.run.items.all()))


def _is_due(one: TargetRun) -> bool:
    return one.item.state == ItemState.PLANNED or (one.item.state in BAD_ITEMS and one.item.retryable)


def _look_at(work: Work, one: TargetRun) -> bool:
    """True while it has to be looked at again."""
    run = work.run
    run.start_item(one.item)
    state = CopyState.objects.filter(target=one.target).first()
    try:
        assert run.run.version is not None  # noqa: S101 - checked by the run
        require_still(run.run.version, one.target.repository, Role.OPERATOR)
        with health(one.target.repository):
            found = _found(work, one, state)
    except Failure as failure:
        if failure.retryable:
            raise
        run.fail_item(
            one.item, failure, state=ItemState.CONFLICT if isinstance(failure, Held) else ItemState.FAILED
        )
        return False
    if found is None:
        return True
    item_state, sentence, pull = found
    result = {
        **origin.nothing_written(one.item.result),
        origin.ONLY_MERGED: True,
        "pull_request": pull_document(pull) if pull else None,
    }
    with run.finish_item(one.item, item_state, sentence, result=result):
        pass
    run.checkpoint("pull-looked-at")
    return False


_End = tuple[ItemState, str, Pull | None]


def _found(work: Work, one: TargetRun, state: CopyState | None) -> _End | None:
    """How the item ends; None while checks go on."""
    forge_end, end = work.forge_end(one.target.repository), work.end(one.target)
    pull, after = settle(work.run, work.copier, forge_end, end, one.target, state)
    if state is None or not state.proposed_oid:
        return ItemState.SKIPPED, "There is no open pull request.", None
    number = f"Pull request #{state.pull_number}" if state.pull_number else f"Branch {state.pull_branch}"
    if pull is None:
        merged = after is not None and not after.proposed_oid
        ended = ItemState.DONE if merged else ItemState.SKIPPED
        return ended, f"{number} {'was' if merged else 'is not'} merged.", None
    if pull.state == PullState.CLOSED:
        return ItemState.SKIPPED, f"{number} was closed without being merged.", pull
    options = one.flows[-1].options.pull_request
    if not options.auto_merge:
        return ItemState.SKIPPED, f"{number} is open.", pull
    _refuse_others(work, forge_end, end, pull, state)
    return _merged(work, forge_end, end, one, pull, state)


def _merged(
    work: Work, forge_end: ForgeEnd, end: End, one: TargetRun, pull: Pull, state: CopyState
) -> _End | None:
    """Merge it, if its checks have passed; None while they go on, for a day at most."""
    number = f"Pull request #{pull.number}"
    if not _merge(forge_end, pull, one.flows[-1].options.pull_request):
        if claim.db_now() - work.run.run.created_at > PATIENCE:
            raise Held(
                f"{number} is not merged: its checks have not ended within a day. Merge it when they have."
            )
        return None
    work.run.checkpoint("pull-merged")
    settle(work.run, work.copier, forge_end, end, one.target, state)
    return ItemState.DONE, f"{number} was merged after its checks.", forge_end.pull(pull.number)


def _refuse_others(work: Work, forge_end: ForgeEnd, end: End, pull: Pull, state: CopyState) -> None:
    """Nobody's commits are merged by us, wherever on the branch they stand: they were not asked for."""
    known = Known(state.pull_branch, state.pushed_oid, recorded=True)
    standing = Proposer(work.copier).standing(open_target(end, work.run, known.branch), known)
    if standing.others or pull.head_oid != state.pushed_oid:
        held = Held(
            f"Pull request #{pull.number} has commits of others, so it is not merged by itself. "
            "Look at it, and merge it."
        )
        raise held.with_notes(forge_end.stop_merging(pull.number))


def _merge(forge_end: ForgeEnd, pull: Pull, options: PullRequest) -> bool:
    """Merge it if its checks have passed; False while they go on. Raises `Held` when it needs a person."""
    forge = forge_end.forge
    assert forge is not None  # noqa: S101 - it has a pull request
    if pull.draft:
        raise Held(
            f"Pull request #{pull.number} is a draft, so it is not merged. Mark it as ready, and merge it."
        )
    offered = forge_end.offers(Capability.STATUSES)
    checks = forge.checks(forge_end.external_id, pull.head_oid) if offered else []
    red = [check.name for check in checks if check.state in (CheckState.FAILURE, CheckState.ERROR)]
    if red:
        raise Held(
            f"Pull request #{pull.number} is not merged: {join_words(red[:3])} failed. "
            "Mend that at the source, or merge it by hand."
        )
    if any(check.state == CheckState.PENDING for check in checks):
        return False
    try:
        forge.merge_pull(forge_end.external_id, pull.number, options.merge_method, head_oid=pull.head_oid)
    except Conflict as refused:
        raise Held(f"Pull request #{pull.number} is not merged. {refused.sentence}") from None
    return True


def _outcome(run: Run, items: list[Item]) -> Outcome:
    """What was found. What an earlier run of the job left undone stays in view."""
    bad = [item for item in items if item.state in BAD_ITEMS]
    merged = sum(1 for item in items if item.state == ItemState.DONE)
    text = f"{count(merged, 'pull request')} merged" if merged else "No pull request was merged"
    if bad:
        state = RunState.FAILED if len(bad) == len(items) else RunState.PARTIAL
        return Outcome(state, with_reasons(text, [reason(item) for item in bad]))
    before = (
        Run.objects.filter(job=run.job, state__in=RunState.terminal(), pk__lt=run.pk).order_by("-pk").first()
    )
    if before is not None and before.state in (RunState.PARTIAL, RunState.FAILED, RunState.DEAD):
        if merged and run.job is not None:  # what was held waited for that
            because = f"{text}, and an earlier run left something undone"
            request_run(
                RunRequest(
                    job=run.job,
                    trigger=Run.Trigger(run.trigger),
                    because=because,
                    coalesce=AGAIN,
                    parent=run,
                )
            )
            return Outcome(RunState.PARTIAL, f"{text}. Another run does what was left undone.")
        return Outcome(RunState.PARTIAL, f"{text}. Still to be done: {before.sentence}")
    return Outcome(RunState.SUCCEEDED, f"{text}.")

"""One run of a copy rule: its source once, then target by target."""

from __future__ import annotations

from dataclasses import replace

from django.conf import settings

from opssight.accounts.models import Role
from opssight.core.clock import now
from opssight.core.errors import Failure, PermanentFailure
from repos import access
from repos.git.store import Stores
from repos.models import Repository
from syncs.copy.models import CopyRule, CopyState, CopyTarget
from syncs.copy.plan.planned import Plan
from syncs.copy.pulls.branches import Held
from syncs.copy.rules.config import Flow, by_target
from syncs.copy.rules.file_config import flows_of, read_version
from syncs.copy.runs.auditing import record_write
from syncs.copy.runs.automerge import FIRST, LOOK, look_after, request_look
from syncs.copy.runs.leftovers import close_left
from syncs.copy.runs.results import Done, name, raise_if_passing
from syncs.copy.runs.summary import summary
from syncs.copy.runs.tags import is_behind, only_tags, tag_of
from syncs.copy.runs.targets import TargetRun, TargetWork, Work, health
from syncs.copy.runs.telling import told
from syncs.copy.saved import origin, status
from syncs.copy.saved.leaving import LEFT
from syncs.copy.saved.rights import require_still
from syncs.copy.transfer.transfer import Author, Copier, End, Source, open_source
from syncs.engine import claim
from syncs.engine.context import RunContext
from syncs.engine.kinds import Outcome
from syncs.models import BAD_ITEMS, ItemState, Run, RunState


def run_copy(run: RunContext) -> Outcome:
    """Bring every target of the rule up to the source's head. Safe to start again at any point."""
    stores = access.stores(access.git()).watched(run)
    if LEFT in run.run.input:
        return close_left(run, stores, _author(run.run))
    rule = _rule(run.run)
    run.checkpoint("started")
    if run.run.input.get(LOOK):
        return _look(run, rule, stores)
    end = End(
        rule.source.full_name,
        rule.source_branch,
        access.remote_of(rule.source),
        stores.store(rule.source.pk),
        tag=tag_of(run.run.input),
    )
    with health(rule.source):
        source = access.with_fresh_token(
            rule.source, end.remote, lambda remote: open_source(replace(end, remote=remote), run)
        )
    if "baseline" in run.run.input:
        return _remember_baseline(run, rule, source)
    work = [_target_run(run, source, rule, target, group) for target, group in _targets(run.run, rule)]
    run.checkpoint("items-made")
    shared = Work(run, rule, source, Copier(stores, run, _author(run.run)))
    for one in work:
        _do_target(shared, one)
    run.checkpoint("targets-done")
    return _finish(run, rule, source, work)


def _look(run: RunContext, rule: CopyRule, stores: Stores) -> Outcome:
    """Only look after pull requests; the source is as it was seen last."""
    if rule.shadow:
        return Outcome(
            RunState.SUCCEEDED, "The rule only looks for now, so its pull requests are left alone."
        )
    store = stores.store(rule.source.pk)
    end = End(rule.source.full_name, rule.source_branch, access.remote_of(rule.source), store)
    source = Source(end, rule.head)
    shared = Work(run, rule, source, Copier(stores, run, _author(run.run)))
    proposed = CopyState.objects.filter(target__rule=rule).exclude(pull_branch="")
    wanted = set(proposed.values_list("target", flat=True))
    targets = [pair for pair in _targets(run.run, rule) if pair[0].pk in wanted]
    outcome = look_after(shared, [_target_run(run, source, rule, *pair) for pair in targets])
    if source.head:
        with claim.fenced(run.run):
            status.update(rule, source, run.run)
    return outcome


def _rule(run: Run) -> CopyRule:
    rows = CopyRule.objects.select_related("source__connection", "job")
    rule = rows.filter(job_id=run.job_id).first() if run.job_id else None
    if rule is None or run.version is None:
        raise PermanentFailure("The rule of this run was deleted.")
    require_still(run.version, rule.source, Role.VIEWER)
    return rule


def _author(run: Run) -> Author:
    # the time of the run, not of the attempt: the same commit is made again after a kill
    return Author("OpsSight", settings.DEFAULT_FROM_EMAIL, run.created_at)


def _targets(run: Run, rule: CopyRule) -> list[tuple[CopyTarget, tuple[Flow, ...]]]:
    """Each target with its flows; a retry names the ones it is for."""
    assert run.version is not None  # noqa: S101 - checked by _rule
    wanted = set(run.input.get("only", []))
    by_place = {
        (str(target.repository_id), target.branch, target.strategy): target
        for target in rule.targets.select_related("repository__connection")
    }
    found = []
    for group in by_target(flows_of(read_version(run.version.config))):
        flow = group[-1]
        target = by_place.get((flow.target_repo, flow.target_branch, flow.options.strategy))
        if target is not None and (not wanted or str(target.pk) in wanted):
            found.append((target, group))
    return found


def _target_run(
    run: RunContext, source: Source, rule: CopyRule, target: CopyTarget, group: tuple[Flow, ...]
) -> TargetRun:
    item = run.item(str(target.pk), target.repository.full_name, target.repository)
    if origin.FROM not in item.result:  # kept by an item that fails as well
        run.note_item(item, origin.origin_of(rule.source, source.end.tag or source.end.branch, target))
    return TargetRun(target, group, item)


def _do_target(work: Work, one: TargetRun) -> None:
    """One target, whatever happens to it: a failure here does not stop the others."""
    run, source = work.run, work.source
    state = CopyState.objects.filter(target=one.target).first()
    if run.run.attempt > 1 and one.item.state in BAD_ITEMS and not one.item.retryable:
        one.failure = PermanentFailure(one.item.sentence)  # it would fail the same way again
        return
    done = one.item.state in (ItemState.DONE, ItemState.SKIPPED)
    if done and state is not None and source.head in (state.source_oid, state.proposed_oid):
        return  # an earlier attempt of this run did it
    run.start_item(one.item)
    if state is not None and any(is_behind(source, oid) for oid in (state.source_oid, state.proposed_oid)):
        _keep_newer(run, source, one)
        return
    assert run.run.version is not None  # noqa: S101 - checked by _rule
    try:
        require_still(run.run.version, one.target.repository, Role.OPERATOR)
        with health(one.target.repository):
            brought = TargetWork(work, one, state).bring()
    except Failure as failure:
        one.failure = failure
        run.fail_item(
            one.item, failure, state=ItemState.CONFLICT if isinstance(failure, Held) else ItemState.FAILED
        )
        return
    _store(run, source, one, brought)
    run.checkpoint("target-stored")


def _keep_newer(run: RunContext, source: Source, one: TargetRun) -> None:
    sentence = f"It has what {source.end.tag} stands for, or newer."
    result = {**origin.nothing_written(one.item.result), "source": source.head}
    with run.finish_item(one.item, ItemState.SKIPPED, sentence, result=result):
        pass


def _store(run: RunContext, source: Source, one: TargetRun, done: Done) -> None:
    """The result, and how far the target is now, in one transaction."""
    plan = done.plan
    run.plan_item(one.item, _planned(plan))
    wrote = done.state == ItemState.DONE
    result = {
        **origin.nothing_written(one.item.result),
        **(origin.written(plan) if wrote else {}),
        "commit": done.commit,
        "source": source.head,
        "files": done.written,
        "deletes": done.deleted,
        "equal": plan.equal,
        "refused": [{"path": name(r.path), "sentence": r.sentence} for r in plan.refused[:50]],
        "refused_count": len(plan.refused),
        **told(plan),
        **done.result,
    }
    code = "refused" if plan.refused else ""
    with run.finish_item(one.item, done.state, done.sentence, code=code, result=result):
        if wrote:
            record_write(run.run, one.item, result)
        if done.values:
            CopyState.objects.update_or_create(target=one.target, defaults=done.values)
        if done.commit and not done.pending and one.target.branch == one.target.repository.default_branch:
            seen = {"head_oid": done.commit, "head_seen_at": now()}
            Repository.objects.filter(pk=one.target.repository_id).update(**seen)


def _planned(plan: Plan) -> dict[str, int]:
    return {
        "add": sum(1 for write in plan.writes if write.action == "add"),
        "change": sum(1 for write in plan.writes if write.action == "change"),
        **({"delete": len(plan.deletes)} if plan.deletes else {}),
    }


def _remember_baseline(run: RunContext, rule: CopyRule, source: Source) -> Outcome:
    """From now on: nothing is copied until the source changes again."""
    if run.run.version is not None and (tags := only_tags(run.run.version.config)):
        # the first tag that fits is copied as a whole, wherever it stands
        sentence = f"Ready: files are copied when {source.end.name} gets a tag that fits {tags}."
        return Outcome(RunState.SUCCEEDED, sentence)
    baseline = run.run.input["baseline"] or source.head
    head = baseline if source.end.store.has(baseline) else source.head
    with claim.fenced(run.run):
        for target in rule.targets.all():
            CopyState.objects.get_or_create(target=target, defaults={"source_oid": head})
        status.saw(rule, source)
        status.update(rule, source, run.run)
    return Outcome(
        RunState.SUCCEEDED,
        f"Ready: {source.end.name} is at {head[:8]}, and files are copied when it changes.",
    )


def _finish(run: RunContext, rule: CopyRule, source: Source, work: list[TargetRun]) -> Outcome:
    with claim.fenced(run.run):
        status.saw(rule, source)
        status.update(rule, source, run.run)
        if any(one.item.result.get("merges") for one in work):
            because = f"checks of pull requests of run {run.run.short_id}"
            request_look(rule.job, Run.Trigger(run.run.trigger), because, FIRST, parent=run.run)
    run.checkpoint("status-stored")
    failed = [one for one in work if one.failure is not None]
    raise_if_passing(run.run, [one.failure for one in failed if one.failure is not None], summary(run.run))
    refused = any(one.item.result.get("refused_count") for one in work)
    state = RunState.PARTIAL if failed or refused else RunState.SUCCEEDED
    if failed and len(failed) == len(work):
        state = RunState.FAILED
    return Outcome(state, summary(run.run))

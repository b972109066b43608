"""One run of a copy rule: its source once, then target by target."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from django.conf import settings
from django.db.models import QuerySet

from opssight.accounts.models import Role
from opssight.core.clock import now
from opssight.core.errors import Failure, PermanentFailure
from opssight.core.words import count, join_words, seconds
from repos import access
from repos.models import Repository
from syncs.copy import status
from syncs.copy.config import Flow, flows, parse_config
from syncs.copy.models import CopyRule, CopyState, CopyTarget
from syncs.copy.plan import Plan
from syncs.copy.rights import require_still
from syncs.copy.transfer import Author, Copied, Copier, End, Message, Source, open_source
from syncs.engine import claim
from syncs.engine.context import RunContext
from syncs.engine.kinds import Outcome
from syncs.engine.runner import TryAgain
from syncs.models import BAD_ITEMS, Item, ItemState, Run, RunState


@dataclass
class TargetRun:
    """One target of this run: what to do, and how it ended."""

    target: CopyTarget
    flow: Flow
    item: Item
    failure: Failure | None = None


def run_copy(run: RunContext) -> Outcome:
    """Bring every target of the rule up to the source's head. Safe to start again at any point."""
    rule = _rule(run.run)
    stores = access.stores(access.git()).watched(run)
    run.checkpoint("started")
    end = End(
        rule.source.full_name,
        rule.source_branch,
        access.remote_of(rule.source),
        stores.store(rule.source.pk),
    )
    with _health(rule.source):
        source = access.with_fresh_token(
            rule.source, end.remote, lambda remote: open_source(replace(end, remote=remote), run)
        )
    if "baseline" in run.run.input:
        return _remember_baseline(run, rule, source)
    work = [_target_run(run, target, flow) for target, flow in _targets(run.run, rule)]
    run.checkpoint("items-made")
    copier = Copier(stores, run, _author(run.run))
    for one in work:
        _do_target(run, copier, source, one)
    run.checkpoint("targets-done")
    return _finish(run, rule, source, work)


@contextmanager
def _health(repository: Repository) -> Iterator[None]:
    """What git met on the way is known at the repository's connection as well."""
    try:
        yield
    except Failure as failure:
        access.note_failure(repository.connection, failure)
        raise
    access.note_ok(repository.connection)


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


def _targets(run: Run, rule: CopyRule) -> list[tuple[CopyTarget, Flow]]:
    """Each target with its flow; a retry names the ones it is for."""
    assert run.version is not None  # noqa: S101 - checked by _rule
    wanted = set(run.input.get("only", []))
    by_place = {
        (str(target.repository_id), target.branch): target
        for target in rule.targets.select_related("repository__connection")
    }
    found = []
    for flow in flows(parse_config(run.version.config)):
        target = by_place.get((flow.target_repo, flow.target_branch))
        if target is not None and (not wanted or str(target.pk) in wanted):
            found.append((target, flow))
    return found


def _target_run(run: RunContext, target: CopyTarget, flow: Flow) -> TargetRun:
    item = run.item(str(target.pk), target.repository.full_name, target.repository)
    return TargetRun(target, flow, item)


def _do_target(run: RunContext, copier: Copier, source: Source, one: TargetRun) -> None:
    """One target, whatever happens to it: a failure here does not stop the others."""
    state = CopyState.objects.filter(target=one.target).first()
    if run.run.attempt > 1 and one.item.state == ItemState.FAILED and not one.item.retryable:
        one.failure = PermanentFailure(one.item.sentence)  # it would fail the same way again
        return
    done = one.item.state in (ItemState.DONE, ItemState.SKIPPED)
    if done and state is not None and state.source_oid == source.head:
        return  # an earlier attempt of this run did it
    run.start_item(one.item)
    base = None if run.run.input.get("whole") or state is None else source.base_of(state.source_oid)
    assert run.run.version is not None  # noqa: S101 - checked by _rule
    try:
        require_still(run.run.version, one.target.repository, Role.OPERATOR)
        end = End(
            one.target.repository.full_name,
            one.target.branch,
            access.remote_of(one.target.repository),
            copier.stores.store(one.target.repository_id),
        )
        files = source.files_since(base)
        message = _message(run.run, source, one)
        run.checkpoint("changes-read")
        with _health(one.target.repository):
            copied = access.with_fresh_token(
                one.target.repository,
                end.remote,
                lambda remote: copier.copy(source, files, replace(end, remote=remote), message),
            )
    except Failure as failure:
        one.failure = failure
        run.fail_item(one.item, failure)
        return
    _store(run, source, one, copied)
    run.checkpoint("target-stored")


def _message(run: Run, source: Source, one: TargetRun) -> Message:
    # ids in the database, names in the message
    flow = replace(one.flow, source_repo=source.end.name, target_repo=one.target.repository.full_name)
    return Message(
        flows=(flow,),
        head=source.head,
        run_key=f"{run.pk}/{one.target.pk}/{source.head[:12]}",
    )


def _store(run: RunContext, source: Source, one: TargetRun, copied: Copied) -> None:
    """The result, and how far the target is now, in one transaction."""
    plan = copied.plan
    planned = _planned(plan)
    written = sum(planned.values()) if not copied.found else one.item.planned.get("add", 0)
    run.plan_item(one.item, planned)
    state = ItemState.DONE if copied.commit else ItemState.SKIPPED
    sentence = _target_sentence(plan, copied, written)
    with run.finish_item(
        one.item,
        state,
        sentence,
        code="refused" if plan.refused else "",
        result={
            "commit": copied.commit,
            "source": source.head,
            "files": written,
            "equal": plan.equal,
            "refused": [
                {"path": r.path.decode("utf-8", "replace"), "sentence": r.sentence} for r in plan.refused[:50]
            ],
            "refused_count": len(plan.refused),
        },
    ):
        CopyState.objects.update_or_create(
            target=one.target,
            defaults={"source_oid": source.head, **({"pushed_oid": copied.commit} if copied.commit else {})},
        )
        if copied.commit and one.target.branch == one.target.repository.default_branch:
            seen = {"head_oid": copied.commit, "head_seen_at": now()}
            Repository.objects.filter(pk=one.target.repository_id).update(**seen)


def _planned(plan: Plan) -> dict[str, int]:
    return {
        "add": sum(1 for write in plan.writes if write.action == "add"),
        "change": sum(1 for write in plan.writes if write.action == "change"),
    }


def _target_sentence(plan: Plan, copied: Copied, written: int) -> str:
    refused = f" {count(len(plan.refused), 'file')} left out." if plan.refused else ""
    if copied.commit:
        return f"{count(written, 'file')} written.{refused}"
    if plan.matched:
        return f"Already the same: {count(plan.matched, 'file')} compared.{refused}"
    return f"No changed file matches the rule.{refused}"


def _remember_baseline(run: RunContext, rule: CopyRule, source: Source) -> Outcome:
    """From now on: nothing is copied until the source changes again."""
    baseline = run.run.input["baseline"] or source.head
    head = baseline if source.end.store.has(baseline) else source.head
    with claim.fenced(run.run):
        for target in rule.targets.all():
            CopyState.objects.get_or_create(target=target, defaults={"source_oid": head})
    status.update(rule, source, run.run)
    return Outcome(
        RunState.SUCCEEDED,
        f"Ready: {source.end.name} is at {head[:8]}, and files are copied when it changes.",
    )


def _finish(run: RunContext, rule: CopyRule, source: Source, work: list[TargetRun]) -> Outcome:
    with claim.fenced(run.run):
        status.update(rule, source, run.run)
    run.checkpoint("status-stored")
    failed = [one for one in work if one.failure is not None]
    passing = [one.failure for one in failed if one.failure is not None and one.failure.retryable]
    if passing and run.run.attempt < settings.MAX_ATTEMPTS:
        raise TryAgain(passing[0], summary(run.run))
    refused = any(one.item.result.get("refused_count") for one in work)
    state = RunState.PARTIAL if failed or refused else RunState.SUCCEEDED
    if failed and len(failed) == len(work):
        state = RunState.FAILED
    return Outcome(state, summary(run.run))


def summary(run: Run) -> str:
    """The one sentence: what was copied where, how long it took, and who refused."""
    items: QuerySet[Item] = run.items.all()
    rows = list(items)
    done = [item for item in rows if item.state == ItemState.DONE]
    failed = [item for item in rows if item.state in BAD_ITEMS]
    files = max((item.result.get("files", 0) for item in done), default=0)
    took = ""
    if run.started_at is not None:
        took = f" in {seconds((claim.db_now() - run.started_at).total_seconds())}"
    if done:
        text = f"Copied {count(files, 'file')} to {len(done)} of {count(len(rows), 'target')}{took}"
    elif not failed:
        have = "the target has" if len(rows) == 1 else f"all {len(rows)} targets have"
        text = f"Nothing to copy: {have} what the rule asks for"
    else:
        text = f"Copied nothing to {count(len(rows), 'target')}"
    reasons = [f"{item.label}: {item.sentence.rstrip('.')}" for item in failed]
    reasons += [_refusals(item) for item in rows if item.result.get("refused_count")]
    more = f" and {len(reasons) - 3} more" if len(reasons) > 3 else ""
    return f"{text}; {join_words(reasons[:3])}{more}." if reasons else f"{text}."


def _refusals(item: Item) -> str:
    """What was left out at a target, with the first reason."""
    left_out = count(item.result["refused_count"], "file")
    return f"{item.label}: {left_out} left out, {item.result['refused'][0]['sentence'].rstrip('.')}"

"""What is told of copies: the numbers of a run beside how it ended, and what was copied, each time.

The labels are those of an examples-copier's messages in Slack, so that who reads them finds them again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from opssight.core.words import count, seconds
from opssight.notices import outbox
from syncs.copy.saved.origin import FROM_NAME, FROM_REF, PATHS, RECORDED, RECORDED_PATHS, TO_BRANCH
from syncs.models import BAD_ITEMS, Item, ItemState, Run, RunState

PROCESSED: Final = "copy.processed"
FILES: Final = "copy.files"
DEPRECATED: Final = "copy.deprecated"
TOPICS: Final = (
    (PROCESSED, "each change that was copied"),
    (FILES, "which files were copied to each target"),
    (DEPRECATED, "which files were recorded as gone"),
)
_NAMED: Final = 10  # paths in a message
_NOT_KNOWN: Final = "not known"

Fields = list[tuple[str, str]]


def fields_of(run: Run) -> Fields:
    """Label and value: of an error what failed and where, else how many files; always the source."""
    items = list(run.items.order_by("id"))
    where = [("Repository", _source(run, items)), ("PR Number", _pull_request(run))]
    if run.state in (RunState.FAILED, RunState.DEAD):
        found = [("Operation", f"copy by {run.title}"), ("Error", run.sentence), *where]
    else:
        found = [*where[:1], *_numbers(items), ("Processing Time", _took(run)), *where[1:]]
    return [(label, value) for label, value in found if value]


def announce(run: Run) -> int:
    """Tell who asked for it what the run copied; how many messages will be sent. Once for each run."""
    items = [item for item in run.items.filter(state=ItemState.DONE).order_by("id") if _wrote(item)]
    if not items:
        return 0
    return sum([_processed(run), *(_copied(run, item) for item in items), *_deprecated(run, items)])


def _wrote(item: Item) -> bool:
    return any(item.result.get(key) for key in ("files", "deletes", RECORDED))


def _processed(run: Run) -> int:
    number = _pull_request(run)
    what = f"pull request {number} processed" if number else "change processed"
    return _tell(run, PROCESSED, str(run.pk), f"{run.title}: {what}", run.sentence, fields_of(run))


def _copied(run: Run, item: Item) -> int:
    number = item.result.get("files", 0)
    if not number:
        return 0
    words = count(number, "file")
    fields = [*_ends(run, item), ("Files", _paths(item.result.get(PATHS, ()), number))]
    return _tell(run, FILES, str(item.pk), f"{run.title}: {words} copied", item.sentence, fields)


def _deprecated(run: Run, items: Iterable[Item]) -> Iterable[int]:
    for item in items:
        number = item.result.get(RECORDED, 0)
        if number:
            words = f"{count(number, 'file')} recorded as gone"
            fields = [*_ends(run, item), ("Files", _paths(item.result.get(RECORDED_PATHS, ()), number))]
            yield _tell(run, DEPRECATED, str(item.pk), f"{run.title}: {words}", f"{words}.", fields)


def _tell(run: Run, topic: str, key: str, title: str, sentence: str, fields: Fields) -> int:
    return outbox.announce(
        team_id=run.team_id,
        topic=topic,
        key=key,
        title=title,
        sentence=sentence,
        url=f"/runs/{run.pk}/",
        fields=[(label, value) for label, value in fields if value],
    )


def _ends(run: Run, item: Item) -> Fields:
    ref, branch = item.result.get(FROM_REF, ""), item.result.get(TO_BRANCH, "")
    return [
        ("Repository", f"{_source(run, [item])} {ref}".strip()),
        ("Target", f"{item.label} {branch}".strip()),
        ("PR Number", _pull_request(run)),
    ]


def _source(run: Run, items: Sequence[Item]) -> str:
    named: str = next((item.result[FROM_NAME] for item in items if FROM_NAME in item.result), "")
    return named or (run.repository.full_name if run.repository else "")


def _pull_request(run: Run) -> str:
    number = run.input.get("pull_request")
    return f"#{number}" if number else ""


def _numbers(items: Sequence[Item]) -> Fields:
    """Over all targets. How many files a target that failed before its plan would have got is not known."""
    done = [item.result for item in items if item.state == ItemState.DONE]
    well = [item.result for item in items if item.state in (ItemState.DONE, ItemState.SKIPPED)]
    failed = [item.planned for item in items if item.state in BAD_ITEMS]
    refused = _sum(well, "refused_count")
    lost = None if not all(failed) else sum(sum(planned.values()) for planned in failed)
    matched = None if lost is None else _sum(well, "files") + _sum(well, "equal") + refused + lost
    return [
        ("Files Matched", _NOT_KNOWN if matched is None else str(matched)),
        ("Files Copied", str(_sum(done, "files"))),
        ("Files Failed", _NOT_KNOWN if lost is None else str(lost + refused)),
    ]


def _sum(results: Iterable[dict[str, Any]], key: str) -> int:
    return sum(result.get(key, 0) for result in results)


def _paths(paths: Sequence[str], number: int) -> str:
    named = list(paths[:_NAMED])
    more = [f"and {number - len(named)} more"] if named and number > len(named) else []
    return "\n".join([*named, *more]) or str(number)


def _took(run: Run) -> str:
    if run.started_at is None or run.finished_at is None:
        return ""
    return seconds((run.finished_at - run.started_at).total_seconds())

"""The preview of a saved rule: what it would do at each target, file by file, and which rule takes a path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote_from_bytes, unquote_to_bytes, urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from opssight.core.errors import Failure
from opssight.core.words import count
from opssight.web.parts import DiffLine
from syncs.copy.preview.diff import file_diff
from syncs.copy.preview.preview import Preview, TargetPreview, preview
from syncs.copy.rules.file_config import flows_of, read_version
from syncs.copy.rules.paths import as_bytes, shown
from syncs.copy.rules.tester import Tested, try_path
from syncs.copy.saved.service import adopt
from syncs.copy.views.base import RulePage, run_url
from syncs.copy.views.difflines import diff_lines
from syncs.copy.views.pane import STATES

LISTED: Final = 300  # files of one target in a list; the counts are of all


@dataclass(frozen=True)
class FileRow:
    """A file that the plan does something to. `mark` is added, changed or removed."""

    path: str
    mark: str
    source: str
    note: str
    diff_url: str


@dataclass(frozen=True)
class TargetCard:
    """One target with its files."""

    one: TargetPreview
    rows: Sequence[FileRow]
    more: int
    lines: Sequence[str]  # what is to be known beside the files
    left: Sequence[str]  # what is refused, and why

    @property
    def nothing(self) -> bool:
        return self.one.plan is not None and self.one.plan.empty


@dataclass(frozen=True)
class TestRow:
    number: int
    state: str
    pattern: str
    sentence: str


@dataclass(frozen=True)
class TestCard:
    name: str
    targets: Sequence[str]
    rows: Sequence[TestRow]
    taken: bool


class PlanPage(RulePage):
    """`?at=` a commit, tag or branch, or `?pull=` a number; `?whole=1` all files; `?path=` is tried.

    POST takes over files that are there already and identical.
    """

    template_name = "copy/plan.html"
    tab = "copy_plan"

    def get_template_names(self) -> list[str]:
        only = self.request.headers.get("HX-Request") == "true"
        return ["copy/_plan.html" if only else self.template_name]

    @property
    def asked(self) -> dict[str, str]:
        """What the address asks for, without what is empty."""
        given = {name: self.request.GET.get(name, "").strip() for name in ("at", "pull", "whole")}
        return {name: text[:300] for name, text in given.items() if text}

    def look(self, only: str = "") -> Preview:
        job, asked = self.saved, self.asked
        if job.version is None:
            raise Http404
        return preview(
            self.principal,
            read_version(job.version.config),
            job,
            at=asked.get("at", ""),
            pull=asked.get("pull", ""),
            whole=asked.get("whole") == "1",
            only=only,
        )

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        found = self.look()
        path = self.request.GET.get("path", "").strip()
        adoptable = sum(len(one.plan.adoptable) for one in found.targets if one.plan)
        query = urlencode(self.asked)
        return super().get_context_data(
            found=found,
            cards=[self._card(one, query) for one in found.targets if found.oid],
            asked=self.asked,
            query=query,
            path=path,
            tested=[self._test_card(tested) for tested in self._tested(path)] if path else [],
            adoptable=count(adoptable, "file") if adoptable else "",
            **kwargs,
        )

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        job = self.saved
        try:
            because = f"a request by {self.principal.label} to take over what is there"
            run = adopt(self.principal, job, because)
        except Failure as failure:
            messages.error(request, failure.sentence)
            return HttpResponseRedirect(reverse("copy_plan", args=[job.pk]))
        return HttpResponseRedirect(run_url(run))

    def _card(self, one: TargetPreview, query: str) -> TargetCard:
        plan = one.plan
        if plan is None:
            return TargetCard(one, (), 0, (), ())
        base = reverse("copy_plan_file", args=[self.saved.pk, one.target.pk or 0])
        rows = _rows(one, f"{base}?{query}{'&' if query else ''}file=")
        left = [refusal.sentence for refusal in plan.refused]
        return TargetCard(
            one,
            rows[:LISTED],
            max(len(rows) - LISTED, 0),
            _lines(one),
            left[:LISTED],
        )

    # --- which rule takes a path -------------------------------------------------------------------

    def _tested(self, path: str) -> list[Tested]:
        version = self.saved.version
        return try_path(flows_of(read_version(version.config)), as_bytes(path)) if version else []

    def _test_card(self, tested: Tested) -> TestCard:
        rows = [
            TestRow(
                one.number, STATES[one.why.verdict], f"{one.rule.type} {one.rule.pattern}", one.why.sentence
            )
            for one in tested.answers
        ]
        targets = [f"{self.names.label(repository)} {branch}" for repository, branch in tested.targets]
        return TestCard(tested.name, targets, rows, tested.taken)


class PlanFile(PlanPage):
    """The difference in one file of one target; a part of the page, or a page by itself."""

    http_method_names = ["get"]

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        path = unquote_to_bytes(request.GET.get("file", ""))
        found = self.look(only=str(kwargs["target_id"]))
        one = next(iter(found.targets), None)
        if one is None:
            raise Http404
        if one.plan is None:
            lines: list[DiffLine] = []
            fetching, sentence = found.fetching, one.sentence or found.moment.sentence
        else:
            diff = file_diff(one, path)
            lines, fetching, sentence = diff_lines(diff.lines), diff.fetching, diff.sentence
        context = {"lines": lines, "fetching": fetching, "sentence": sentence, "path": shown(path)}
        context["again"] = request.get_full_path()
        if request.headers.get("HX-Request") == "true":
            return render(request, "copy/_plan_file.html", context)
        self.template_name = "copy/plan_file.html"
        return self.render_to_response({**RulePage.get_context_data(self, **kwargs), **context})


def _rows(one: TargetPreview, url: str) -> list[FileRow]:
    assert one.plan is not None  # noqa: S101 - asked before
    rows = []
    for write in one.plan.writes:
        mark = "added" if write.action == "add" else "changed"
        note = "their change is kept" if write.merged else "their change is lost" if write.edited else ""
        source = shown(write.source_path) if write.source_path else "the list of deleted files"
        rows.append(FileRow(shown(write.path), mark, source, note, url + _quoted(write.path)))
    for delete in one.plan.deletes:
        source = shown(delete.source_path)
        rows.append(FileRow(shown(delete.path), "removed", source, "gone there", url + _quoted(delete.path)))
    return sorted(rows, key=lambda row: row.path)


def _quoted(path: bytes) -> str:
    # twice: an address holds text, and a path need not be any
    return quote_from_bytes(quote_from_bytes(path).encode(), safe="")


def _lines(one: TargetPreview) -> list[str]:
    """In words, what the list of files does not say."""
    plan = one.plan
    assert plan is not None  # noqa: S101 - asked before
    same = f"{count(len(plan.same), 'file')} already the same." if plan.same else ""
    adopt = ""
    if plan.adoptable:
        adopt = f"{len(plan.adoptable):,} of them not written by this rule."
    recorded = f"{count(len(plan.records), 'deleted file')} put on the list." if plan.records else ""
    orphans = f"{count(len(plan.orphans), 'file')} without a source any more." if plan.orphans else ""
    skipped = [skip.sentence for skip in plan.skipped[:5]] + [notice.sentence for notice in plan.notices[:5]]
    return [line for line in (same, adopt, recorded, orphans, *skipped) if line]

"""One run: what happened in one sentence, what to do about it, and everything behind it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.text import slugify

from opssight.accounts.models import Role
from opssight.core.errors import Failure
from opssight.web.parts import Action, Choice, Crumb, FailureCard
from opssight.web.views import TeamPage, no_change, one_or_404
from repos.models import Delivery
from syncs import jobs, selectors
from syncs.engine.progress import read_log
from syncs.models import BAD_ITEMS, ItemState, Run
from syncs.views import run_parts
from syncs.views.run_log import LogView

ITEMS: Final = 50
SAMPLE: Final = 200  # failed items that are looked at for the cards
CAUSES: Final = 10
TRIGGER_ICONS: Final = {
    Run.Trigger.WEBHOOK: "inbox",
    Run.Trigger.POLL: "eye",
    Run.Trigger.SCHEDULE: "calendar",
    Run.Trigger.MANUAL: "user",
    Run.Trigger.API: "key",
    Run.Trigger.CLI: "return",
    Run.Trigger.REPLAY: "inbox",
    Run.Trigger.RETRY: "retry",
}
ITEM_ORDER: Final = (
    ItemState.FAILED,
    ItemState.CONFLICT,
    ItemState.PLANNED,
    ItemState.DONE,
    ItemState.SKIPPED,
)
PARTS: Final = ("head", "items", "aside")
"""The parts of the page that change while the run does: each its own element and template."""


class RunView(TeamPage):
    """What all views of one run share."""

    @cached_property
    def run(self) -> Run:
        rows = selectors.runs(self.principal).filter(team_id=self.request.team.pk)
        return one_or_404(rows.select_related("version", "parent"), pk=self.kwargs["run_id"])

    @property
    def may_write(self) -> bool:
        return self.principal.may(Role.OPERATOR, self.request.team.pk)

    def parts(self) -> dict[str, Any]:
        """What the changing parts show. A constant number of queries."""
        run = self.run
        counts = dict(run.items.values_list("state").annotate(n=Count("pk")))
        cards = self._cards()
        return {
            "run": run,
            "headline": run_parts.headline(run),
            "pills": run_parts.pills(run, counts),
            "job_url": run_parts.job_url(run.job_id, run.kind) if run.job_id else "",
            "nouns": run_parts.nouns(run.kind),
            "item_words": f"{run_parts.nouns(run.kind)[1]}s",
            "trigger_icon": TRIGGER_ICONS[Run.Trigger(run.trigger)],
            "cards": cards,
            "actions": self._actions(cards),
            "overall": run_parts.progress(run),
            "causes": self._causes(),
            "retries": run.children.order_by("-id")[:3],
            "facts": run_parts.cost_facts(run),
            "earlier": self._earlier(),
            **self._items(counts),
        }

    def _cards(self) -> list[FailureCard]:
        bad = self.run.items.filter(state__in=BAD_ITEMS)
        classes = dict(bad.order_by().values_list("error_class").annotate(n=Count("pk")))
        failed = list(bad.select_related("repository").order_by("id")[:SAMPLE]) if classes else []
        return run_parts.failure_cards(self.run, failed, classes, self.may_write)

    def _actions(self, cards: Sequence[FailureCard]) -> list[Action]:
        """Stop while it runs; retry, where no card offers just that."""
        run = self.run
        if not self.may_write:
            return []
        if not run.finished:
            stop = [Action("Stop…", dialog="stop", kind="danger")] if run.cancel_requested_at is None else []
            return [*stop, run_parts.reconnect_action(run)] if run_parts.is_paused(run) else stop
        if not jobs.is_retryable(run):
            return []
        url = reverse("run_retry", args=[run.pk])
        if len(cards) == 1 and cards[0].action is not None and cards[0].action.url == url:
            return []
        label = "Retry only what failed" if run.state == "partial" else "Retry"
        return [Action(label, url, icon="retry", method="post")]

    def _items(self, counts: dict[str, int]) -> dict[str, Any]:
        chosen = self.request.GET.get("items", "")
        rows = selectors.items(self.run)
        if chosen in ItemState.values:
            rows = rows.filter(state=chosen)
        page = Paginator(rows, ITEMS).get_page(self.request.GET.get("page"))
        base = reverse("run", args=[self.run.pk])
        words = (("All", ""), *((state.label.capitalize(), state.value) for state in ITEM_ORDER))
        counts = {**counts, "": sum(counts.values())}
        choices = [
            Choice(label, f"{base}?items={key}" if key else base, chosen == key, counts[key], key)
            for label, key in words
            if counts.get(key)
        ]
        return {
            "page": page,
            "rows": run_parts.item_rows(self.run, page.object_list),
            "item_choices": choices if len(choices) > 2 else [],
            "counts_files": not run_parts.is_in_background(self.run.kind),
            "request": self.request,
        }

    def _causes(self) -> list[Delivery]:
        """The deliveries this run answers, newest first."""
        rows = self.run.causes.select_related("delivery").order_by("-id")[:CAUSES]
        return [row.delivery for row in rows]

    def _earlier(self) -> run_parts.Earlier | None:
        if self.run.job_id is None:
            return None
        rows = selectors.runs(self.principal, job=str(self.run.job_id))
        before = list(rows.filter(pk__lte=self.run.pk)[: run_parts.EARLIER])
        return run_parts.earlier(self.run, before, rows.count())


@dataclass(frozen=True)
class Drawn:
    """The changing parts as HTML, and what a poll says it has seen of them."""

    html: dict[str, SafeString]

    @property
    def seen(self) -> str:
        return "-".join(_digest(self.html[name]) for name in PARTS)

    def changed_since(self, seen: str) -> list[str]:
        known = seen.split("-")
        if len(known) != len(PARTS):
            return list(PARTS)
        return [name for name, digest in zip(PARTS, known, strict=True) if _digest(self.html[name]) != digest]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:10]


class RunPage(RunView):
    """The whole page. `?items=failed` narrows the items, `?find=` and `?level=` the log."""

    template_name = "syncs/run.html"

    def crumbs(self) -> Sequence[Crumb]:
        run = self.run
        job = [Crumb(run.title, run_parts.job_url(run.job_id, run.kind))] if run.job_id else []
        return [Crumb("Runs", reverse("runs")), *job, Crumb(f"Run {run.short_id}")]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        drawn = draw(self.request, self.parts())
        return super().get_context_data(
            run=self.run,
            drawn=drawn.html,
            seen=drawn.seen,
            query=_query(self.request),
            log=LogView.of(self.run, self.request.GET),
            log_days=round(settings.LOG_DAYS),
            **kwargs,
        )


class RunLive(RunView):
    """What changed on the page since `?seen=`, each part to be put in its place; 204 when nothing did."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        drawn = draw(request, self.parts())
        changed = drawn.changed_since(request.GET.get("seen", ""))
        if not changed and not self.run.finished:
            return no_change()
        context = {
            "run": self.run,
            "seen": drawn.seen,
            "query": _query(request),
            "changed": [(name, drawn.html[name]) for name in changed],
        }
        return render(request, "syncs/_run_live.html", context)


def draw(request: HttpRequest, parts: dict[str, Any]) -> Drawn:
    # without the white space around it, so that a part with nothing to show is empty
    return Drawn(
        {
            name: SafeString(render_to_string(f"syncs/_run_{name}.html", parts, request).strip())
            for name in PARTS
        }
    )


def _query(request: HttpRequest) -> str:
    """What narrows the items, for the address that is polled."""
    query = request.GET.copy()
    for name in set(query) - {"items", "page"}:
        del query[name]
    return query.urlencode()


class RunLogPart(RunView):
    """The lines behind `?after=`, to be put at the end of the log; 204 while there are none."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        log = LogView.of(self.run, request.GET)
        if not log.fresh and not self.run.finished:
            return no_change()
        return render(request, "syncs/_run_log_more.html", {"run": self.run, "log": log})


class RunLogFile(RunView):
    """The whole log as text."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        lines = (
            f"{line.at}  {line.level:7}  {line.step:16}  {line.message}\n" for _, line in read_log(self.run)
        )
        response = HttpResponse("".join(lines), content_type="text/plain; charset=utf-8")
        name = f"{slugify(self.run.title) or 'run'}-{self.run.short_id}.log"
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        return response


class RetryRun(RunView):
    """POST: a new run for what failed only."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            again = jobs.retry(self.run, f"a retry by {self.principal.label}")
        except Failure as failure:
            messages.error(request, failure.sentence)
            return HttpResponseRedirect(reverse("run", args=[self.run.pk]))
        messages.success(request, f"Retrying what run {self.run.short_id} left. What is done stays done.")
        return HttpResponseRedirect(reverse("run", args=[again.pk]))


class CancelRun(RunView):
    """POST: stop it. What is done stays done."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            stopped = jobs.cancel(self.run, self.principal.label)
        except Failure as failure:
            messages.error(request, failure.sentence)
        else:
            ended = "The run is cancelled." if stopped.finished else "The run stops within seconds."
            messages.success(request, f"{ended} What is done stays done.")
        return HttpResponseRedirect(reverse("run", args=[self.run.pk]))

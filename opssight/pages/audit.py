"""The audit log: who did what to which object, and whether the log is as it was written."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.core.cache import cache
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from opssight.audit.actor import ActorKind
from opssight.audit.anchors import export_anchor
from opssight.audit.models import AuditAnchor, AuditEvent, AuditPending, AuditSeal
from opssight.audit.selectors import Filters, events_for
from opssight.audit.verify import Report, verify
from opssight.core.clock import midnight, now
from opssight.core.errors import Failure
from opssight.core.words import count
from opssight.web.formats import format_ago, format_count
from opssight.web.forms import DayField
from opssight.web.parts import Crumb, Fact
from opssight.web.views import TeamPage, page_of

CHECKED: Final = 5_000  # entries that the button checks: more would hold the page up
_VERIFIED: Final = "audit:verified"  # in the cache: (entry, time, whole or not) of the last look
_LONGEST: Final = 300  # characters of a value that is shown
_MOST: Final = 40  # changed values of one event that are listed

_ISO_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)$")

ACTOR_ICONS: Final = {
    ActorKind.USER: "user",
    ActorKind.TOKEN: "key",
    ActorKind.SYSTEM: "settings",
    ActorKind.CLI: "return",
    ActorKind.WEBHOOK: "inbox",
}


class FilterForm(forms.Form):
    """What narrows the log; what cannot be read narrows nothing."""

    q = forms.CharField(required=False, max_length=200)
    actor = forms.CharField(required=False, max_length=200)
    action = forms.CharField(required=False, max_length=60)
    object = forms.CharField(required=False, max_length=40)
    object_id = forms.CharField(required=False, max_length=64)
    since = DayField()
    until = DayField()

    def filters(self) -> Filters:
        self.is_valid()
        given = self.cleaned_data
        since, until = given.get("since"), given.get("until")
        return Filters(
            text=given.get("q", ""),
            actor=given.get("actor", ""),
            action=given.get("action", ""),
            object_type=given.get("object", ""),
            object_id=given.get("object_id", ""),
            since=midnight(since) if since else None,
            until=midnight(until + dt.timedelta(days=1)) if until else None,
        )


# --- what changed ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """One value; `before` is None where only the new one is known."""

    name: str
    before: str | None
    after: str


@dataclass(frozen=True)
class EventRow:
    event: AuditEvent
    icon: str
    changes: Sequence[Change]
    sealed: bool


def changes(diff: dict[str, Any]) -> list[Change]:
    """What a diff says, value by value; of nested values only those that differ."""
    found: list[Change] = []
    for name, value in diff.items():
        pair = isinstance(value, list) and len(value) == 2 and not _alike(value)
        found += _between(name, *value) if pair else [Change(name, None, _words(value))]
    return found[:_MOST]


def _alike(pair: list[Any]) -> bool:
    """A list of two things that is no before and after, such as two scopes."""
    return bool(pair[0] == pair[1])


def _between(name: str, before: Any, after: Any) -> Iterator[Change]:
    if isinstance(before, dict | list) or isinstance(after, dict | list):
        old, new = dict(_flat(name, before)), dict(_flat(name, after))
        for path in dict.fromkeys([*old, *new]):
            if old.get(path) != new.get(path):
                yield Change(path, _words(old.get(path)), _words(new.get(path)))
        return
    yield Change(name, _words(before), _words(after))


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Each value inside, by its path: `config.targets.1.branch`."""
    if isinstance(value, dict | list) and value:
        inside = value.items() if isinstance(value, dict) else enumerate(value, 1)
        for key, one in inside:
            yield from _flat(f"{path}.{key}", one)
    elif value is not None:
        yield path, value


def _words(value: Any) -> str:
    if value is None or value == "":
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str) and _ISO_TIME.match(value):
        return f"{value[:10]} {value[11:16]} UTC"
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        text = ", ".join(value)
    else:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


# --- the pages --------------------------------------------------------------------------------------------


class AuditPage(TeamPage):
    """What was done in the team, newest first; for superusers also what concerns the installation."""

    template_name = "audit/audit.html"

    def crumbs(self) -> Sequence[Crumb]:
        return [Crumb("Audit log")]

    def events(self, filters: Filters | None = None) -> QuerySet[AuditEvent]:
        return events_for([self.request.team.pk], filters, system=self.request.user.is_superuser)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        form = FilterForm(self.request.GET)
        page = page_of(self.request, self.events(form.filters()))
        kinds = self.events().order_by().values_list("object_type", flat=True).distinct()
        return super().get_context_data(
            form=form,
            page=page,
            rows=[_row(event) for event in page.object_list],
            object_types=sorted(kind for kind in kinds if kind),
            narrowed=any(self.request.GET.get(name) for name in form.fields),
            facts=_chain_facts(),
            may_verify=self.request.user.is_superuser,
            checked=format_count(CHECKED),
            **kwargs,
        )


def _row(event: AuditEvent) -> EventRow:
    return EventRow(
        event, ACTOR_ICONS[ActorKind(event.actor_kind)], changes(event.diff), hasattr(event, "seal")
    )


def _chain_facts() -> list[Fact]:
    last = AuditSeal.objects.order_by("-seq").first()
    if last is None:
        return [Fact("Sealed", "nothing yet", "pending")]
    facts = [Fact("Sealed", f"up to entry {format_count(last.seq)}", "proved", format_ago(last.sealed_at))]
    if waiting := AuditPending.objects.count():
        facts.append(Fact("Waiting", f"{count(waiting, 'event')} to be sealed"))
    known = cache.get(_VERIFIED)
    if known is None:
        facts.append(Fact("Verified", "not yet", "unknown"))
    else:
        seq, at, whole = known
        word = f"up to entry {format_count(seq)}" if whole else "not as it was written"
        facts.append(Fact("Verified", word, "proved" if whole else "broken", format_ago(at)))
    anchor = AuditAnchor.objects.order_by("-seq").first()
    if anchor is not None:
        facts.append(
            Fact("Anchor", f"at entry {format_count(anchor.seq)}", note=format_ago(anchor.exported_at))
        )
    return facts


class OfTheWholeChain(TeamPage):
    """The chain runs through the events of all teams, so only who runs the installation may ask of it."""

    http_method_names = ["post"]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if request.user.is_authenticated and not request.user.is_superuser:
            raise Http404
        return super().dispatch(request, *args, **kwargs)


class Verify(OfTheWholeChain):
    """POST: check the newest entries against the chain and the anchors."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        report = verify(newest=CHECKED)
        cache.set(_VERIFIED, (report.last_seq, now(), report.ok), None)
        if report.ok:
            messages.success(request, _whole(report))
        else:
            messages.error(request, report.sentence)
            for problem in report.problems[:3]:
                messages.error(request, problem.sentence)
        return HttpResponseRedirect(reverse("audit"))


def _whole(report: Report) -> str:
    if report.entries == report.last_seq:
        return report.sentence
    return (
        f"The newest {format_count(report.entries)} of {format_count(report.last_seq)} entries are whole. "
        "opssight audit verify checks all of them."
    )


class ExportAnchor(OfTheWholeChain):
    """POST: the end of the chain as a file to keep elsewhere; also noted on this machine."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            anchor = export_anchor()
        except Failure as failure:
            messages.error(request, failure.sentence)
            return HttpResponseRedirect(reverse("audit"))
        if anchor is None:
            messages.warning(request, "Nothing is sealed yet. Start a worker, then try again.")
            return HttpResponseRedirect(reverse("audit"))
        line = json.dumps({"seq": anchor.seq, "mac": anchor.mac, "at": anchor.at.isoformat()})
        response = HttpResponse(f"{line}\n", content_type="application/jsonl")
        response["Content-Disposition"] = f'attachment; filename="audit-anchor-{anchor.seq}.jsonl"'
        return response

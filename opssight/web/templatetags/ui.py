"""``{% load ui %}``: every component a page is made of. ``templates/components/README.md`` lists them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from django import template
from django.core.paginator import Page
from django.http import QueryDict
from django.template import Context
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from opssight.web import charts, formats
from opssight.web.fields import register_form_tags
from opssight.web.icons import chart_mark, icon_svg
from opssight.web.parts import (
    Action,
    Chain,
    Choice,
    CodeLine,
    Column,
    DiffLine,
    FacetOption,
    Fact,
    FailureCard,
    Lane,
    LogLine,
    Meter,
    Need,
    Progress,
    Protection,
    Reason,
    Share,
    SnapshotMark,
    Step,
    Teach,
    TreeNode,
    Trend,
)
from opssight.web.states import look_of
from opssight.web.trees import plan_mark, tree_html

register = template.Library()
register_form_tags(register)

register.filter("bytes", formats.format_bytes)
register.filter("duration", formats.format_duration)
register.filter("count", formats.format_count)
register.filter("signed", formats.format_signed)
register.filter("percent", formats.format_percent)
register.filter("midcut", formats.cut_middle)

PROVIDERS: Mapping[str, tuple[str, str]] = {
    "github": ("GH", "GitHub"),
    "gitlab": ("GL", "GitLab"),
    "bitbucket": ("BB", "Bitbucket"),
    "bitbucket_dc": ("BD", "Bitbucket Data Center"),
    "gitea": ("GT", "Gitea or Forgejo"),
    "plain": ("git", "Git server"),
    "folder": ("FO", "Folder"),
}


# --- small parts -------------------------------------------------------------------------------------

register.simple_tag(icon_svg, name="icon")
register.simple_tag(plan_mark, name="plan_mark")
register.simple_tag(chart_mark)


@register.inclusion_tag("components/state.html")
def state(
    key: str,
    word: str = "",
    note: str = "",
    size: str = "",
    pill: bool = False,
    quiet: bool = False,
    plain: bool = False,
) -> dict[str, Any]:
    """A state as shape, colour and word; ``quiet``: the word is for screen readers, ``plain``: lighter."""
    look = look_of(key)
    return {
        "look": look,
        "word": word or look.word,
        "note": note,
        "size": size,
        "pill": pill,
        "quiet": quiet,
        "plain": plain,
    }


@register.inclusion_tag("components/provider.html")
def provider(kind: str, size: str = "", label: bool = True) -> dict[str, Any]:
    """The two-letter tile of a provider; an unknown one shows the first two letters of its name."""
    letters, name = PROVIDERS.get(kind, (kind[:2].upper(), kind))
    return {"kind": kind, "letters": letters, "name": name, "size": size, "label": label}


@register.inclusion_tag("components/sha.html")
def sha(oid: str, url: str = "") -> dict[str, Any]:
    """A commit by its first seven characters, the whole in its title."""
    return {"short": oid[:7], "oid": oid, "url": url}


@register.inclusion_tag("components/time.html")
def time(at: dt.datetime | None, now: dt.datetime | None = None) -> dict[str, Any]:
    """Relative time with the exact one in its title; "never" for None."""
    return {"at": at, "text": formats.format_ago(at, now), "exact": formats.format_exact(at) if at else ""}


@register.inclusion_tag("components/time.html")
def clock(at: dt.datetime | None) -> dict[str, Any]:
    """Time of day with the exact date in its title."""
    return {"at": at, "text": formats.format_clock(at), "exact": formats.format_exact(at) if at else ""}


@register.inclusion_tag("components/marks.html")
def marks(added: int = 0, changed: int = 0, removed: int = 0) -> dict[str, Any]:
    """What a plan adds, changes and removes; nothing at all is said in words."""
    return {"added": added, "changed": changed, "removed": removed}


@register.inclusion_tag("components/action.html")
def action(action: Action, small: bool = False) -> dict[str, Any]:
    return {"action": action, "small": small}


@register.inclusion_tag("components/copy.html")
def copy(text: str, label: str = "Copy") -> dict[str, Any]:
    return {"text": text, "label": label}


# --- overview ----------------------------------------------------------------------------------------


@register.inclusion_tag("components/need.html")
def need(need: Need) -> dict[str, Any]:
    return {"need": need, "look": look_of(need.state)}


@register.inclusion_tag("components/proof.html")
def proof(
    lead: str, text: str, link_url: str = "", link_label: str = "", state: str = "proved"
) -> dict[str, Any]:
    return {
        "lead": lead,
        "text": text,
        "link_url": link_url,
        "link_label": link_label,
        "look": look_of(state),
    }


@register.inclusion_tag("components/lanes.html")
def lanes(
    lanes: Sequence[Lane], start: dt.datetime, end: dt.datetime, now: dt.datetime | None = None
) -> dict[str, Any]:
    """The day of runs; on a phone the six hours around now (or the last six of the window)."""
    now = now or timezone.now()
    near_end = min(now + dt.timedelta(hours=2), end) if now < end else end
    near_start = near_end - dt.timedelta(hours=6)
    return {
        "lanes": lanes,
        "day": charts.lanes_chart(lanes, start, end, now, 3 if end - start <= dt.timedelta(days=1.1) else 24),
        "hours": charts.lanes_chart(lanes, near_start, near_end, now, 2),
        "words": [(lane.label, charts.lane_words(lane)) for lane in lanes],
    }


@register.inclusion_tag("components/shares.html")
def shares(shares: Sequence[Share], label: str = "") -> dict[str, Any]:
    """The bar alone: with a label an image, without one decoration beside the same words."""
    return {"parts": charts.share_parts(shares), "label": label}


@register.inclusion_tag("components/protection.html")
def protection(protection: Protection) -> dict[str, Any]:
    there = [share for share in protection.shares if share.count > 0]
    return {"protection": protection, "shares": there}


@register.inclusion_tag("components/trend.html")
def trend(trend: Trend) -> dict[str, Any]:
    return {"trend": trend}


@register.inclusion_tag("components/line.html")
def line(points: Sequence[float | None], label: str = "") -> dict[str, Any]:
    return {"chart": charts.line_chart(points), "label": label}


@register.inclusion_tag("components/columns.html")
def columns(columns: Sequence[Column], label: str = "") -> dict[str, Any]:
    return {"columns": charts.column_chart(columns), "label": label}


# --- repository ----------------------------------------------------------------------------------------


@register.inclusion_tag("components/strip.html")
def strip(steps: Sequence[Step]) -> dict[str, Any]:
    return {"steps": [(step, look_of(step.state or "not_set_up"), not step.sha) for step in steps]}


@register.inclusion_tag("components/rail.html")
def rail(behind: int | None, state: str = "at_head") -> dict[str, Any]:
    dots = charts.rail_dots(behind, state)
    return {"dots": dots, "segments": list(pairwise(dots))}


@register.inclusion_tag("components/timeline.html")
def timeline(chains: Sequence[Chain], label: str = "Timeline") -> dict[str, Any]:
    return {"chains": chains, "label": label}


@register.inclusion_tag("components/facts.html")
def facts(facts: Sequence[Fact]) -> dict[str, Any]:
    return {"facts": facts}


@register.inclusion_tag("components/age.html")
def age(days: float | None, policy_days: float, state: str) -> dict[str, Any]:
    return {
        "width": charts.age_width(days, policy_days),
        "tick": charts.AGE_WIDTH // 4,
        "look": look_of(state),
    }


@register.inclusion_tag("components/snapshots.html")
def snapshots(marks: Sequence[SnapshotMark], label: str = "Restore points") -> dict[str, Any]:
    drawn = charts.snapshot_line(marks)
    return {
        "drawn": drawn,
        "label": label,
        "first": marks[0] if marks else None,
        "last": marks[-1] if marks else None,
    }


# --- run -----------------------------------------------------------------------------------------------


@register.inclusion_tag("components/sentence.html")
def sentence(text: str, trouble: str = "") -> dict[str, Any]:
    return {"text": text, "trouble": trouble}


@register.inclusion_tag("components/failure.html")
def failure(card: FailureCard) -> dict[str, Any]:
    return {"card": card}


@register.inclusion_tag("components/progress.html")
def progress(progress: Progress) -> dict[str, Any]:
    return {"progress": progress}


@register.inclusion_tag("components/meter.html")
def meter(meter: Meter) -> dict[str, Any]:
    """What is left of a limit: calm while there is more than is kept back."""
    total = max(meter.total, 1)
    tone = "bad" if meter.left <= 0 else "warn" if meter.left <= meter.kept else "ok"
    tick = charts.percent(100 * meter.kept / total) if meter.kept else ""
    return {"meter": meter, "tone": tone, "width": charts.percent(100 * meter.left / total), "tick": tick}


@register.inclusion_tag("components/log.html")
def log(lines: Sequence[LogLine], label: str = "Log") -> dict[str, Any]:
    shown = [(line, f"{timezone.localtime(line.at):%H:%M:%S.%f}"[:-3]) for line in lines]
    return {"lines": shown, "label": label}


# --- files -----------------------------------------------------------------------------------------------


@register.inclusion_tag("components/tree.html")
def tree(nodes: Sequence[TreeNode], label: str) -> dict[str, Any]:
    return {"rows": tree_html(nodes), "label": label}


@register.inclusion_tag("components/diff.html")
def diff(lines: Sequence[DiffLine], label: str) -> dict[str, Any]:
    return {"lines": lines, "label": label}


@register.inclusion_tag("components/passage.html")
def passage(lines: Sequence[CodeLine], label: str) -> dict[str, Any]:
    return {"lines": lines, "label": label}


@register.inclusion_tag("components/why.html")
def why(
    title: str, path: str, reasons: Sequence[Reason], actions: Sequence[Action] = (), close_url: str = ""
) -> dict[str, Any]:
    return {"title": title, "path": path, "reasons": reasons, "actions": actions, "close_url": close_url}


# --- choosing -----------------------------------------------------------------------------------------------


@register.inclusion_tag("components/tabs.html")
def tabs(choices: Sequence[Choice], label: str) -> dict[str, Any]:
    return {"choices": choices, "label": label}


@register.inclusion_tag("components/segmented.html")
def segmented(choices: Sequence[Choice], label: str, large: bool = False) -> dict[str, Any]:
    return {"choices": choices, "label": label, "large": large}


@register.inclusion_tag("components/facet.html")
def facet(title: str, name: str, options: Sequence[FacetOption]) -> dict[str, Any]:
    return {"title": title, "name": name, "options": options}


@register.inclusion_tag("components/sort.html", takes_context=True)
def sort(context: Context, key: str, label: str, number: bool = False, default: str = "") -> dict[str, Any]:
    """A column head that sorts; ``default`` is its order when nothing is chosen: "", "up" or "down"."""
    query = _query(context)
    chosen = query.get("sort", "")
    order = {key: "up", f"-{key}": "down"}.get(chosen, "" if chosen else default)
    query["sort"] = f"-{key}" if order == "up" else key
    query.pop("page", None)
    return {"label": label, "number": number, "order": order, "url": f"?{query.urlencode()}"}


@register.inclusion_tag("components/pager.html", takes_context=True)
def pager(context: Context, page: Page[Any], noun: str, words: str = "", single: str = "") -> dict[str, Any]:
    """What is counted (`single`: the noun where there is one), and the way to the pages beside this one."""

    def url(number: int) -> str:
        query = _query(context)
        query["page"] = str(number)
        return f"?{query.urlencode()}"

    return {
        "page": page,
        "noun": single if single and page.paginator.count == 1 else noun,
        "words": words,
        "total": page.paginator.count,
        "previous": url(page.previous_page_number()) if page.has_previous() else "",
        "next": url(page.next_page_number()) if page.has_next() else "",
    }


def _query(context: Context) -> QueryDict:
    request = context.get("request")
    if request is None:
        return QueryDict(mutable=True)
    query: QueryDict = request.GET.copy()
    return query


# --- blocks ------------------------------------------------------------------------------------------


@register.simple_block_tag(takes_context=True)
def teach(context: Context, content: str, teach: Teach) -> SafeString:
    return _block("teach", context, content, teach=teach)


@register.simple_block_tag(takes_context=True)
def banner(context: Context, content: str, state: str, title: str, command: str = "") -> SafeString:
    return _block("banner", context, content, look=look_of(state), title=title, command=command)


@register.simple_block_tag(takes_context=True)
def dialog(context: Context, content: str, id: str, title: str) -> SafeString:
    return _block("dialog", context, content, id=id, title=title)


@register.simple_block_tag(takes_context=True)
def drawer(context: Context, content: str, title: str, close_url: str, note: str = "") -> SafeString:
    return _block("drawer", context, content, title=title, close_url=close_url, note=note)


@register.simple_block_tag(takes_context=True)
def savebar(
    context: Context,
    content: str,
    title: str,
    note: str = "",
    icon: str = "copy",
    added: int = 0,
    changed: int = 0,
    removed: int = 0,
) -> SafeString:
    plan = {"added": added, "changed": changed, "removed": removed}
    return _block("savebar", context, content, title=title, note=note, icon=icon, **plan)


@register.simple_block_tag(takes_context=True)
def menu(context: Context, content: str, label: str, icon: str = "", end: bool = True) -> SafeString:
    return _block("menu", context, content, label=label, icon=icon, end=end)


@register.simple_block_tag
def filters(content: str, label: str) -> SafeString:
    """A GET form that submits itself when something is chosen; without a script it has a button."""
    return format_html(
        '<form class="filters" method="get" role="search" aria-label="{}" data-autosubmit>{}'
        '<noscript><button type="submit" class="button">Filter</button></noscript></form>',
        label,
        content,
    )


def _block(name: str, context: Context, content: str, **parts: Any) -> SafeString:
    given = {
        "content": content,
        "csrf_token": context.get("csrf_token"),
        "request": context.get("request"),
        **parts,
    }
    return render_to_string(f"components/{name}.html", given)

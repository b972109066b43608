"""A tree of files as nested disclosures: works without a script, arrow keys come with app.js.

Written in Python because a plan may show thousands of rows at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from opssight.web.icons import icon_svg
from opssight.web.parts import TreeNode

DEEPEST = 12
_MARKS = {
    "added": ("ok", "plus", "added"),
    "changed": ("warn", "tilde", "changed"),
    "removed": ("bad", "minus", "removed"),
}


def tree_html(nodes: Sequence[TreeNode], level: int = 0) -> SafeString:
    """The list of ``nodes``; folders hold the lists of their children."""
    return format_html(
        "<ul>{}</ul>", format_html_join("", "<li>{}</li>", ((_node(node, level),) for node in nodes))
    )


def _node(node: TreeNode, level: int) -> SafeString:
    return _folder(node, level) if node.folder else _leaf(node, level)


def _folder(node: TreeNode, level: int) -> SafeString:
    row = format_html(
        '<summary class="{}"{}>{}{}</summary>',
        _classes(node, level),
        _title(node),
        icon_svg("chevron-right", css="twist"),
        _inner(node, "folder"),
    )
    load = (
        format_html(
            ' hx-{}="{}" hx-trigger="toggle once" hx-target="find ul" hx-swap="outerHTML"',
            "post" if node.key else "get",
            node.load_url,
        )
        if node.load_url
        else ""
    )
    return format_html(
        "<details{}{}{}>{}{}</details>",
        " open" if node.open else "",
        format_html(' data-key="{}"', node.key) if node.key else "",
        load,
        row,
        tree_html(node.children, level + 1),
    )


def _leaf(node: TreeNode, level: int) -> SafeString:
    css = _classes(node, level) + " leaf"
    current = SafeString(' aria-current="true"') if node.current else ""
    inner = _inner(node, "file")
    if node.press:
        row = format_html(
            '<button type="submit" class="{}" name="{}" value="{}"{}{}>{}</button>',
            css,
            *node.press,
            _title(node),
            current,
            inner,
        )
    elif node.url:
        row = format_html('<a class="{}" href="{}"{}{}>{}</a>', css, node.url, _title(node), current, inner)
    else:
        row = format_html('<div class="{}"{}{}>{}</div>', css, _title(node), current, inner)
    if node.action is None:
        return row
    link = format_html('<a class="why-link" href="{}">{}</a>', node.action.url, node.action.label)
    return format_html('<div class="with-action">{}{}</div>', row, link)


def _inner(node: TreeNode, sign: str) -> SafeString:
    return format_html(
        '{}{}<span class="row-name">{}</span>{}{}',
        plan_mark(node.mark) if node.mark else "",
        icon_svg(sign),
        node.name,
        format_html('<span class="row-note">{}</span>', node.note) if node.note else "",
        format_html('<span class="rule-number"><span class="hidden">rule </span>{}</span>', node.tag)
        if node.tag
        else "",
    )


def plan_mark(mark: str) -> SafeString:
    """+ ~ − in its colour, with the word for who does not see it."""
    tone, sign, word = _MARKS[mark]
    return format_html('<span class="plan-mark {}">{}</span>', tone, icon_svg(sign, label=word))


def _classes(node: TreeNode, level: int) -> str:
    on = {
        "lit": node.lit,
        "dim": node.dim,
        node.mark: bool(node.mark),
        f"level-{min(level, DEEPEST)}": level > 0,
    }
    return " ".join(["row", *(name for name, wanted in on.items() if wanted)])


def _title(node: TreeNode) -> SafeString:
    return format_html(' title="{}"', node.title) if node.title else SafeString("")

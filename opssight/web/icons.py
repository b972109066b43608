"""The drawn signs, by the id they have in ``static/icons.svg``."""

from __future__ import annotations

from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

_STATE_SHAPES = """
    disc-tick ring-arc clock half-disc triangle octagon-cross diamond-question diamond-differs square-bars
    slashed-circle dashed-question dashed-circle
"""
_PLACES = """
    home repository play search copy mirror backup index watch link inbox people audit menu settings matrix
    server
"""
_GIT = "commit branch pull-request merge tag folder file"
_ACTIONS = """
    plus minus tilde cross tick pause stop retry restore external download upload eye filter edit trash
    share sign-out
"""
_SIGNS = """
    brand chevron-down chevron-right chevron-left arrow-right sort-up sort-down dots return lock globe key
    user bolt bell info star calendar sun moon screen
"""
ICONS = frozenset(" ".join([_STATE_SHAPES, _PLACES, _GIT, _ACTIONS, _SIGNS]).split())


def icon_svg(name: str, label: str = "", css: str = "") -> SafeString:
    """The icon as an inline reference to the sprite; decoration unless it has a label.

    Raises ValueError for a name that is not drawn: a missing sign would be an empty square.
    """
    classes = f"icon {css}".strip()
    href = _href(name)
    if label:
        return format_html(
            '<svg class="{}" role="img" aria-label="{}"><use href="{}"></use></svg>', classes, label, href
        )
    return format_html('<svg class="{}" aria-hidden="true"><use href="{}"></use></svg>', classes, href)


def chart_mark(name: str, size: int = 14, y: int = -7) -> SafeString:
    """A state's shape inside a chart, centred on x = 0 and starting at ``y``."""
    return format_html(
        '<use class="mark" href="{}" x="{}" y="{}" width="{}" height="{}"></use>',
        _href(name),
        -size // 2,
        y,
        size,
        size,
    )


def _href(name: str) -> str:
    if name not in ICONS:
        raise ValueError(f"There is no icon named {name!r} in static/icons.svg.")
    return f"{static('icons.svg')}#{name}"

"""What somebody looks at in the workbench: open folders, the chosen file and target. Kept in the form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from django.http import QueryDict

MAX_OPEN = 200  # folders that somebody opened or shut by hand


@dataclass(frozen=True)
class Looking:
    """`show` is a key: `s:docs/a.md` of the source, `t:site/a.md` of the target; `tab` a row of targets."""

    show: str = ""
    tab: int = 0
    only: bool = False  # of the source, only what a rule takes
    whole: bool = False  # of the target, also what stays as it is
    find: str = ""
    opened: tuple[str, ...] = ()
    shut: tuple[str, ...] = ()

    @classmethod
    def from_post(cls, post: QueryDict) -> Self:
        tab = post.get("tab", "0")
        return cls(
            show=post.get("show", "")[:20_000],
            tab=int(tab) if tab.isdecimal() and len(tab) < 5 else 0,
            only=post.get("only", "") == "1",
            whole=post.get("whole", "") == "1",
            find=post.get("find", "").strip()[:200],
            opened=tuple(dict.fromkeys(post.getlist("open")))[-MAX_OPEN:],
            shut=tuple(dict.fromkeys(post.getlist("shut")))[-MAX_OPEN:],
        )

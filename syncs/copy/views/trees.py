"""The two trees of the workbench: the source as it is, the target as it would become."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal
from urllib.parse import quote_from_bytes
from uuid import UUID

from django.utils.html import format_html
from django.utils.safestring import SafeString

from opssight.core.words import count
from opssight.web.formats import format_count
from opssight.web.parts import TreeNode
from repos.kept import kept
from syncs.copy.plan.planned import EMPTY
from syncs.copy.preview.plans import kept_files
from syncs.copy.preview.preview import Preview, TargetPreview
from syncs.copy.rules.paths import shown
from syncs.copy.transfer.making import Origin
from syncs.copy.views.folders import Folders, Shape, counts_of, name_of
from syncs.copy.views.looking import Looking

FOUND = 500  # files that a search lists

Mark = Literal["", "added", "changed", "removed"]


@kept(lambda folders: folders.totals[b""])
def _source_folders(origin: Origin) -> Folders:
    return Folders(origin.files())


@kept(len)
def _folders_there(repository_id: UUID, oid: str) -> frozenset[bytes]:
    return frozenset(counts_of(kept_files(repository_id, oid)))


def source_shape(
    found: Preview, matched: dict[bytes, int], rows: Sequence[int], looking: Looking, load_url: str
) -> Shape:
    """The files of the source; those that a rule takes are lit and carry its number.

    `matched` gives the rule of each path; `rows` the row of each planned rule.
    """
    folders = _source_folders(found.origin)
    chosen = bool(looking.find or looking.only)
    if chosen:
        paths = matched if looking.only else list(found.files)
        folders = Folders(sorted(_containing(paths, looking.find))[:FOUND])
    listed = (path for files in folders.files.values() for path in files) if chosen else matched
    weight = counts_of(path for path in listed if path in matched)
    return Shape(
        folders,
        "s",
        partial(_source_file, matched, rows, looking.show),
        partial(_source_folder, folders, weight),
        weight,
        load_url,
        looking.opened,
        looking.shut,
        everything=chosen,
    )


def _containing(paths: Sequence[bytes] | dict[bytes, int], text: str) -> list[bytes]:
    wanted = text.lower().encode("utf-8", "surrogateescape")
    return [path for path in paths if wanted in path.lower()] if wanted else list(paths)


def _source_file(matched: dict[bytes, int], rows: Sequence[int], show: str, path: bytes) -> TreeNode:
    rule = matched.get(path)
    key = _key("s", path)
    return TreeNode(
        name_of(path),
        title=shown(path),
        press=("show", key),
        current=show == key,
        lit=rule is not None,
        dim=rule is None,
        tag="" if rule is None else str(rows[rule] + 1),
        note="Why not?" if rule is None else "",
    )


def _source_folder(folders: Folders, weight: dict[bytes, int], folder: bytes) -> TreeNode:
    total, taken = folders.totals[folder], weight.get(folder, 0)
    note = f"{format_count(taken)} of {format_count(total)}" if taken else format_count(total)
    return TreeNode(name_of(folder), folder=True, note=note, title=shown(folder))


def _key(prefix: str, path: bytes) -> str:
    return f"{prefix}:{quote_from_bytes(path)}"


# --- the target ---------------------------------------------------------------------------------------


class After:
    """What is to be said of each path of a target: its mark, its rule, a note."""

    def __init__(self, target: TargetPreview, rows: Sequence[int]) -> None:
        plan = target.plan or EMPTY
        self.marks: dict[bytes, Mark] = {
            write.path: "added" if write.action == "add" else "changed" for write in plan.writes
        }
        self.marks |= {delete.path: "removed" for delete in plan.deletes}
        self.rules = {write.path: str(rows[write.rule_index] + 1) for write in (*plan.writes, *plan.same)}
        self.notes = {write.path: "the same" for write in plan.same}
        self.notes |= {delete.path: "deleted: gone at the source" for delete in plan.deletes}
        self.notes |= {write.path: "their change is kept" for write in plan.writes if write.merged}
        self.notes |= {
            write.path: "their change is lost" for write in plan.writes if write.edited and not write.merged
        }
        self.notes |= {refusal.path: "refused" for refusal in plan.refused}
        placed = {write.path for write in (*plan.writes, *plan.same)}
        before = target.live.writes + target.live.same if target.live else ()
        placed |= {delete.path for delete in plan.deletes}
        self.dropped = [write.path for write in before if write.path not in placed]
        self.notes |= dict.fromkeys(self.dropped, "stays, no longer copied")

    @property
    def named(self) -> list[bytes]:
        """The paths that something happens to."""
        return sorted({*self.marks, *(path for path, note in self.notes.items() if note != "the same")})


def target_shape(
    target: TargetPreview, rows: Sequence[int], tab: int, looking: Looking, load_url: str
) -> Shape:
    """A target as it would be after saving: only what changes, or everything."""
    after = After(target, rows)
    paths = after.named
    if looking.whole:
        paths = sorted({*target.files, *after.marks, *after.notes})
    folders = Folders(paths)
    added = counts_of(path for path, mark in after.marks.items() if mark == "added")
    changed = counts_of(path for path, mark in after.marks.items() if mark == "changed")
    old = _folders_there(target.repository.pk, target.oid) if target.oid else frozenset()
    return Shape(
        folders,
        f"t{tab}",
        partial(_target_file, after, looking.show),
        partial(_target_folder, added, changed, old),
        folders.totals if not looking.whole else counts_of(after.named),
        load_url,
        looking.opened,
        looking.shut,
        everything=not looking.whole,
    )


def _target_file(after: After, show: str, path: bytes) -> TreeNode:
    key = _key("t", path)
    note = after.notes.get(path, "")
    mark = after.marks.get(path, "")
    return TreeNode(
        name_of(path),
        title=shown(path),
        press=("show", key),
        current=show == key,
        mark=mark,
        tag=after.rules.get(path, ""),
        note=note,
        dim=not mark and note in ("", "the same"),
    )


def _target_folder(
    added: dict[bytes, int], changed: dict[bytes, int], old: frozenset[bytes], folder: bytes
) -> TreeNode:
    new = folder not in old and folder in added
    note: str | SafeString = "new folder" if new else _marks(added.get(folder, 0), changed.get(folder, 0))
    return TreeNode(name_of(folder), folder=True, note=note, mark="added" if new else "", title=shown(folder))


def _marks(added: int, changed: int) -> SafeString:
    plus = format_html('<span class="added">+{}</span>', format_count(added)) if added else ""
    tilde = format_html('<span class="changed">~{}</span>', format_count(changed)) if changed else ""
    return format_html('<span class="marks">{}{}</span>', plus, tilde) if plus or tilde else SafeString("")


def left_alone(target: TargetPreview) -> str:
    """What nothing happens to, in a line under the tree."""
    plan = target.plan or EMPTY
    others = len(target.files) - len(plan.same) - sum(1 for write in plan.writes if write.old)
    others -= len(plan.deletes)
    same = f"{count(len(plan.same), 'file')} already the same. " if plan.same else ""
    if plan.adoptable and len(plan.adoptable) < len(plan.same):
        same += f"{len(plan.adoptable):,} of them not written by this rule. "
    return f"{same}{count(others, 'other file')} there, not touched." if others else same.strip()

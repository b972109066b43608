"""The files of a repository at the newest commit of a branch, from this machine's copy of its history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote, quote_from_bytes, unquote_to_bytes
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from opssight.core.errors import Failure
from opssight.core.words import count
from opssight.web.formats import format_count
from opssight.web.parts import CodeLine, TreeNode
from opssight.web.trees import tree_html
from repos import access, warm
from repos.git.types import CommitInfo
from repos.kept import kept
from repos.models import Repository
from repos.views.repository import OfRepository

LISTED: Final = 500  # files of one folder
BYTES: Final = 256_000  # of a file that is shown
LINES: Final = 2_000
_ON_ITS_WAY: Final = "Its contents are being fetched. Open it again in a moment."
_TOO_LARGE: Final = "It is too large to be shown here."
DEEPEST: Final = 40  # folders that are opened one inside the other


class Tree:
    """The files of one commit by folder; `totals` counts those below each."""

    def __init__(self, entries: Sequence[tuple[bytes, str, str]]) -> None:
        self.files: dict[bytes, list[bytes]] = {b"": []}
        self.inside: dict[bytes, set[bytes]] = {b"": set()}
        self.totals: dict[bytes, int] = {b"": 0}
        self.oids: dict[bytes, tuple[str, str]] = {}
        for path, mode, oid in entries:
            self.oids[path] = (mode, oid)
            folder = path.rpartition(b"/")[0]
            self.files.setdefault(folder, []).append(path)
            self._count(folder)

    def _count(self, folder: bytes) -> None:
        """One more file in a folder and in all above it."""
        while True:
            self.totals[folder] = self.totals.get(folder, 0) + 1
            self.inside.setdefault(folder, set())
            if not folder:
                return
            above = folder.rpartition(b"/")[0]
            self.inside.setdefault(above, set()).add(folder)
            folder = above


@kept(lambda tree: len(tree.oids))
def _tree(repository_id: UUID, oid: str) -> Tree:
    store = access.stores().store(repository_id)
    return Tree([(entry.path, entry.mode, entry.oid) for entry in store.tree(oid)])


class FilesPage(OfRepository):
    """A tree and, beside it, the file one chose."""

    template_name = "repos/files.html"
    tab = "repository_files"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.headers.get("HX-Request") != "true":
            return super().get(request, *args, **kwargs)
        if "folder" in request.GET:
            return self.folder(request.GET.get("at", ""), path_in(request.GET["folder"]))
        return render(request, "repos/_files.html", {"repository": self.repository, **self.part()})

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**self.part(), **kwargs)

    def part(self) -> dict[str, Any]:
        """The tree at the newest commit that is here, or why there is none yet."""
        branch = self.branch
        try:
            tip = warm.tip(self.repository, branch)
            if not tip.oid:
                return {"branch": branch, "tip": tip}
            return {"branch": branch, "tip": tip, **self.shown(tip.oid, branch)}
        except Failure as failure:
            return {"branch": branch, "tip": warm.Tip(sentence=failure.sentence)}

    @property
    def branch(self) -> str:
        return self.request.GET.get("branch", "").strip() or self.repository.default_branch or "main"

    def addresses(self, oid: str, branch: str) -> Addresses:
        page = reverse(self.tab, args=[self.repository.pk])
        return Addresses(f"{page}?branch={quote(branch, safe='')}", oid)

    def shown(self, oid: str, branch: str) -> dict[str, Any]:
        tree = _tree(self.repository.pk, oid)
        path = path_in(self.request.GET.get("path", ""))
        commit: CommitInfo = access.store_of(self.repository).commit_info(oid)
        return {
            "commit": commit,
            "nodes": nodes(tree, self.addresses(oid, branch), b"", _opened(tree, path), path),
            "total": tree.totals[b""],
            "path": shown(path),
            "file": file(self.repository, tree, path) if path in tree.oids else None,
        }

    def folder(self, oid: str, folder: bytes) -> HttpResponse:
        """The inside of one folder, for a tree that is open in a page."""
        try:
            tree = _tree(self.repository.pk, oid)
        except Failure:
            raise Http404 from None
        if folder not in tree.totals:
            raise Http404
        rows = nodes(tree, self.addresses(oid, self.branch), folder, set(), b"")
        return HttpResponse(tree_html(rows, folder.count(b"/") + 1))


class Addresses:
    """Where the rows of a tree lead."""

    def __init__(self, page: str, oid: str) -> None:
        self.page = page
        self.oid = oid

    def of(self, path: bytes) -> str:
        return f"{self.page}&path={_in_query(path)}"

    def inside(self, folder: bytes) -> str:
        return f"{self.page}&at={self.oid}&folder={_in_query(folder)}"


def nodes(
    tree: Tree, addresses: Addresses, folder: bytes, opened: set[bytes], chosen: bytes
) -> list[TreeNode]:
    """The rows of one folder: folders first, then at most `LISTED` files."""
    rows = [_folder(tree, addresses, inner, opened, chosen) for inner in sorted(tree.inside[folder])]
    files = tree.files.get(folder, [])
    rows += [
        TreeNode(_name(path), url=addresses.of(path), title=shown(path), current=path == chosen)
        for path in files[:LISTED]
    ]
    if len(files) > LISTED:
        rows.append(TreeNode(count(len(files) - LISTED, "more file"), dim=True))
    return rows


def _folder(tree: Tree, addresses: Addresses, folder: bytes, opened: set[bytes], chosen: bytes) -> TreeNode:
    total = tree.totals[folder]
    name, note = _name(folder), format_count(total)
    if folder in opened:
        inside = nodes(tree, addresses, folder, opened, chosen)
        return TreeNode(name, folder=True, open=True, children=inside, note=note, title=shown(folder))
    show = TreeNode(f"Show {count(total, 'file')}", dim=True, url=addresses.of(folder))
    return TreeNode(
        name, folder=True, children=[show], load_url=addresses.inside(folder), note=note, title=shown(folder)
    )


def _opened(tree: Tree, path: bytes) -> set[bytes]:
    """The folders above a path, itself included where it is one; no further down than people look."""
    parts = path.split(b"/")[:DEEPEST]
    above = {b"/".join(parts[: end + 1]) for end in range(len(parts))}
    return {folder for folder in above if folder in tree.totals}


def file(repository: Repository, tree: Tree, path: bytes) -> dict[str, Any]:
    """What is in a file: lines, or a sentence that says why there are none."""
    mode, oid = tree.oids[path]
    if mode == "160000":
        return {"sentence": f"A submodule, at commit {oid[:7]} of another repository."}
    store = access.store_of(repository)
    if store.partial:
        contents = warm.blobs(repository, [oid], limit=BYTES)
        if contents.too_large:
            return {"sentence": _TOO_LARGE}
        if not contents.here:
            return {
                "sentence": contents.sentence or "Its contents are being fetched. Open it again in a moment."
            }
    size = store.size(oid)
    if size > BYTES:
        return {"size": size, "sentence": _TOO_LARGE}
    return {"size": size, **_contents(store.blob(oid, BYTES))}


def _contents(data: bytes) -> dict[str, Any]:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return {"sentence": "It is not text."}
    if "\0" in text:
        return {"sentence": "It is not text."}
    if not text:
        return {"sentence": "It is empty."}
    lines = text.splitlines()
    shown_lines = [CodeLine(number, [(line, False)]) for number, line in enumerate(lines[:LINES], 1)]
    return {"lines": shown_lines, "more": max(len(lines) - LINES, 0), "sentence": ""}


def path_in(text: str) -> bytes:
    """The path that `_in_query` wrote; what is none is simply not in the tree."""
    return unquote_to_bytes(text)


def _in_query(path: bytes) -> str:
    # twice: once for the bytes of the path, which may be no UTF-8, once for the query
    return quote(quote_from_bytes(path), safe="")


def _name(path: bytes) -> str:
    return shown(path.rpartition(b"/")[2])


def shown(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")

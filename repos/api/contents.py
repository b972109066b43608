"""Branches, tags, history, files and changes of a repository in the API."""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param

from opssight.api.pagination import LARGEST, PAGE_SIZE
from repos import contents
from repos.git.reading import checked_oid
from repos.git.types import TreeEntry
from repos.models import Repository

_QUOTED = "Percent-encoded bytes, for what is no UTF-8."


class BytesField(serializers.CharField):
    """Bytes as text; what is no UTF-8 is written as \\xNN, and whole in the field with `_quoted`."""

    def to_representation(self, value: Any) -> str:
        return bytes(value).decode("utf-8", "backslashreplace")


class QuotedField(serializers.CharField):
    def to_representation(self, value: Any) -> str:
        return quote_from_bytes(bytes(value))


class NamedOut(serializers.Serializer[Any]):
    name = BytesField()
    name_quoted = QuotedField(source="name", help_text=_QUOTED)
    oid = serializers.CharField(help_text="An annotated tag's own.")


class BranchOut(NamedOut):
    default = serializers.BooleanField()


class CommitOut(serializers.Serializer[Any]):
    oid = serializers.CharField()
    subject = serializers.CharField()
    author_name = serializers.CharField()
    author_email = serializers.CharField()
    at = serializers.DateTimeField(help_text="When it was committed.")


class EntryOut(serializers.Serializer[Any]):
    path = BytesField()
    path_quoted = QuotedField(source="path", help_text=_QUOTED)
    kind = serializers.SerializerMethodField(help_text="file, link, folder or submodule.")
    mode = serializers.CharField()
    oid = serializers.CharField()
    size = serializers.SerializerMethodField(help_text="Bytes; null where its contents are not here.")

    def get_kind(self, entry: TreeEntry) -> str:
        kinds = {"tree": "folder", "commit": "submodule"}
        return "link" if entry.mode == "120000" else kinds.get(entry.type, "file")

    def get_size(self, entry: TreeEntry) -> int | None:
        found: int | None = self.context["sizes"].get(entry.oid)
        return found


class ContentOut(serializers.Serializer[Any]):
    commit = serializers.CharField()
    oid = serializers.CharField()
    mode = serializers.CharField()
    link = serializers.BooleanField(source="is_link", help_text="Then the contents are where it leads.")
    size = serializers.SerializerMethodField()
    encoding = serializers.SerializerMethodField(help_text="utf-8, or base64 for what is no text.")
    content = serializers.SerializerMethodField()

    def get_size(self, file: contents.File) -> int:
        return len(file.data)

    def get_encoding(self, file: contents.File) -> str:
        return "base64" if _text(file.data) is None else "utf-8"

    def get_content(self, file: contents.File) -> str:
        text = _text(file.data)
        return base64.b64encode(file.data).decode() if text is None else text


class ChangeOut(serializers.Serializer[Any]):
    status = serializers.CharField(help_text="A added, D deleted, M modified, T another type, R renamed.")
    path = BytesField()
    path_quoted = QuotedField(source="path", help_text=_QUOTED)
    old_path = BytesField(allow_null=True, help_text="Before a rename.")
    old_path_quoted = QuotedField(source="old_path", allow_null=True, help_text=_QUOTED)
    mode = serializers.CharField()
    oid = serializers.CharField()
    old_mode = serializers.CharField()
    old_oid = serializers.CharField()


class PageOut(serializers.Serializer[Any]):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)


class BranchesOut(PageOut):
    results = BranchOut(many=True)


class TagsOut(PageOut):
    results = NamedOut(many=True)


class CommitsOut(PageOut):
    commit = serializers.CharField(help_text="Where the history begins.")
    results = CommitOut(many=True)


class TreeOut(PageOut):
    commit = serializers.CharField()
    results = EntryOut(many=True)


class ChangesOut(PageOut):
    old = serializers.CharField(help_text="The commit that `from` stands for.")
    new = serializers.CharField(help_text="The commit that `to` stands for.")
    total = serializers.IntegerField()
    results = ChangeOut(many=True)


_PAGES = [
    OpenApiParameter("cursor", str, description="Where the page begins: taken from `next` or `previous`."),
    OpenApiParameter("page_size", int, description=f"1 to {LARGEST}; default {PAGE_SIZE}."),
]
_REF = [
    OpenApiParameter("ref", str, description="A branch, a tag or the id of a commit. Default: its branch."),
    OpenApiParameter("ref_quoted", str, description=_QUOTED),
]
_PATH = [
    OpenApiParameter("path", str, description="From the root, without a slash in front."),
    OpenApiParameter("path_quoted", str, description=_QUOTED),
]
_ENDS = [
    OpenApiParameter("from", str, required=True, description="A branch, a tag or the id of a commit."),
    OpenApiParameter("to", str, description="The same. Default: its branch."),
]


class Pages:
    """A page of something that git lists: it begins at `offset`, at the commits that the first page saw."""

    def __init__(self, request: Request, pinned: int = 0) -> None:
        self.request = request
        text = request.query_params.get("page_size", str(PAGE_SIZE))
        self.size = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
        if not 1 <= self.size <= LARGEST:
            raise ValidationError({"page_size": f"Give a number from 1 to {LARGEST}."})
        self.offset, self.oids = self._position(request.query_params.get("cursor", ""), pinned)

    def _position(self, cursor: str, pinned: int) -> tuple[int, list[str]]:
        if not cursor:
            return 0, []
        try:
            text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            offset, *oids = json.loads(text)
            if type(offset) is int and 0 <= offset < 10**9 and len(oids) == pinned:
                return offset, [checked_oid(oid) for oid in oids]
        except (binascii.Error, ValueError, TypeError, UnicodeError, RecursionError):
            pass
        raise ValidationError({"cursor": "This is not a cursor. Start again without it."})

    def answer(
        self, rows: Sequence[Any], show: Callable[[Sequence[Any]], Any], oids: Sequence[str] = (), **more: Any
    ) -> Response:
        """`rows` begin at the page and go one further, where there is more."""
        page = rows[: self.size]
        after = self.offset + self.size if len(rows) > self.size else None
        before = max(self.offset - self.size, 0) if self.offset else None
        links = {"next": self._link(after, oids), "previous": self._link(before, oids)}
        return Response({**links, **more, "results": show(page)})

    def _link(self, offset: int | None, oids: Sequence[str]) -> str | None:
        if offset is None:
            return None
        text = json.dumps([offset, *oids], separators=(",", ":"))
        cursor = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
        url = remove_query_param(self.request.build_absolute_uri(), "cursor")
        return str(replace_query_param(url, "cursor", cursor))


class ContentsActions:
    """What a repository holds. 409 with Retry-After while its history is being fetched to this machine."""

    get_object: Callable[[], Repository]

    @extend_schema(responses=BranchesOut, parameters=_PAGES)
    @action(detail=True, filter_backends=[], pagination_class=None)
    def branches(self, request: Request, pk: uuid.UUID) -> Response:
        """Its branches, the default one first."""
        pages = Pages(request)
        found = contents.branches(self.get_object())
        return pages.answer(found[pages.offset :], lambda rows: BranchOut(rows, many=True).data)

    @extend_schema(responses=TagsOut, parameters=_PAGES)
    @action(detail=True, filter_backends=[], pagination_class=None)
    def tags(self, request: Request, pk: uuid.UUID) -> Response:
        """Its tags, by name."""
        pages = Pages(request)
        found = contents.tags(self.get_object())
        return pages.answer(found[pages.offset :], lambda rows: NamedOut(rows, many=True).data)

    @extend_schema(responses=CommitsOut, parameters=[*_REF, *_PAGES])
    @action(detail=True, filter_backends=[], pagination_class=None)
    def commits(self, request: Request, pk: uuid.UUID) -> Response:
        """Its history from a branch, tag or commit back, the newest first: at most 10,000 commits."""
        pages, repository = Pages(request, 1), self.get_object()
        oid = pages.oids[0] if pages.oids else contents.resolve(repository, _given(request, "ref"))
        found = contents.commits(repository, oid, skip=pages.offset, limit=pages.size + 1)
        return pages.answer(found, lambda rows: CommitOut(rows, many=True).data, [oid], commit=oid)

    @extend_schema(responses=TreeOut, parameters=[*_REF, *_PATH, *_PAGES])
    @action(detail=True, filter_backends=[], pagination_class=None)
    def tree(self, request: Request, pk: uuid.UUID) -> Response:
        """What stands in one folder, folders first."""
        pages, repository = Pages(request, 1), self.get_object()
        oid = pages.oids[0] if pages.oids else contents.resolve(repository, _given(request, "ref"))
        found = contents.tree(repository, oid, _given(request, "path"))[pages.offset :]

        def show(rows: Sequence[Any]) -> Any:
            return EntryOut(rows, many=True, context={"sizes": contents.sizes(repository, rows)}).data

        return pages.answer(found, show, [oid], commit=oid)

    @extend_schema(responses=ContentOut, parameters=[*_REF, *_PATH])
    @action(detail=True, filter_backends=[], pagination_class=None)
    def content(self, request: Request, pk: uuid.UUID) -> Response:
        """A file of at most 1 MB."""
        repository = self.get_object()
        path = _given(request, "path")
        if not path:
            raise ValidationError({"path": "Name a file."})
        oid = contents.resolve(repository, _given(request, "ref"))
        return Response(ContentOut(contents.content(repository, oid, path)).data)

    @extend_schema(responses=ChangesOut, parameters=[*_ENDS, *_PAGES])
    @action(detail=True, filter_backends=[], pagination_class=None)
    def changes(self, request: Request, pk: uuid.UUID) -> Response:
        """What differs between two commits: status and path of each file."""
        pages, repository = Pages(request, 2), self.get_object()
        if not request.query_params.get("from"):
            raise ValidationError({"from": "Name a branch, a tag or the id of a commit."})
        ends = (_given(request, name) for name in ("from", "to"))
        old, new = pages.oids or [contents.resolve(repository, end) for end in ends]
        found = contents.changes(repository, old, new)
        rows = found[pages.offset :]
        more = {"old": old, "new": new, "total": len(found)}
        return pages.answer(rows, lambda part: ChangeOut(part, many=True).data, [old, new], **more)


def _given(request: Request, name: str) -> bytes:
    """A ref or path as bytes: plain, or percent-encoded once more in `<name>_quoted`."""
    quoted = request.query_params.get(f"{name}_quoted")
    return unquote_to_bytes(quoted) if quoted else request.query_params.get(name, "").encode()


def _text(data: bytes) -> str | None:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text

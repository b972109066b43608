"""Further files of a configuration, in memory."""

from __future__ import annotations

from collections.abc import Mapping

from opssight.core.errors import NotFound

Asked = tuple[str | None, str | None, str]


class Kept:
    """`files`: the text by path, or by (repository, branch, path). `asked` is what was read."""

    def __init__(self, files: Mapping[str | Asked, str]) -> None:
        self._files = {(None, None, at) if isinstance(at, str) else at: text for at, text in files.items()}
        self.asked: list[Asked] = []

    def read(self, repository: str | None, branch: str | None, path: str) -> bytes:
        self.asked.append((repository, branch, path))
        try:
            return self._files[repository, branch, path].encode()
        except KeyError:
            raise NotFound(f"There is no file {path}.") from None

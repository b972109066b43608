"""What can be wrong with a connection before or beside git itself."""

from __future__ import annotations

from opssight.core.errors import InvalidInput, NotFound, PermanentFailure, TransientFailure


class FolderNotAllowed(PermanentFailure):
    """A folder lies outside what this connection may use."""


class FolderMissing(NotFound):
    """The folder of a connection is not there or cannot be read."""


class TooMany(PermanentFailure):
    """There is more below a folder, or at a server, than is listed."""


class TooSlow(TransientFailure):
    """A server had not answered everything when whoever asked waited no longer."""


class NotOfThisConnection(NotFound):
    """The repository is not, or no longer, one of this connection."""


class Unreadable(InvalidInput):
    """A delivery is authentic but makes no sense."""

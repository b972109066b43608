"""What can go wrong, in the classes that decide what happens next.

Every failure that a person or the run engine has to act on is a `Failure`: one class and one
sentence. The class decides the next state of a run; the sentence is shown as it stands on pages,
in the API, on the command line and in notices, so it never holds a secret.
"""

from __future__ import annotations

import datetime as dt
from enum import StrEnum


class ErrorClass(StrEnum):
    """Why something failed; the engine's only input for what to do next."""

    TRANSIENT = "transient"  # network, timeout, 5xx, lock: try again with backoff
    RATE_LIMITED = "rate_limited"  # wait until `retry_at`; not counted as an attempt
    AUTH = "auth"  # the credential is refused: the connection needs a person
    NOT_FOUND = "not_found"  # the repository, branch or object is not there (any more)
    CONFLICT = "conflict"  # somebody else changed it: look again, then decide
    PERMANENT = "permanent"  # will fail the same way again until something is changed


class Failure(Exception):
    """A failure with its class and one sentence that says what is wrong and what to do."""

    error_class: ErrorClass = ErrorClass.PERMANENT

    def __init__(self, sentence: str, *, detail: str = "", retry_at: dt.datetime | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.detail = detail  # for the log: redacted output of a tool, never shown in a list
        self.retry_at = retry_at

    @property
    def retryable(self) -> bool:
        return self.error_class in {ErrorClass.TRANSIENT, ErrorClass.RATE_LIMITED, ErrorClass.CONFLICT}

    @property
    def code(self) -> str:
        """The machine-readable reason: the class, or something narrower."""
        return self.error_class.value


class TransientFailure(Failure):
    error_class = ErrorClass.TRANSIENT


class RateLimited(Failure):
    error_class = ErrorClass.RATE_LIMITED


class AuthFailure(Failure):
    error_class = ErrorClass.AUTH


class Revoked(AuthFailure):
    """The credential was taken back at the other side; renewing it is not possible."""


class NotFound(Failure):
    error_class = ErrorClass.NOT_FOUND


class Conflict(Failure):
    error_class = ErrorClass.CONFLICT


class PermanentFailure(Failure):
    error_class = ErrorClass.PERMANENT


class BlockedByOrganization(PermanentFailure):
    """The credential is good, but rules of an organization keep us out: SSO, addresses, applications."""

    @property
    def code(self) -> str:
        return "blocked_by_org"


class InvalidInput(PermanentFailure):
    """A person gave something that cannot be used: exit status 2, HTTP 4xx, nothing written.

    `problems` is a list of (where, message); `where` is a field, a key path or `line:column`.
    """

    def __init__(self, sentence: str, problems: list[tuple[str, str]] | None = None) -> None:
        super().__init__(sentence)
        self.problems = problems or [("", sentence)]

"""Choosing among what a connection sees: the same filters on the page, in the API, in commands and rules."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any, Final

import re2

from opssight.core.errors import InvalidInput
from repos.providers.types import RemoteRepository

LONGEST: Final = 400  # characters of one value
_PATTERN_MEMORY: Final = 1 << 20
VISIBILITIES: Final = ("public", "internal", "private")
YES_NO: Final = ("yes", "no")
STATES: Final = ("new", "imported")
CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "visibility": VISIBILITIES,
    "archived": YES_NO,
    "fork": YES_NO,
    "state": STATES,
}
_AS_WORD: Final = {True: "yes", False: "no", "true": "yes", "false": "no"}

Matcher = Callable[[RemoteRepository, bool], bool]


@dataclass(frozen=True)
class Filters:
    """What is wanted; "" and None ask for nothing. All that is given must fit.

    `search`: words of name or description. `owner`: an organization, workspace or group, with all groups
    in it. `pushed_since` leaves out what the provider does not date. `include` and `exclude` are RE2
    patterns that are searched for in the full name.
    """

    search: str = ""
    owner: str = ""
    visibility: str = ""
    archived: str = ""
    fork: str = ""
    topic: str = ""
    language: str = ""
    pushed_since: dt.date | None = None
    include: str = ""
    exclude: str = ""
    state: str = ""

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Filters:
        """From a query or JSON; other names are left alone. InvalidInput names each that does not fit."""
        problems: list[tuple[str, str]] = []
        values: dict[str, Any] = {}
        for field in fields(cls):
            try:
                values[field.name] = _value(field.name, given.get(field.name))
            except InvalidInput as refused:
                problems += [(field.name, refused.sentence)]
        if problems:
            raise InvalidInput(" ".join(sentence for _, sentence in problems), problems)
        return cls(**values)

    def as_json(self) -> dict[str, str]:
        """What is given, as `read` takes it."""
        return {field.name: str(value) for field in fields(self) if (value := getattr(self, field.name))}

    @property
    def words(self) -> str:
        """Such as "below acme, not archived"; "everything" without filters."""
        said = [
            f"below {self.owner}" if self.owner else "",
            f"with the words {self.search}" if self.search else "",
            self.visibility,
            {"yes": "archived", "no": "not archived"}.get(self.archived, ""),
            {"yes": "forks", "no": "no forks"}.get(self.fork, ""),
            f"topic {self.topic}" if self.topic else "",
            f"in {self.language}" if self.language else "",
            f"pushed since {self.pushed_since}" if self.pushed_since else "",
            f"matching {self.include}" if self.include else "",
            f"not matching {self.exclude}" if self.exclude else "",
            {"new": "not here yet", "imported": "here already"}.get(self.state, ""),
        ]
        return ", ".join(part for part in said if part) or "everything"

    def matcher(self) -> Matcher:
        """Asks one repository after the other; the second argument says whether it is imported."""
        checks = [check for check in self._checks() if check is not None]
        return lambda remote, imported: all(check(remote, imported) for check in checks)

    def _checks(self) -> Iterable[Matcher | None]:
        """The cheapest first."""
        below = f"{self.owner}/"
        topic, language, since = self.topic.lower(), self.language.lower(), self.pushed_since
        wanted = {"yes": True, "no": False}
        yield (lambda r, known: known == (self.state == "imported")) if self.state else None
        yield (lambda r, known: r.full_name.startswith(below)) if self.owner else None
        yield (lambda r, known: r.visibility == self.visibility) if self.visibility else None
        yield (lambda r, known: r.archived is wanted[self.archived]) if self.archived else None
        yield (lambda r, known: r.fork is wanted[self.fork]) if self.fork else None
        yield (lambda r, known: r.language.lower() == language) if language else None
        yield (lambda r, known: any(one.lower() == topic for one in r.topics)) if topic else None
        yield (lambda r, known: _since(r, since)) if since else None
        yield _has_words(self.search.lower().split()) if self.search else None
        yield _found(compiled(self.include), True) if self.include else None
        yield _found(compiled(self.exclude), False) if self.exclude else None


def compiled(pattern: str) -> re2._Regexp:
    """A pattern in RE2's syntax, which takes linear time. InvalidInput says what is wrong with it."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _PATTERN_MEMORY
    try:
        return re2.compile(pattern.encode(), options)
    except UnicodeEncodeError:
        raise InvalidInput("The pattern holds half of a character. Type it again.") from None
    except re2.error as error:
        said = error.args[0] if error.args else "it is too large"
        reason = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        raise InvalidInput(f"The pattern cannot be read: {reason}.") from None


def active_at(remote: RemoteRepository) -> dt.datetime | None:
    """The last push, or the last activity of any kind where the provider tells only that."""
    if remote.pushed_at is not None:
        return remote.pushed_at
    with suppress(ValueError, TypeError):
        return dt.datetime.fromisoformat(remote.data.get("active_at", ""))
    return None


def owner_of(full_name: str) -> str:
    return full_name.rpartition("/")[0]


def owners(remotes: Iterable[RemoteRepository]) -> dict[str, int]:
    """How many repositories each organization, workspace and group holds, groups in it included; by name."""
    direct = Counter(owner_of(remote.full_name) for remote in remotes)
    totals: Counter[str] = Counter()
    for owner, number in direct.items():
        parts = owner.split("/")
        for end in range(1, len(parts) + 1):
            totals["/".join(parts[:end])] += number
    del totals[""]
    return dict(sorted(totals.items(), key=lambda pair: pair[0].lower().split("/")))


def _value(name: str, given: Any) -> Any:
    if given is None or given == "":
        return None if name == "pushed_since" else ""
    text = _AS_WORD[given] if isinstance(given, bool) else given
    if not isinstance(text, str) or len(text) > LONGEST or "\0" in text:
        raise InvalidInput(f"{_label(name)} must be text of at most {LONGEST} characters.")
    text = text.strip()
    if name in CHOICES:
        text = _AS_WORD.get(text.lower(), text.lower())
        if text and text not in CHOICES[name]:
            raise InvalidInput(f"{_label(name)} must be one of: {', '.join(CHOICES[name])}.")
    if name == "pushed_since":
        return _date(text)
    if name in ("include", "exclude"):
        compiled(text)
    return text.strip("/") if name == "owner" else text


def _label(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _date(text: str) -> dt.date:
    with suppress(ValueError):
        return dt.date.fromisoformat(text)
    raise InvalidInput("Pushed since must be a date, such as 2026-01-31.")


def _since(remote: RemoteRepository, since: dt.date) -> bool:
    at = active_at(remote)
    return at is not None and at.date() >= since


def _has_words(words: list[str]) -> Matcher:
    def check(remote: RemoteRepository, known: bool) -> bool:
        text = f"{remote.full_name}\n{remote.description}".lower()
        return all(word in text for word in words)

    return check


def _found(pattern: re2._Regexp, wanted: bool) -> Matcher:
    def check(remote: RemoteRepository, known: bool) -> bool:
        name = remote.full_name.encode("utf-8", "surrogateescape")
        return (pattern.search(name) is not None) is wanted

    return check

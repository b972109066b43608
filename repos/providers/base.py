"""The interface of every provider, and of every webhook scheme."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from opssight.core.errors import InvalidInput, NotFound
from repos.git.remote import Remote
from repos.providers.types import Capability, Context, Field, Identity, Missed, Parsed, RemoteRepository

Options = Mapping[str, Any]  # text, or a list of text for a field of kind `lines`


class Provider(ABC):
    """One connection to one provider. Every method may contact it and raise a `Failure`.

    The constructor checks what it is given and contacts nobody; it raises `InvalidInput` whose
    problems name the fields.
    """

    kind: ClassVar[str]
    label: ClassVar[str]
    mark: ClassVar[str]  # two letters
    fields: ClassVar[tuple[Field, ...]]
    capabilities: ClassVar[frozenset[Capability]]

    def __init__(self, options: Options, secrets: Mapping[str, str], context: Context) -> None:
        self.options = clean_options(self.fields, options)
        self.secrets = clean_secrets(self.fields, secrets)
        self.context = context

    @property
    def origins(self) -> frozenset[str]:
        """The servers that are given the secrets of this connection."""
        return frozenset()

    @abstractmethod
    def identity(self) -> Identity:
        """Who we are there; proves that the connection works."""

    @abstractmethod
    def repositories(self, missed: Missed | None = None) -> Iterator[RemoteRepository]:
        """All repositories that the connection sees, also those that cannot be used.

        A part that cannot be listed is told to `missed`, and the others are listed all the same; without
        `missed` it is a `Failure`.
        """

    @abstractmethod
    def repository(self, external_id: str) -> RemoteRepository:
        """One repository. NotFound when the connection does not see it."""

    def repository_named(self, full_name: str) -> RemoteRepository:
        """The repository of this name, where its id is not known. NotFound when the connection sees none."""
        for found in self.repositories():
            if found.full_name.lower() == full_name.lower():
                return found
        raise not_seen(full_name)

    @abstractmethod
    def remote(self, external_id: str, full_name: str) -> Remote:
        """Where git reaches a repository, with its credential and without looked-up addresses."""


class HookScheme(ABC):
    """How deliveries of one sender are verified and read. Headers come with lower-case names."""

    scheme: ClassVar[str]
    label: ClassVar[str]
    help: ClassVar[str]  # what to enter at the sender
    headers: ClassVar[tuple[str, ...]]  # those `parse` needs, kept with the delivery; no signature
    published: ClassVar[str] = ""  # where the sender's service tells from which networks it delivers

    def opens(self, headers: Mapping[str, str]) -> bool:
        """Whether `verify` has to take the body apart before it can check anything."""
        return False

    @abstractmethod
    def verify(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> bool:
        """Whether one of the secrets signed exactly this body. False when there is no secret."""

    @abstractmethod
    def parse(self, headers: Mapping[str, str], body: bytes) -> Parsed:
        """What an authentic delivery says. Raises `Unreadable`."""

    def networks_of(self, document: object) -> list[str]:
        """The networks in what stands at `published`."""
        return []

    @abstractmethod
    def example(self, secret: str) -> tuple[dict[str, str], bytes]:
        """Headers and body of a signed delivery that asks for nothing, to try a hook with."""


def not_seen(full_name: str) -> NotFound:
    """What is said of a name that leads to no repository."""
    return NotFound(
        f"The connection does not see {full_name!r}. Check its name, and what the credential may read."
    )


def clean_options(fields: Sequence[Field], options: Options) -> dict[str, Any]:
    """The options in the shape of the fields. InvalidInput names every field that does not fit."""
    known = {field.name: field for field in fields if not field.is_secret}
    problems = [(name, f"There is no option {name}.") for name in options if name not in known]
    clean: dict[str, Any] = {}
    for name, field in known.items():
        try:
            clean[name] = _lines(options.get(name)) if field.kind == "lines" else _text(options.get(name))
        except TypeError:
            problems.append((name, f"{field.label} must be text."))
            continue
        if field.required and not clean[name]:
            problems.append((name, f"{field.label} is missing. {field.help}"))
    _refuse(problems)
    return clean


def clean_secrets(fields: Sequence[Field], secrets: Mapping[str, str]) -> dict[str, str]:
    """The secrets that were given. InvalidInput names what is not one of the fields' secrets."""
    known = {field.name for field in fields if field.is_secret}
    _refuse([(name, f"There is no secret {name}.") for name in secrets if name not in known])
    return {name: value for name, value in secrets.items() if value}


def _refuse(problems: list[tuple[str, str]]) -> None:
    if problems:
        raise InvalidInput(" ".join(sentence for _, sentence in problems), problems)


def _text(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or "\0" in value:
        raise TypeError
    return value.strip()


def _lines(value: object) -> list[str]:
    parts = value if isinstance(value, list) else _text(value).splitlines()
    return [line for line in map(_text, parts) if line]

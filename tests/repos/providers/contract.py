"""What every provider must do, whatever it talks to. Runs without a database.

A provider's test makes a `Case` over a real place with at least one usable repository that has a
`main` branch, and the contract is run on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from opssight.core.errors import InvalidInput, NotFound
from repos.git.fetching import look
from repos.git.remote import Remote
from repos.providers.base import Provider
from repos.providers.registry import provider_named
from repos.providers.types import Capability, Context


@dataclass(frozen=True)
class Case:
    """A place that a provider can reach. `expected`: full names there; `gone`: an id that is not."""

    kind: str
    options: Mapping[str, Any]
    secrets: Mapping[str, str]
    context: Context
    expected: set[str]
    gone: str

    @property
    def provider(self) -> type[Provider]:
        return provider_named(self.kind)

    def client(self, **changed: Any) -> Provider:
        given: dict[str, Any] = {"options": self.options, "secrets": self.secrets, **changed}
        return self.provider(given["options"], given["secrets"], self.context)


def describes_itself(case: Case) -> None:
    provider = case.provider
    names = [field.name for field in provider.fields]
    assert provider.kind == case.kind
    assert provider.label
    assert len(provider.mark) == 2
    assert len(set(names)) == len(names)
    assert all(field.label and field.help for field in provider.fields)
    assert all(isinstance(capability, Capability) for capability in provider.capabilities)


def knows_who_we_are(case: Case) -> None:
    identity = case.client().identity()
    assert identity.account
    assert_no_secret(case, repr(identity))


def lists_repositories(case: Case) -> None:
    found = list(case.client().repositories())
    ids = [one.external_id for one in found]
    assert {one.full_name for one in found} == case.expected
    assert len(set(ids)) == len(ids)
    assert all(one.usable or one.reason.endswith((".", "!", "?")) for one in found)
    assert all(one.usable or not one.reason.endswith("!") for one in found)
    assert any(one.usable and one.default_branch == "main" for one in found)


def shows_one_as_in_the_list(case: Case) -> None:
    client = case.client()
    for one in client.repositories():
        assert client.repository(one.external_id) == one


def finds_one_by_its_name(case: Case) -> None:
    client = case.client()
    for one in client.repositories():
        assert client.repository_named(one.full_name) == one


def finds_nothing_by_a_hostile_name(case: Case) -> None:
    client = case.client()
    for name in ("nobody/nothing", "", "/", "..", "../..", "a/../b", "acme/site/../../user", "acme/site?x=1"):
        with pytest.raises(NotFound):
            client.repository_named(name)


def says_that_one_is_gone(case: Case) -> None:
    client = case.client()
    with pytest.raises(NotFound):
        client.repository(case.gone)


def hands_out_a_remote_that_works(case: Case) -> None:
    client = case.client()
    usable = [one for one in client.repositories() if one.usable]
    assert usable
    for one in usable:
        remote = client.remote(one.external_id, one.full_name)
        assert isinstance(remote, Remote)
        assert remote.addresses == ()
        assert remote.label == one.full_name
        refs = look(case.context.git, case.context.vet(remote))
        if refs.heads:  # an empty repository tells no head
            assert refs.head == f"refs/heads/{one.default_branch}".encode()


def hides_its_secrets(case: Case) -> None:
    client = case.client()
    for one in client.repositories():
        if one.usable:
            remote = client.remote(one.external_id, one.full_name)
            assert_no_secret(case, repr(remote))
        assert_no_secret(case, repr(one))


def names_the_field_that_is_missing(case: Case) -> None:
    for field in case.provider.fields:
        if not field.required:
            continue
        options = {name: value for name, value in case.options.items() if name != field.name}
        with pytest.raises(InvalidInput) as refused:
            case.client(options=options)
        assert field.name in [where for where, _ in refused.value.problems]


def refuses_what_it_does_not_know(case: Case) -> None:
    with pytest.raises(InvalidInput) as refused:
        case.client(options={**case.options, "colour": "red"})
    assert [where for where, _ in refused.value.problems] == ["colour"]
    with pytest.raises(InvalidInput) as refused:
        case.client(secrets={**case.secrets, "pin": "1234"})
    assert [where for where, _ in refused.value.problems] == ["pin"]


def refuses_options_of_another_shape(case: Case) -> None:
    for field in case.provider.fields:
        if not field.is_secret:
            with pytest.raises(InvalidInput) as refused:
                case.client(options={**case.options, field.name: {"a": 1}})
            assert field.name in [where for where, _ in refused.value.problems]


def assert_no_secret(case: Case, text: str) -> None:
    for secret in case.secrets.values():
        assert secret not in text


CONTRACT: list[Callable[[Case], None]] = [
    describes_itself,
    knows_who_we_are,
    lists_repositories,
    shows_one_as_in_the_list,
    finds_one_by_its_name,
    finds_nothing_by_a_hostile_name,
    says_that_one_is_gone,
    hands_out_a_remote_that_works,
    hides_its_secrets,
    names_the_field_that_is_missing,
    refuses_what_it_does_not_know,
    refuses_options_of_another_shape,
]

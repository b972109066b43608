"""What every provider that registers webhooks must do."""

from __future__ import annotations

import datetime as dt

import pytest

from opssight.core.errors import NotFound
from repos.providers.forge import HookSpec
from repos.providers.registry import scheme_named
from tests.repos.providers.contract import assert_no_secret
from tests.repos.providers.forge_case import ForgeCase, push


def hooks_are_made_mended_and_removed(case: ForgeCase) -> None:
    client, site = case.forge_client(), case.id_of(case.site)
    spec = HookSpec("https://ops.example.org/hooks/1/", "canary-hook-secret")
    made = client.create_hook(site, spec)
    assert (made.url, made.active) == (spec.url, True)
    assert client.hook_events
    assert client.hook_events <= set(made.events)
    assert [one.external_id for one in client.hooks(site)] == [made.external_id]
    moved = client.update_hook(site, made.external_id, HookSpec("https://ops.example.org/hooks/2/", "other"))
    assert (moved.external_id, moved.url) == (made.external_id, "https://ops.example.org/hooks/2/")
    assert_no_secret(case, repr(client.hooks(site)))
    client.delete_hook(site, made.external_id)
    client.delete_hook(site, made.external_id)
    assert client.hooks(site) == []
    with pytest.raises(NotFound):
        client.update_hook(site, made.external_id, spec)


def a_push_sends_what_the_scheme_accepts(case: ForgeCase) -> None:
    """The hook that we make is signed so that our verifier accepts it, with this secret and no other."""
    client, site = case.forge_client(), case.id_of(case.site)
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    client.create_hook(site, HookSpec("http://127.0.0.1:9/hooks/1/", secret))
    before = len(case.forge.sent)
    oid = push(case, client.remote(site, case.site))
    case.forge.wait_until_sent(before + 1)
    scheme = scheme_named(case.scheme)
    parsed = []
    for sent in case.forge.sent[before:]:
        headers = {name.lower(): value for name, value in sent.headers.items()}
        assert scheme.verify(headers, sent.body, [secret])
        assert not scheme.verify(headers, sent.body, ["whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"])
        assert not scheme.verify(headers, sent.body + b" ", [secret]) or case.scheme == "gitlab"
        parsed.append(scheme.parse(headers, sent.body))
    [told] = [one for one in parsed if one.pushes]
    assert (told.pushes[0].ref, told.pushes[0].after) == ("refs/heads/main", oid)
    assert told.repository_name == case.site or told.repository_id == site


def sends_a_test_when_asked(case: ForgeCase) -> None:
    client, site = case.forge_client(), case.id_of(case.site)
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    made = client.create_hook(site, HookSpec("http://127.0.0.1:9/hooks/1/", secret))
    before = len(case.forge.sent)
    client.test_hook(site, made.external_id)
    case.forge.wait_until_sent(before + 1)
    sent = case.forge.sent[before]
    headers = {name.lower(): value for name, value in sent.headers.items()}
    assert scheme_named(case.scheme).verify(headers, sent.body, [secret])
    with pytest.raises(NotFound):
        client.test_hook(site, "999999")


def sends_again_what_did_not_arrive(case: ForgeCase) -> None:
    """Nobody listens at this address, so each attempt fails, and each is the same delivery."""
    client, site = case.forge_client(), case.id_of(case.site)
    made = client.create_hook(site, HookSpec("http://127.0.0.1:9/hooks/1/", "canary-hook-secret"))
    began = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=1)
    push(case, client.remote(site, case.site))
    case.forge.wait_until_sent(2)
    failed = client.failed_deliveries(site, made.external_id, began)
    assert len(failed) == len(case.forge.sent)
    client.redeliver(site, made.external_id, failed[0].attempt_id)
    case.forge.wait_until_sent(len(failed) + 1)
    again = client.failed_deliveries(site, made.external_id, began)
    assert {one.delivery_id for one in again} == {one.delivery_id for one in failed}
    assert again[0].attempt_id not in {one.attempt_id for one in failed}
    assert client.failed_deliveries(site, made.external_id, began + dt.timedelta(days=1)) == []

"""What `opssight up --forges` leaves of itself, and what it says where there are no stand-ins."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pytest_django import Settings

from opssight.accounts.models import AllowedHost
from opssight.audit.models import AuditEvent
from opssight.core.errors import InvalidInput
from opssight.forges import REASON, StandInForge, stand_in_forges, table
from repos.models import ProviderInstance
from tests.forges.showcase import CLIENT_ID


def test_outside_of_a_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tests.forges", None)
    with pytest.raises(InvalidInput, match="belong to a checkout"), stand_in_forges(8000):
        pass


@pytest.mark.django_db
def test_it_takes_back_what_it_made_and_nothing_else(tmp_path: Path, settings: Settings) -> None:
    settings.DATA = tmp_path
    theirs = AllowedHost.objects.create(pattern="git.example.org", cidr="10.0.0.0/8", ports="443")
    kept = ProviderInstance.objects.create(
        provider="gitea", url="https://git.example.org", client_id=CLIENT_ID
    )
    AllowedHost.objects.create(pattern="127.0.0.1", cidr="127.0.0.1/32", ports="9", reason=REASON)
    ProviderInstance.objects.create(provider="gitlab", url="http://127.0.0.1:9", client_id=CLIENT_ID)
    with stand_in_forges(65_535) as forges:
        assert [one.kind for one in forges] == ["github", "gitlab", "bitbucket", "gitea"]
        urls = {one.url for one in forges}
        assert set(ProviderInstance.objects.exclude(pk=kept.pk).values_list("url", flat=True)) == urls
        allowed = AllowedHost.objects.filter(reason=REASON).values_list("ports", flat=True)
        assert {f"http://127.0.0.1:{port}" for port in allowed} == urls
    assert list(AllowedHost.objects.all()) == [theirs]
    assert list(ProviderInstance.objects.all()) == [kept]
    actions = list(AuditEvent.objects.values_list("action", flat=True))
    assert (actions.count("allowed_host.create"), actions.count("allowed_host.delete")) == (4, 5)


def test_the_table_names_what_to_enter() -> None:
    one = StandInForge("bitbucket", "Bitbucket", "http://127.0.0.1:8003", "ATATT-x", "ana@example.org")
    shown = table([one], "http://127.0.0.1:8000")
    assert "Bitbucket  http://127.0.0.1:8003  ATATT-x  ana@example.org" in shown
    assert "http://127.0.0.1:8000/connections/new/" in shown

"""Webhooks with refused deliveries, as the inbox finds them."""

from __future__ import annotations

import datetime as dt

from opssight.accounts.models import Team
from opssight.accounts.scope import Principal
from opssight.core.clock import now
from repos import inbox, receiving
from repos.models import Delivery, Webhook
from tests.factories import make_team
from tests.repos.deliveries import SECRET, plain_body, plain_headers


def make_hook(team: Team, name: str = "docs hook") -> Webhook:
    return Webhook.objects.create(team=team, name=name, scheme="plain", secret=SECRET)


def deliver(hook: Webhook, secret: str = SECRET) -> None:
    body = plain_body(n=Delivery.objects.count())
    receiving.receive(hook, plain_headers(body, secret=secret), body)


def test_a_webhook_whose_newest_deliveries_are_refused_is_a_need(principal: Principal, team: Team) -> None:
    hook = make_hook(team)
    deliver(hook)
    deliver(hook, "wrong")
    deliver(hook, "wrong")
    well = make_hook(team, "mended meanwhile")
    deliver(well, "wrong")
    deliver(well)
    make_hook(team, "silent")
    found = list(inbox.refusing(principal, team))
    assert [(row.name, row.refused) for row in found] == [("docs hook", 2)]  # type: ignore[attr-defined]
    sentences = [str(need.sentence) for need in inbox.needs(principal, team)]
    assert sentences == ["2 deliveries to <b>docs hook</b> could not be trusted."]


def test_what_was_refused_long_ago_or_elsewhere_is_not(principal: Principal, team: Team) -> None:
    hook = make_hook(team)
    deliver(hook, "wrong")
    Delivery.objects.update(received_at=now() - dt.timedelta(days=2))
    deliver(make_hook(make_team()), "wrong")
    paused = make_hook(team, "paused")
    deliver(paused, "wrong")
    Webhook.objects.filter(pk=paused.pk).update(state=Webhook.State.PAUSED)
    assert list(inbox.refusing(principal, team)) == []

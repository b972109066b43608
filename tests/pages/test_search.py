from __future__ import annotations

import uuid

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from opssight.accounts.models import Team
from repos.models import Delivery, Webhook
from tests.factories import make_connection, make_job, make_repository, make_team
from tests.syncs.runs import make_run, signed_in

pytestmark = pytest.mark.django_db


def make_delivery(team: Team, **extra: object) -> Delivery:
    hook = Webhook.objects.create(team=team, scheme="github", name="hook of docs", secret="s")
    values = {"delivery_key": str(uuid.uuid4()), "event": "push", "verdict": "accepted", **extra}
    return Delivery.objects.create(webhook=hook, team=team, body_sha256="0" * 64, **values)


def found(client: Client, text: str) -> dict[str, list[str]]:
    """What is found: titles by group."""
    answer = client.get(reverse("search"), {"q": text})
    assert answer.status_code == 200
    return {group.title: [str(hit.title) for hit in group.hits] for group in answer.context["groups"]}


def test_without_words_it_says_what_can_be_found() -> None:
    client, _ = signed_in()
    answer = client.get(reverse("search"))
    assert answer.context["groups"] == []
    assert "Any words of it, in any order" in answer.content.decode()


def test_names_are_found_by_any_words_in_any_order() -> None:
    client, team = signed_in()
    served = make_connection(team, name="Acme docs server")
    make_repository(served, "acme/product-docs")
    make_repository(served, "acme/site")
    make_job(team, kind="copy", name="Docs of acme everywhere")
    assert found(client, "docs ACME") == {
        "Connections": ["Acme docs server"],
        "Repositories": ["acme/product-docs"],
        "Jobs": ["Docs of acme everywhere"],
    }
    assert found(client, "docs tulips") == {}


def test_an_ignored_repository_is_found_and_says_so() -> None:
    client, team = signed_in()
    make_repository(make_connection(team, name="c"), "acme/old", state="ignored")
    text = client.get(reverse("search"), {"q": "acme/old"}).content.decode()
    assert "acme/old" in text
    assert "ignored" in text


def test_runs_and_deliveries_are_found_by_their_last_digits() -> None:
    client, team = signed_in()
    run = make_run(make_job(team, name="docs"), "failed", sentence="It broke.")
    delivery = make_delivery(team)
    assert found(client, run.short_id.upper())["Runs"] == [f"Run <b>{run.short_id}</b>"]
    assert found(client, f"#{delivery.pk.hex[-4:]}")["Deliveries"] == [
        f"Delivery <b>{delivery.pk.hex[-4:]}</b>"
    ]
    assert "Runs" not in found(client, "docs")


def test_a_whole_id_leads_to_the_thing_itself() -> None:
    client, team = signed_in()
    repository = make_repository(make_connection(team))
    run, delivery = make_run(make_job(team)), make_delivery(team)
    for name, pk in (("run", run.pk), ("delivery", delivery.pk), ("repository", repository.pk)):
        for text in (str(pk), pk.hex):
            answer = client.get(reverse("search"), {"q": text})
            assert (answer.status_code, answer.headers["Location"]) == (302, reverse(name, args=[pk]))
    assert found(client, str(uuid.uuid4())) == {}


def test_what_other_teams_have_is_not_found() -> None:
    client, _ = signed_in()
    other = make_team()
    repository = make_repository(make_connection(other, name="secret place"), "secret/plans")
    run = make_run(make_job(other, name="secret copy"))
    delivery = make_delivery(other)
    for text in ("secret", str(repository.pk), str(run.pk), run.short_id, str(delivery.pk)):
        assert found(client, text) == {}


def test_more_than_ten_are_not_listed_but_led_to() -> None:
    client, team = signed_in()
    served = make_connection(team)
    for number in range(11):
        make_repository(served, f"acme/docs-{number:02}")
    group = client.get(reverse("search"), {"q": "acme docs"}).context["groups"][0]
    assert len(group.hits) == 10
    assert group.all_url == f"{reverse('repositories')}?q=acme+docs"


def test_one_query_for_each_sort_however_much_is_found() -> None:
    client, team = signed_in()
    served = make_connection(team)

    def queries() -> int:
        cache.clear()  # the number beside "Overview" is kept for some seconds
        with CaptureQueriesContext(connection) as asked:
            assert client.get(reverse("search"), {"q": "abcd"}).status_code == 200
        return len(asked)

    empty = queries()
    for number in range(9):
        make_repository(served, f"abcd/{number}")
        make_job(team, name=f"abcd {number}")
    assert queries() == empty


@pytest.mark.parametrize("text", ["%", "' or 1=1 --", "\x00abcd", "<script>", "a" * 500, "é ü 日本"])
def test_strange_words_find_nothing_and_break_nothing(text: str) -> None:
    client, _ = signed_in()
    answer = client.get(reverse("search"), {"q": text})
    assert answer.status_code == 200
    assert "<script>alert" not in answer.content.decode()
    assert answer.context["groups"] == []


def test_visitors_sign_in_first(client: Client) -> None:
    assert client.get(reverse("search"), {"q": "docs"}).status_code == 302

"""Nothing of one team is ever shown to another: over the whole URL table and every text column.

A canary stands in every text column of every model of team A; team B has rows of its own. B asks
every address, with A's ids and its own, lists with filters, and sends changes that name A's rows.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from opssight.accounts.models import TeamOwnedQuerySet
from opssight.api.reference import description
from opssight.core.env_kinds import Rate
from tests.api.addresses import Address, addresses
from tests.api.client import api_of
from tests.api.planting import Garden, team_models

pytestmark = pytest.mark.django_db

CANARY_A, CANARY_B = "zq7canary", "bw3garden"
ENDS_THE_SESSION = {"logout"}
STAFF_ONLY = ("/admin/",)
METHODS = ("POST", "PUT", "PATCH", "DELETE")
UNWELL = ("/readyz", "/health", "/api/v1/repository-management/health")  # they say so when no worker runs
# they need a repository that was fetched: tests/repos/test_contents.py asks them for another team
NEED_A_STORE = {
    f"/api/v1/repositories/%(pk)s/{what}/"
    for what in ("branches", "tags", "commits", "tree", "content", "changes")
}

DESCRIBES = "/api/v1/schema/"  # the same for everybody, whatever is asked
NEED_A_PATH = {"/api/v1/copy/rules/%(pk)s/test/"}  # to be asked for: see tests/api/test_copy_rules.py


@pytest.fixture
def gardens(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> tuple[Garden, Garden]:
    cache.clear()
    # what a page asks beside the request is asked by threads that do not see this test's transaction
    monkeypatch.setattr("repos.beside._done_within", lambda future, seconds: None)
    settings.API_RATE = Rate(10**9, 60)
    return Garden(CANARY_A), Garden(CANARY_B)


def client_of(garden: Garden) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(garden.user)
    client.post(reverse("switch_team"), {"team": str(garden.team.pk)})
    return client


def routes() -> list[Address]:
    known = [one for one in addresses() if one.name not in ENDS_THE_SESSION]
    return [one for one in known if not one.route.startswith(STAFF_ONLY)]


def text_of(answer: Any) -> str:
    """Everything that is sent: status line, headers, cookies and body."""
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return f"{answer.headers}{answer.cookies}{body.decode('utf-8', 'replace')}"


def fillings(route: Address, *gardens: Garden) -> list[str]:
    if len(route.parameters) > 2:
        return []
    keys = [key for garden in gardens for key in garden.all_keys()]
    return list(route.filled([*keys, "probe", "copy"]))


def test_the_garden_is_planted(gardens: tuple[Garden, Garden]) -> None:
    a, _ = gardens
    assert set(team_models()) <= set(a.rows)
    assert len(team_models()) >= 20
    assert a.columns >= 60


def test_no_answer_to_b_holds_what_is_a_s(gardens: tuple[Garden, Garden]) -> None:
    a, b = gardens
    client = client_of(b)
    asked = 0
    for route in routes():
        for path in fillings(route, a, b):
            answer = client.get(path)
            asked += 1
            assert CANARY_A not in text_of(answer), path
            assert answer.status_code < 500 or path in UNWELL, f"{path}: {answer.status_code}"
    assert asked > 250


def test_what_is_a_s_is_404_for_b_where_a_sees_it(gardens: tuple[Garden, Garden]) -> None:
    a, b = gardens
    client_a, client_b = client_of(a), client_of(b)
    seen: set[str] = set()
    shown = 0
    for route in routes():
        if not route.parameters:
            continue
        for path in fillings(route, a):
            answer = client_a.get(path)
            if answer.status_code != 200:
                continue
            seen.add(route.route)
            shown += CANARY_A in text_of(answer)
            assert client_b.get(path).status_code == 404, path
    described = {
        path.replace("{id}", "%(pk)s").replace("{user_id}", "%(user_id)s")
        for path, methods in description()["paths"].items()
        if "get" in methods and "{" in path
    }
    assert described, "the API has addresses of single objects"
    assert described <= seen | NEED_A_STORE | NEED_A_PATH, f"never tried with success: {described - seen}"
    assert shown >= len(described) - 2


def test_the_admin_site_is_for_staff_only(gardens: tuple[Garden, Garden]) -> None:
    a, b = gardens
    client = client_of(b)
    staff_only = [one for one in addresses() if one.route.startswith(STAFF_ONLY) and "login" not in one.route]
    assert len(staff_only) > 30
    for route in staff_only:
        for path in list(route.filled([a.team.pk, 1, "accounts"]))[:4]:
            answer = client.get(path)
            assert answer.status_code in (301, 302), path
            assert CANARY_A not in text_of(answer), path


def test_a_sees_its_own_canary_in_every_list(gardens: tuple[Garden, Garden]) -> None:
    """The control: a list that shows nothing to A would prove nothing about B."""
    a, _ = gardens
    api = api_of(a.user, a.team)
    collections = api.get("").json()["collections"]
    assert len(collections) >= 10
    for name, url in collections.items():
        assert CANARY_A in text_of(api.get(url)), name


def test_lists_and_their_filters_show_b_nothing_of_a(gardens: tuple[Garden, Garden]) -> None:
    a, b = gardens
    client, api = client_of(b), api_of(b.user, b.team)
    half = CANARY_A[:5]  # an answer may repeat what was asked for
    words = ("search", "q", "text", "actor", "action", "object_id", "name", "kind")
    queries = [f"{name}={half}" for name in words]
    queries += ["state=all", "state=open", "state=bad", "page_size=200", "with_everything=true"]
    ids = [f"{model._meta.model_name}={a.key}" for model in a.rows]
    queries.append("&".join(ids))  # A's rows belong to each other, so they fit all of these at once
    asked = 0
    for route in (one.route for one in routes() if not one.parameters):
        by_api = route.startswith("/api/")
        asker = api if by_api else client
        if route == DESCRIBES or asker.get(route).status_code != 200:
            continue
        for query in [*queries, *ids] if by_api else queries:
            asked += 1
            assert CANARY_A not in text_of(asker.get(f"{route}?{query}")), f"{route}?{query}"
    assert asked > 500


def test_a_leak_would_be_noticed(gardens: tuple[Garden, Garden], monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of the control: without the one place that narrows rows, the canary is seen."""
    _, b = gardens
    client = client_of(b)
    monkeypatch.setattr(TeamOwnedQuerySet, "owned_by", lambda rows, team_ids: rows.all())
    lists = [route.route for route in routes() if not route.parameters and route.route.startswith("/api/")]
    leaking = [path for path in lists if CANARY_A in text_of(client.get(path))]
    assert len(leaking) >= 4


def hostile(a: Garden) -> dict[str, Any]:
    """A body that names A's rows in every field an input may have."""
    ids: dict[str, Any] = {str(model._meta.model_name): str(row.pk) for model, row in a.rows.items()}
    rule = {"type": "prefix", "pattern": "docs", "template": "docs/${path}"}
    repository = ids["repository"]
    config = {
        "name": "mine now",
        "source": {"repository": repository, "branch": "main"},
        "targets": [{"repository": repository, "branch": "other"}],
        "rules": [rule],
    }
    words = {"kind": "copy", "scheme": "github", "provider": "folder", "role": "owner", "scopes": ["all"]}
    return {**ids, **words, "name": "mine now", "email": "b@example.org", "config": config, "ignored": True}


def test_no_change_that_b_sends_reaches_a(gardens: tuple[Garden, Garden]) -> None:
    a, b = gardens
    client = client_of(b)
    before = a.snapshot()
    body = hostile(a)
    sent = 0
    for route in routes():
        json = route.route.startswith("/api/")
        for path in fillings(route, a):
            for method in METHODS if json else ("POST",):
                kwargs: dict[str, Any] = {"content_type": "application/json"} if json else {}
                answer = getattr(client, method.lower())(path, body if json else _form(body), **kwargs)
                sent += 1
                assert CANARY_A not in text_of(answer), f"{method} {path}"
                assert answer.status_code < 500, f"{method} {path}: {answer.status_code}"
    assert sent > 300
    assert a.snapshot() == before


def _form(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if isinstance(value, (str, list))}

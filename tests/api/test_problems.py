from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import DataError
from django.test import RequestFactory
from rest_framework.exceptions import ValidationError

from opssight.accounts.scope import NotAllowed
from opssight.api.problems import handle
from opssight.core.clock import now
from opssight.core.errors import (
    AuthFailure,
    Conflict,
    Failure,
    InvalidInput,
    NotFound,
    PermanentFailure,
    RateLimited,
    TransientFailure,
)
from tests.api.client import Api, make_api

NOBODY = "01900000-0000-7000-8000-000000000000"


def problem_of(error: Exception) -> Any:
    return handle(error, {"request": RequestFactory().get("/api/v1/x/")})


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (PermanentFailure("a"), 422),
        (InvalidInput("a"), 422),
        (NotAllowed("a"), 403),
        (NotFound("a"), 404),
        (Conflict("a"), 409),
        (AuthFailure("a"), 502),
        (TransientFailure("a"), 503),
        (RateLimited("a"), 429),
        (DataError("secret sql"), 422),
        (ValueError("secret"), 500),
    ],
)
def test_each_class_of_failure_has_its_status(failure: Exception, status: int) -> None:
    answer = problem_of(failure)
    assert answer.status_code == answer.data["status"] == status
    assert {"type", "title", "status", "detail", "instance"} <= set(answer.data)
    assert answer.data["type"].startswith("urn:opssight:problem:")
    assert answer.data["instance"] == "/api/v1/x/"
    assert answer.content_type == "application/problem+json"
    if isinstance(failure, Failure):
        assert answer.data["detail"] == "a"
    assert "secret" not in str(answer.data)


def test_a_wait_is_told_in_the_header() -> None:
    answer = problem_of(RateLimited("a", retry_at=now() + dt.timedelta(seconds=30)))
    assert 28 <= int(answer["Retry-After"]) <= 31
    assert not problem_of(RateLimited("a")).has_header("Retry-After")


def test_problems_of_a_form_name_the_place() -> None:
    given = problem_of(InvalidInput("a", [("rules[2].pattern", "b"), ("", "c")]))
    assert given.data["errors"] == [
        {"field": "rules[2].pattern", "message": "b"},
        {"field": "", "message": "c"},
    ]
    detail: Any = {"name": ["x"], "config": {"rules": [{}, {"type": ["y"]}]}, "non_field_errors": ["z"]}
    assert problem_of(ValidationError(detail)).data["errors"] == [
        {"field": "name", "message": "x"},
        {"field": "config.rules[1].type", "message": "y"},
        {"field": "", "message": "z"},
    ]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "nothing/", 404),
        ("GET", "jobs/not-an-id/", 404),
        ("GET", f"jobs/{NOBODY}/", 404),
        ("GET", "jobs", 404),
        ("PUT", "jobs/", 405),
        ("GET", "jobs/?page_size=0", 400),
        ("GET", "jobs/?page_size=201", 400),
        ("GET", "jobs/?cursor=%00", 400),
        ("GET", "jobs/?cursor=bm9uc2Vuc2U", 400),
        ("GET", "jobs/?cursor=WyItaWQiLGZhbHNlLCJ4IiwieSJd", 400),
        ("GET", "jobs/?sort=secret", 400),
        ("GET", "jobs/?search=%00", 400),
        ("GET", "jobs/?team=nonsense", 400),
    ],
)
def test_every_refusal_is_a_problem(method: str, path: str, status: int) -> None:
    api, _ = make_api()
    answer = api.send(method, path)
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert answer.json()["detail"]
    assert answer.json()["request_id"] == answer["X-Request-Id"]


@pytest.mark.django_db
def test_who_is_not_known_is_told_how_to_sign_in() -> None:
    for api in (Api(), Api("osp_aaaaaaaaaaaa." + "b" * 40), Api("nonsense")):
        answer = api.get("jobs/")
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"].startswith("Bearer")
        assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.django_db
def test_unreadable_bodies_are_400_and_other_types_415() -> None:
    api, _ = make_api()
    for body in (b"{", b"\xff\xfe", b"[" * 5_000):
        answer = api._client.generic(
            "POST", "/api/v1/runs/", body, content_type="application/json", headers=api._headers
        )
        assert answer.status_code == 400, body[:20]
        assert answer["Content-Type"] == "application/problem+json"
    answer = api._client.post("/api/v1/runs/", {"job": "x"}, headers=api._headers)
    assert answer.status_code == 415
    others: list[Any] = [[], "text", 7, None]
    for wrong in others:
        assert api.post("runs/", wrong).status_code == 400


@pytest.mark.django_db
def test_a_body_that_is_too_large() -> None:
    api, team = make_api()
    answer = api.patch(f"teams/{team.pk}/", {"name": "x" * 10_000_000})
    assert answer.status_code == 413
    assert answer.json()["title"] == "Too large"


@pytest.mark.django_db
def test_half_of_a_character() -> None:
    api, team = make_api()
    assert api.patch(f"teams/{team.pk}/", {"name": "\ud800"}).status_code in (400, 422)

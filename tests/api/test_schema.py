from __future__ import annotations

import io
import re
from typing import Any

import pytest
import yaml
from django.core.management import call_command

from opssight.api import reference
from opssight.api.problems import TITLES
from tests.api.client import Api, make_api

# these need no token: two of the original API, and where one gets it
OPEN = {
    "/api/v1/repository-management/providers",
    "/api/v1/repository-management/health",
    "/api/v1/auth/token",
}
HOW = "It changed: run python -m opssight.api.reference and commit the two files."


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return reference.description()


def test_the_description_is_valid_and_without_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    out = io.StringIO()
    call_command("spectacular", validate=True, fail_on_warn=True, stdout=out)
    assert yaml.safe_load(out.getvalue())["openapi"].startswith("3.")


def test_the_pages_of_the_reference_are_current() -> None:
    assert (reference.FOLDER / "openapi.yaml").read_text(encoding="utf-8") == reference.render_openapi(), HOW
    assert (reference.FOLDER / "api.md").read_text(encoding="utf-8") == reference.render_reference(), HOW


def test_every_operation_names_its_problems_and_says_what_it_does(described: dict[str, Any]) -> None:
    count = 0
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            count += 1
            assert operation.get("description"), f"{method} {path} says nothing"
            refused = {"400", "401", "403", "429"} | ({"404"} if "{" in path else set())
            assert refused <= set(operation["responses"]), f"{method} {path}"
            signed_in: list[dict[str, list[str]]] = [{"token": []}, {"session": []}]
            assert (operation.get("security") == signed_in) == (path not in OPEN), f"{method} {path}"
    assert count >= 40
    for code in TITLES:
        content = described["components"]["responses"][f"Problem{code}"]["content"]
        assert content["application/problem+json"]["schema"]["$ref"].endswith("/Problem")


@pytest.mark.django_db
def test_every_list_takes_the_parameters_it_documents(described: dict[str, Any]) -> None:
    api, team = make_api()
    ids = {"/teams/{id}/": str(team.pk)}
    asked = 0
    for path, methods in described["paths"].items():
        known = next((path.replace("{id}", pk) for part, pk in ids.items() if part in path), path)
        operation = methods.get("get")
        if operation is None or "{" in known:
            continue
        parameters = operation.get("parameters", [])
        needed = "".join(f"&{one['name']}=x" for one in parameters if one.get("required"))
        for parameter in parameters:
            for value in parameter["schema"].get("enum", []):
                answer = api.get(f"{known}?{parameter['name']}={value}{needed}")
                assert answer.status_code == 200, f"{known} {parameter['name']}={value}: {answer.content!r}"
                asked += 1
    assert asked >= 20


@pytest.mark.django_db
def test_the_description_is_open_and_the_rest_is_not(described: dict[str, Any]) -> None:
    nobody = Api()
    shown = nobody.get("schema/")
    assert shown.status_code == 200
    assert yaml.safe_load(shown.content) == described
    assert nobody.get("schema/", Accept="application/vnd.oai.openapi+json").json() == described
    for path, methods in described["paths"].items():
        filled = re.sub(r"\{\w+\}", "01900000-0000-7000-8000-000000000000", path)
        for method in methods:
            if path not in OPEN or path.endswith("token"):
                assert nobody.send(method, filled).status_code == 401, f"{method} {path}"

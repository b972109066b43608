"""What a rule owns, in the API: plans say it, and files that are there already are adopted."""

from __future__ import annotations

from opssight.accounts.models import Role
from syncs.copy.models import OwnedFile
from syncs.models import Run
from tests.api.client import api_of, make_api, make_member
from tests.api.test_copy_rules import Place, place as place, pytestmark as pytestmark
from tests.syncs.copy.story import execute


def test_identical_files_are_adopted(place: Place) -> None:
    rule = place.rule()
    Run.objects.all().delete()
    [target] = place.planned({"job": rule})["targets"]
    assert (target["adoptable"], target["edited"], target["orphans"], target["recorded"]) == (1, 0, 0, 0)
    assert target["notices"] == []
    answer = place.api.post(f"copy/rules/{rule}/adopt/")
    assert (answer.status_code, answer.json()["state"]) == (201, "queued")
    run = execute()
    assert (str(run.pk), run.state) == (answer.json()["id"], "succeeded")
    assert sorted(bytes(row.path) for row in OwnedFile.objects.all()) == [b"handbook/a.md", b"handbook/b.md"]
    [target] = place.planned({"job": rule})["targets"]
    assert target["adoptable"] == 0


def test_who_may_adopt(place: Place) -> None:
    rule = place.rule()
    viewer = api_of(*make_member(Role.VIEWER, place.team), "jobs:write")
    assert viewer.post(f"copy/rules/{rule}/adopt/").status_code == 403
    other, _ = make_api()
    assert other.post(f"copy/rules/{rule}/adopt/").status_code == 404

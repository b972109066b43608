from __future__ import annotations

import inspect
from importlib.metadata import version

import pytest
from django.contrib import admin
from django_q import cluster
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from syncs.engine import queue
from tests.factories import make_worker


def test_django_q2_is_the_version_whose_inside_is_known() -> None:
    assert version("django-q2").startswith("1.11.")


@pytest.mark.parametrize("name", [*queue.PATCHED, "Sentinel", "Cluster"])
def test_what_is_replaced_is_there(name: str) -> None:
    assert callable(getattr(cluster, name))


def test_the_sentinel_uses_what_is_replaced_by_its_module_name() -> None:
    source = inspect.getsource(cluster.Sentinel)
    for name in queue.PATCHED:
        assert f"({name}," in source or f"            {name}," in source, name
    assert list(inspect.signature(cluster.Sentinel.reincarnate).parameters) == ["self", "process"]
    assert "self.sentinel = get_mp_context().Process(\n            target=Sentinel," in inspect.getsource(
        cluster
    )


def test_django_q2_has_no_page_in_the_admin_site() -> None:
    assert not [model for model in admin.site._registry if model._meta.app_label == "django_q"]


@pytest.mark.django_db
def test_a_bell_carries_an_id_and_nothing_else() -> None:
    worker = make_worker()
    queue.ring(worker.pk, 2)

    assert queue.bells(worker.pk) == 2
    task = SignedPackage.loads(OrmQ.objects.first().payload)
    assert task["func"] == "syncs.engine.queue.drain"
    assert task["args"] == (str(worker.pk),)
    assert task["kwargs"] == {}


@pytest.mark.django_db
def test_each_worker_has_a_queue_of_its_own() -> None:
    one, other = make_worker(), make_worker()
    queue.ring(one.pk, 1)
    queue.ring(other.pk, 1)

    queue.forget_bells(one.pk)
    assert (queue.bells(one.pk), queue.bells(other.pk)) == (0, 1)
    queue.forget_bells_except([one.pk])
    assert queue.bells(other.pk) == 0


@pytest.mark.django_db
def test_a_stopped_worker_claims_nothing_more() -> None:
    from django.db.models.functions import Now

    from syncs.engine.request import RunRequest, request_run
    from syncs.models import Run
    from tests.factories import make_job, make_team

    worker = make_worker(stopped_at=Now())
    run = request_run(RunRequest(job=make_job(make_team()), trigger=Run.Trigger.MANUAL))
    assert queue.drain(str(worker.pk)) == 0
    run.refresh_from_db()
    assert run.state == "queued"

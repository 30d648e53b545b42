"""A worker's heartbeat: a row of its own, written now and then, gone when the worker has ended."""

from datetime import timedelta

import pytest
from django.utils import timezone

from projections import registry
from projections.models import Heartbeat
from projections.workers import heartbeat
from projections.workers.heartbeat import FORGET_WORKER_AFTER, HEARTBEAT_SECONDS, WorkerHeartbeat

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(heartbeat.time, "monotonic", lambda: now[0])
    return now


def test_row_says_what_the_worker_does(clock: list[float]) -> None:
    worker = WorkerHeartbeat([registry.get("tally"), registry.get("fragile")])
    worker.beat("tally", 5)
    row = Heartbeat.objects.get()
    assert (row.projections, row.doing, row.events) == (["tally", "fragile"], "tally", 5)
    assert str(row) == str(worker)


def test_row_is_written_now_and_then(clock: list[float]) -> None:
    worker = WorkerHeartbeat([])
    seen = []
    for seconds in (0, HEARTBEAT_SECONDS / 2, HEARTBEAT_SECONDS / 2):
        clock[0] += seconds
        worker.beat("", int(clock[0]))
        seen.append(Heartbeat.objects.get().events)
    assert seen == [100, 100, 105]


def test_rows_of_workers_that_died_long_ago_are_removed(clock: list[float]) -> None:
    now = timezone.now()
    for age in (FORGET_WORKER_AFTER + timedelta(minutes=1), FORGET_WORKER_AFTER - timedelta(minutes=1)):
        Heartbeat.objects.create(id=heartbeat.uuid7(), host="h", pid=1, started_at=now, seen_at=now - age)
    worker = WorkerHeartbeat([])
    worker.beat("", 0)
    assert Heartbeat.objects.count() == 2
    worker.end()
    assert Heartbeat.objects.get().host == "h"

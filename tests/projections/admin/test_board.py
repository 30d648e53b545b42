"""The board of projections in the admin."""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from events.store import EventStore
from projections.admin import board
from projections.engine.registration import register_all
from projections.models import Heartbeat, ParkedEvent, ProjectionState
from tests.projections.admin.support import LIST, PARKED, acts_offered, break_some, page_of, read

pytestmark = pytest.mark.django_db(transaction=True)


def test_board_shows_how_they_are(operator: Client, store: EventStore) -> None:
    break_some(store)
    page = read(operator, LIST)
    assert "Broken: cannot handle 1" in page
    assert f"{PARKED}?projection__name__exact=fragile" in page
    assert page_of("fragile") in page
    assert "waits behind an earlier event" in read(operator, f"{PARKED}?projection__name__exact=fragile")
    ProjectionState.objects.create(name="gone", mode="async", version=1)
    page = read(operator, LIST)
    assert "orphaned" in page
    assert "orphaned" in read(operator, page_of("gone"))
    assert acts_offered(read(operator, page_of("gone"))) == []


@pytest.mark.usefixtures("running_worker")
def test_what_fails_comes_first_with_since_when(operator: Client, store: EventStore) -> None:
    break_some(store)
    register_all()
    since = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    ProjectionState.objects.filter(pk="tally").update(status="stopped", status_since=since)
    ParkedEvent.objects.update(parked_at=since)
    first, second, third, *_ = board.rows("admin")
    assert (first.report.name, first.attention, first.since) == ("tally", "bad", since)
    assert (second.report.name, second.attention, second.report.parked_since) == ("fragile", "warning", since)
    assert (third.attention, third.since) == ("", None)
    page = read(operator, LIST)
    assert page.count("since <time") == 2
    assert page.count("2026-03-04 05:06:07 UTC") == 2
    assert '<tr id="row-tally" class="board-needs-bad">' in page
    assert page.index('id="row-tally"') < page.index('id="row-fragile"') < page.index('id="row-aggregate_activity"')


def test_projection_that_the_database_does_not_know_yet_is_on_the_board(operator: Client) -> None:
    ProjectionState.objects.all().delete()
    page = read(operator, LIST)
    assert "no worker has run yet" in page
    assert page_of("fragile") not in page
    assert (
        "There is no projection &#x27;fragile&#x27;" in operator.get(page_of("fragile"), follow=True).content.decode()
    )


def test_queries_of_the_board_do_not_grow(client_of: Callable[..., Client], store: EventStore) -> None:
    viewer = client_of(
        *[f"projections.view_{model}" for model in ("projectionstate", "parkedevent", "heartbeat", "operation")]
    )
    break_some(store)
    register_all()

    def queries(path: str) -> int:
        with CaptureQueriesContext(connection) as seen:
            read(viewer, path)
        return len(seen)

    paths = (LIST, page_of("fragile"))
    before = [queries(path) for path in paths]
    break_some(store, aggregates=5, waiting=5)
    now = timezone.now()
    Heartbeat.objects.bulk_create(
        Heartbeat(id=uuid4(), host="host", pid=pid, started_at=now, seen_at=now, projections="all") for pid in range(9)
    )
    assert [queries(path) for path in paths] == before
    ProjectionState.objects.bulk_create(ProjectionState(name=f"gone_{n}", mode="async", version=1) for n in range(10))
    assert queries(LIST) <= before[0] + 10 * 3

"""The dashboard on the admin's index: who sees what of the store, and when."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from events.admin import dashboard
from events.integrity import seals
from events.store import EventStore
from projections.engine.registration import register_all
from projections.models import Heartbeat, ParkedEvent, ProjectionState
from tests.events.support import history_url, page
from tests.support import new, open_append, some, store_in_the_past

pytestmark = pytest.mark.django_db

INDEX = "/admin/"


def test_index_shows_what_comes_in(client_of: Callable[..., Client], store: EventStore) -> None:
    store.dispatch(*some(3, "order-1"), new("cart-1", "ItemAdded"))
    html = page(client_of("events.view_event", "events.view_aggregate"), INDEX)
    assert "4 events in the last 24 hours" in html
    assert ": 3 order</title>" in html
    assert ": 1 cart</title>" in html
    assert f'<a href="{history_url("order-1")}">order-1</a> <span>3</span>' in html
    assert '<a href="/admin/events/event/?type=ItemAdded">ItemAdded</a> <span>1</span>' in html
    assert "No append is open" in html
    for name, count in (("events", 4), ("aggregates", 2)):
        assert f"<dt>{name}</dt><dd>{count}</dd>" in html


@pytest.mark.parametrize(
    ("unit", "title", "total"),
    [("minute", "the last hour", 1), ("hour", "the last 24 hours", 2), ("day", "30 days", 3)],
)
def test_activity_is_shown_by_minute_hour_and_day(
    client_of: Callable[..., Client], unit: str, title: str, total: int
) -> None:
    now = timezone.now()
    ages = (timedelta(days=40), timedelta(days=20), timedelta(hours=20), timedelta(minutes=30))
    store_in_the_past(*[("a-1", "Happened", now - age) for age in ages])
    html = page(client_of("events.view_event"), INDEX, activity=unit)
    assert f"{total} event{'s' * (total != 1)} in " in html
    assert title in html
    if unit == "day":  # where two of them may share a bar
        total = len({(now - age).date() for age in ages[1:]})
    assert html.count("<rect") == total
    assert f'<a href="?activity={unit}" aria-current="true">' in html


def test_seals_are_shown_where_there_are_any(client_of: Callable[..., Client], store: EventStore) -> None:
    store.dispatch(*some(3))
    client = client_of("events.view_event")
    assert "sealed" not in page(client, INDEX)
    seals.seal("default")
    assert '<span class="quiet">(all)</span>' in page(client, INDEX)
    store.dispatch(*some(2))
    assert '<span class="quiet">(2 not yet)</span>' in page(client, INDEX)


def test_unknown_unit_is_the_usual_one(client_of: Callable[..., Client]) -> None:
    assert "0 events in the last 24 hours" in page(client_of("events.view_event"), INDEX, activity="\0")


def test_days_are_those_of_the_time_zone(settings: Any) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    # The night of the 25th had 25 hours.
    now = datetime(2026, 10, 26, 12, tzinfo=UTC)
    starts = dashboard.UNITS[2].starts(timezone.localtime(now))
    assert [start.astimezone(UTC).hour for start in starts] == [22] * 28 + [22, 23]
    hours = dashboard.UNITS[1].starts(timezone.localtime(datetime(2026, 10, 25, 12, 30, tzinfo=UTC)))
    assert {after - before for before, after in pairwise(hours)} == {timedelta(hours=1)}
    assert hours[-1] == datetime(2026, 10, 25, 12, tzinfo=UTC)


def test_users_who_may_see_no_event_see_no_dashboard(client_of: Callable[..., Client], store: EventStore) -> None:
    store.dispatch(new())
    assert "event-dashboard" not in page(client_of("auth.view_user"), INDEX)


@pytest.mark.django_db(transaction=True)
def test_users_who_may_see_one_category_see_no_other(
    client_of: Callable[..., Client], store: EventStore, category_permissions: None
) -> None:
    store.dispatch(*some(3, "order-1"), new("cart-1", "ItemAdded"))
    with open_append(store, new("cart-2", "SecretQuery")):
        html = page(client_of("events.view_event:order"), INDEX)
    assert "3 events in the last 24 hours" in html
    assert "begun just now, idle in transaction" in html
    for secret in ("cart", "ItemAdded", "SecretQuery", "event-size", "<code>"):
        assert secret not in html


@pytest.mark.django_db(transaction=True)
def test_open_append_is_shown_with_what_holds_it(client_of: Callable[..., Client], store: EventStore) -> None:
    store.dispatch(*some(2))
    with open_append(store, new("b-1")):
        store.dispatch(new("a-1"))
        html = page(client_of("events.view_event"), INDEX)
    assert "(2 above the settled one)" in html or "(1 above the settled one)" in html
    assert "idle in transaction" in html
    assert "<code>" in html


def test_problems_come_first_in_words_with_since_when_and_what_to_do(
    client_of: Callable[..., Client], store: EventStore
) -> None:
    store.dispatch(new("a-1", "Fragile", data={"poison": 1}))
    register_all()
    since = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    state = ProjectionState.objects.get(pk="fragile")
    parked = {"projection": state, "aggregate_id": "a-1", "type": "Fragile", "error": "KeyError: 'total'"}
    ParkedEvent.objects.filter(pk=ParkedEvent.objects.create(position=1, **parked).pk).update(parked_at=since)
    ProjectionState.objects.filter(pk="tally").update(status="stopped", status_reason="position 3", status_since=since)
    ProjectionState.objects.filter(pk="sharded_tally").update(status="paused", status_since=since)
    Heartbeat.objects.create(id=new().event_id, host="h", pid=1, started_at=since, seen_at=since)
    html = page(client_of("events.view_event", "projections.view_projectionstate", "projections.view_heartbeat"), INDEX)
    shown = html[: html.index('data-refresh-region="activity"')]
    board = "/admin/projections/projectionstate"
    assert (
        f"""<a href="{board}/fragile/change/">Projection fragile: 1 event is parked: KeyError: &#x27;total&#x27;</a>"""
        in shown
    )
    assert f'<a href="{board}/tally/change/">Projection tally: it has stopped (position 3)</a>' in shown
    assert f'<a href="{board}/sharded_5Ftally/change/">Projection sharded_tally is paused</a>' in shown
    assert '<a href="/admin/projections/heartbeat/">No worker has been seen in the last 40 s' in shown
    assert (
        shown.count('<time class="event-moment" datetime="2026-03-04T05:06:07+00:00">2026-03-04 05:06:07 UTC</time>')
        == 4
    )
    assert "python manage.py resume_projection tally" in shown
    assert shown.index("tally: it has stopped") < shown.index("1 event is parked")  # errors first
    assert f"{shown.count('<li class=')} problems</span></h2>" in shown


def test_problems_are_shown_to_users_who_may_see_what_they_are_about(
    client_of: Callable[..., Client], store: EventStore, category_permissions: None
) -> None:
    register_all()
    ProjectionState.objects.filter(pk="tally").update(status="stopped")
    connection.cursor().execute("ALTER SEQUENCE events_event_position_seq CYCLE")
    assert "tally" not in page(client_of("events.view_event"), INDEX)
    assert "The sequence of positions has INCREMENT 1, CACHE 1, CYCLE" in page(client_of("events.view_event"), INDEX)
    assert "event-problems" not in page(client_of("events.view_event:order"), INDEX)
    html = page(client_of("projections.view_projectionstate"), INDEX)
    assert "tally: it has stopped" in html
    assert "sequence of positions" not in html
    assert "event-chart" not in html


def test_users_without_any_permission_cause_no_query_on_the_store(
    client_of: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of()
    monkeypatch.setattr(dashboard, "database", lambda: "no_such_database")
    assert client.get(INDEX).status_code == 200


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("ALTER TABLE events_event RENAME TO gone", "The database &#x27;default&#x27; has no event store"),
        ("ALTER TABLE events_event SET SCHEMA moved", "is in the schema &#x27;moved&#x27;, which the role"),
        ("ALTER TABLE events_aggregate RENAME TO gone", "The activity cannot be shown: "),
    ],
)
def test_store_that_is_not_found_is_a_problem_on_the_page(
    client_of: Callable[..., Client], change: str, problem: str
) -> None:
    client = client_of("events.view_event")
    connection.cursor().execute(f"CREATE SCHEMA moved; {change}")
    html = page(client, INDEX)
    assert problem in html
    assert "event-chart" not in html


def test_unseen_characters_of_problems_are_marked(client_of: Callable[..., Client]) -> None:
    state = ProjectionState.objects.create(name="gone", mode="async", version=1, status="stopped")
    ParkedEvent.objects.create(projection=state, position=1, aggregate_id="a", type="T", error="no \u202estock")
    assert "\u202e" not in page(client_of("projections.view_projectionstate"), INDEX)
    for name in ("", "gone/change/"):
        assert "\u202e" not in page(
            client_of("projections.view_projectionstate"), f"/admin/projections/projectionstate/{name}"
        )


def test_dashboard_without_problems_says_so(client_of: Callable[..., Client]) -> None:
    now = timezone.now()
    Heartbeat.objects.create(id=new().event_id, host="h", pid=1, started_at=now, seen_at=now)
    client = client_of("projections.view_heartbeat")
    assert "No problems found</span></h2>" in page(client, INDEX)
    Heartbeat.objects.create(id=new().event_id, host="h", pid=2, started_at=now, seen_at=now - timedelta(hours=1))
    html = page(client, INDEX)
    assert "1 problem</span></h2>" in html
    assert "Worker h:2 was killed or hangs" in html


def test_rare_categories_share_a_row(client_of: Callable[..., Client], store: EventStore) -> None:
    store.dispatch(*some(400, "order-1"), *[new(str(uuid4())) for _ in range(300)], new("-1"))
    html = page(client_of("events.view_event"), INDEX)
    assert 'order <span class="quiet">400</span>' in html
    assert '301 others <span class="quiet">301</span>' in html


@pytest.mark.django_db(transaction=True)
def test_unavailable_settled_position_shows_its_reason(client_of: Callable[..., Client]) -> None:
    client = client_of("events.view_event")
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        assert "cannot be read in a REPEATABLE READ transaction" in page(client, INDEX)

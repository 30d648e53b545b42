"""The dashboard on the admin's index: who sees what of the store, and when."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from events.admin import dashboard
from events.integrity import seals
from events.store import EventStore
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


@pytest.mark.django_db(transaction=True)
def test_unavailable_settled_position_shows_its_reason(client_of: Callable[..., Client]) -> None:
    client = client_of("events.view_event")
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        assert "cannot be read in a REPEATABLE READ transaction" in page(client, INDEX)

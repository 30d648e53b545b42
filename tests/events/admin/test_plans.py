"""Every list of the admin, and the dashboard, read a bounded part of a large store: `pytest -s` shows the plans."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from projections.engine.registration import register_all
from projections.models import Checkpoint, ProjectionState
from tests.events.support import EVENTS

pytestmark = pytest.mark.django_db

STORED = 60_000


# What a page may read: of the store it is less than half, of the aggregates less than all.
MOST_ROWS = 29_000
TABLES = ("events_event", "events_aggregate")


@pytest.fixture
def large_store() -> None:
    """Events of 30,000 aggregates over 60 days: half of them orders, and a few of a category of the first days.

    The projections keep up: the dashboard counts what each of them lacks, up to a bound.
    """
    register_all()
    Checkpoint.objects.update(position=STORED)
    ProjectionState.objects.update(checked_position=STORED)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL events.maintenance = 'on'")
        cursor.execute(
            """
            INSERT INTO events_event
                (position, aggregate_id, version, event_id, type, data, metadata, timestamp, recorded_at)
            SELECT n, category || '-' || n %% 30000, 1 + n / 30000, gen_random_uuid(), category || n %% 5,
                   jsonb_build_object('text', 'hay ' || n), jsonb_build_object('correlation_id', 'c-' || n / 7), at, at
            FROM (SELECT n, now() - interval '60 days' * (1 - n / %s::float) AS at,
                         CASE WHEN n < 500 AND n %% 5 = 0 THEN 'legacy'
                              WHEN n %% 2 = 0 THEN 'order' ELSE 'cart' END AS category
                  FROM generate_series(1, %s) AS n) AS events
            """,
            [STORED, STORED],
        )
        cursor.execute(
            "INSERT INTO events_aggregate (aggregate_id, category, version, created_at, updated_at)"
            " SELECT aggregate_id, split_part(aggregate_id, '-', 1), max(version), min(recorded_at), max(recorded_at)"
            " FROM events_event GROUP BY 1"
        )
        cursor.execute("SELECT setval('events_event_position_seq', %s)", [STORED])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE events_event, events_aggregate")


PAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "the newest": (EVENTS, {}),
    "in the middle": (EVENTS, {"before": STORED // 2}),
    "newer than the middle": (EVENTS, {"after": STORED // 2}),
    "category": (EVENTS, {"category": "order"}),
    "old category": (EVENTS, {"category": "legacy"}),
    "no such category": (EVENTS, {"category": "none"}),
    "type": (EVENTS, {"type": "order1"}),
    "old type": (EVENTS, {"type": "legacy0"}),
    "category of another type": (EVENTS, {"category": "legacy", "type": "order1"}),
    "correlation": (EVENTS, {"correlation_id": "c-77"}),
    "flow": (f"{EVENTS}flow/", {"correlation_id": "c-77"}),
    "old days": (EVENTS, {"recorded_from": "2000-01-01", "recorded_before": "2000-01-02"}),
    "aggregate": (EVENTS, {"aggregate_id": "order-76"}),
    "prefix": (EVENTS, {"q": "order-1"}),
    "long prefix": (EVENTS, {"q": "order-1234"}),
    "event id": (EVENTS, {"q": "01890000-0000-7000-8000-000000000000"}),
    "text": (EVENTS, {"q": "hay 59", "in": "data"}),
    "aggregates": ("/admin/events/aggregate/", {}),
    "aggregates of a category": ("/admin/events/aggregate/", {"category": "order", "p": 100}),
    "aggregates by prefix": ("/admin/events/aggregate/", {"q": "order-1"}),
    "history": ("/admin/events/aggregate/order-76/change/", {}),
    "event": (f"{EVENTS}777/change/", {}),
    "form": (f"{EVENTS}add/", {"aggregate_id": "order-76"}),
    "suggestions": (f"{EVENTS}add/suggestions/", {"aggregate_id": "order-7"}),
    "dashboard": ("/admin/", {"activity": "day"}),
}


def test_no_page_reads_all_of_a_large_store(large_store: None, admin_client: Client) -> None:
    faults = []
    for name, (url, parameters) in PAGES.items():
        with CaptureQueriesContext(connection) as queries:
            assert admin_client.get(url, parameters).status_code == 200
        statements = [query["sql"] for query in queries if any(table in query["sql"] for table in TABLES)]
        assert statements
        nodes = [(statement, node) for statement in statements for node in scans_of(plan_of(statement))]
        rows = sum(rows_of(node) for _, node in nodes)
        print(f"\n{name}: {len(statements)} statements on the store read {rows} rows")
        for statement, node in nodes:
            print(f"  {node['Node Type']} {node.get('Index Name', '')}: {rows_of(node)} rows | {statement[:90]!r}")
        if rows > MOST_ROWS:
            faults.append(name)
    assert faults == []


def plan_of(statement: str) -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}".replace("%", "%%"), [])
        found = cursor.fetchone()[0]
    plan: dict[str, Any] = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    return plan


def scans_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The parts of a plan that read one of the store's tables; a bitmap's index is read for its table."""
    if plan.get("Relation Name") in TABLES:
        yield plan
    for part in plan.get("Plans", []):
        yield from scans_of(part)


def rows_of(node: dict[str, Any]) -> int:
    seen = node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return round(seen * node["Actual Loops"])

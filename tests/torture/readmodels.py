"""The read models, and the same rows computed from the events by SQL that knows nothing of the projections."""

from typing import NamedTuple


class ReadModel(NamedTuple):
    """A read model: its rows as they are, and as they follow from the events."""

    rows: str
    expected: str


# Events that nobody can read are parked.
READABLE = "(SELECT * FROM events_event WHERE aggregate_id NOT LIKE 'unreadable-%') AS readable"

READ_MODELS = {
    "aggregate_activity": ReadModel(
        "SELECT aggregate_id, event_count, first_type, last_type, first_timestamp, last_timestamp, first_recorded_at,"
        " last_recorded_at FROM projections_aggregateactivity",
        "SELECT o.aggregate_id, n.count, o.type, l.type, o.timestamp, l.timestamp, o.recorded_at, l.recorded_at"
        " FROM (SELECT aggregate_id, count(*), max(version) AS last"
        f" FROM {READABLE} GROUP BY 1) AS n"
        " JOIN events_event AS o ON o.aggregate_id = n.aggregate_id AND o.version = 1"
        " JOIN events_event AS l ON l.aggregate_id = n.aggregate_id AND l.version = n.last",
    ),
    "event_type_activity": ReadModel(
        "SELECT type, event_count, first_position, last_position, first_recorded_at, last_recorded_at"
        " FROM projections_eventtypeactivity",
        "SELECT n.type, n.count, n.first, n.last, o.recorded_at, l.recorded_at"
        " FROM (SELECT type, count(*), min(position) AS first, max(position) AS last"
        f" FROM {READABLE} GROUP BY 1) AS n"
        " JOIN events_event AS o ON o.position = n.first JOIN events_event AS l ON l.position = n.last",
    ),
    "daily_activity": ReadModel(
        "SELECT day, category, event_count FROM projections_dailyactivity",
        "SELECT (timestamp AT TIME ZONE 'UTC')::date, split_part(aggregate_id, '-', 1), count(*)"
        f" FROM {READABLE} GROUP BY 1, 2",
    ),
    "shop_orders": ReadModel(
        "SELECT order_id, customer, status, total, placed_at, changed_at FROM shop_order",
        "SELECT o.aggregate_id, o.data ->> 'customer', lower(substr(l.type, 6)), (o.data ->> 'total')::numeric(12, 2),"
        " o.timestamp, l.timestamp FROM events_event AS o JOIN events_aggregate AS a USING (aggregate_id)"
        " JOIN events_event AS l ON l.aggregate_id = o.aggregate_id AND l.version = a.version"
        " WHERE o.type = 'OrderPlaced'",
    ),
    "shop_sales": ReadModel(
        "SELECT sku, quantity, revenue FROM shop_productsales",
        "SELECT line ->> 'sku', sum((line ->> 'quantity')::int),"
        " sum((line ->> 'quantity')::int * (line ->> 'price')::numeric)"
        " FROM events_event CROSS JOIN jsonb_array_elements(data -> 'lines') AS line WHERE type = 'OrderPlaced'"
        " GROUP BY 1",
    ),
}

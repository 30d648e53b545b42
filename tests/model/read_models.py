"""The read models: what their tables hold, and what they must hold after some events."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC
from typing import Any

import psycopg

from events.types import category_of
from tests.model.store_model import Fact

Outside = psycopg.Connection[Any]
Rows = Any

ACTIVITY_COLUMNS = (
    "aggregate_id",
    "event_count",
    "first_type",
    "first_timestamp",
    "first_recorded_at",
    "last_type",
    "last_timestamp",
    "last_recorded_at",
)

# In an order in which their rows can be removed.
TABLES = (
    "events_event",
    "events_aggregate",
    "projections_parkedevent",
    "projections_checkpoint",
    "projections_rebuild",
    "projections_operation",
    "projections_heartbeat",
    "projections_projectionstate",
    "projections_aggregateactivity",
    "projections_eventtypeactivity",
    "projections_dailyactivity",
    "readmodels_total",
    "readmodels_shardedtotal",
    "readmodels_step",
    "readmodels_case",
    "readmodels_fragilenote",
)


def _query(query: str) -> Callable[[Outside], Rows]:
    return lambda outside: sorted(outside.execute(query).fetchall())


ROWS: dict[str, Callable[[Outside], Rows]] = {
    "tally": _query("SELECT key, count FROM readmodels_total"),
    "sharded_tally": _query("SELECT aggregate_id, versions FROM readmodels_shardedtotal"),
    "cases": _query(
        "SELECT c.case_id, c.last_activity, c.steps, s.number, s.activity, s.resource"
        " FROM readmodels_case AS c LEFT JOIN readmodels_step AS s ON s.case_id = c.id"
    ),
    "event_type_activity": _query(
        "SELECT type, event_count, first_position, last_position, first_recorded_at, last_recorded_at"
        " FROM projections_eventtypeactivity"
    ),
    "daily_activity": _query("SELECT day, category, event_count FROM projections_dailyactivity"),
    "fragile": lambda outside: notes(outside),
}


def _tally(facts: Sequence[Fact]) -> Rows:
    counted = [fact for fact in facts if fact.new.type == "Counted"]
    counts = Counter(fact.new.aggregate_id for fact in counted)
    return sorted({**counts, "all": len(counted)}.items()) if counted else []


def _sharded_tally(facts: Sequence[Fact]) -> Rows:
    versions: dict[str, list[int]] = {}
    for fact in facts:
        if fact.new.type == "Counted":
            versions.setdefault(fact.new.aggregate_id, []).append(fact.version)
    return sorted(versions.items())


def _cases(facts: Sequence[Fact]) -> Rows:
    last = {fact.new.aggregate_id: fact for fact in facts}
    return sorted(
        (aggregate_id, last[aggregate_id].new.type, last[aggregate_id].version, fact.version, fact.new.type, None)
        for fact in facts
        for aggregate_id in [fact.new.aggregate_id]
    )


def _event_type_activity(facts: Sequence[Fact]) -> Rows:
    by_type: dict[str, list[Fact]] = {}
    for fact in facts:
        by_type.setdefault(fact.new.type, []).append(fact)
    return sorted(
        (name, len(same), same[0].position, same[-1].position, same[0].recorded_at, same[-1].recorded_at)
        for name, same in by_type.items()
    )


def _daily_activity(facts: Sequence[Fact]) -> Rows:
    counts = Counter(
        (fact.timestamp.astimezone(UTC).date(), category_of(fact.new.aggregate_id)) for fact in facts if fact.timestamp
    )
    return sorted((day, category, count) for (day, category), count in counts.items())


EXPECTED: dict[str, Callable[[Sequence[Fact]], Rows]] = {
    "tally": _tally,
    "sharded_tally": _sharded_tally,
    "cases": _cases,
    "event_type_activity": _event_type_activity,
    "daily_activity": _daily_activity,
}


def activity(facts: Sequence[Fact]) -> Rows:
    """What `AggregateActivity` must hold."""
    first: dict[str, Fact] = {}
    last: dict[str, Fact] = {}
    for fact in facts:
        first.setdefault(fact.new.aggregate_id, fact)
        last[fact.new.aggregate_id] = fact
    return sorted(
        (
            aggregate_id,
            last[aggregate_id].version,
            *_ends(first[aggregate_id]),
            *_ends(last[aggregate_id]),
        )
        for aggregate_id in first
    )


def notes(outside: Outside) -> list[tuple[str, int]]:
    return outside.execute("SELECT aggregate_id, version FROM readmodels_fragilenote ORDER BY id").fetchall()


def parked(outside: Outside, build: str) -> list[tuple[int, str, str]]:
    """What the projection `fragile` has parked: position, aggregate id, error."""
    query = (
        "SELECT position, aggregate_id, error FROM projections_parkedevent"
        " WHERE projection_id = 'fragile' AND build = %s ORDER BY position"
    )
    return outside.execute(query, [build]).fetchall()


def skipped(outside: Outside) -> set[int]:
    """The positions that an operator has given up."""
    query = "SELECT position FROM projections_operation WHERE projection = 'fragile' AND action = 'skip'"
    return {position for (position,) in outside.execute(query)}


def _ends(fact: Fact) -> tuple[Any, ...]:
    return fact.new.type, fact.timestamp, fact.recorded_at

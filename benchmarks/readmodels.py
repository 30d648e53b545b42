"""The projections that are measured, and the hand-written loops that they are compared with."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from django.db import connection, models, transaction

from events.models import Event
from events.types import NewEvent
from projections.base import Projection, handles
from projections.reactions import Actions, Reaction

ADD = """
    INSERT INTO bench_count AS t (key, count) SELECT * FROM unnest(%s::text[], %s::bigint[])
    ON CONFLICT (key) DO UPDATE SET count = t.count + excluded.count
"""
BATCH = Projection.batch_events


class BenchCount(models.Model):
    """A count per aggregate."""

    key = models.TextField(primary_key=True)
    count = models.BigIntegerField()

    class Meta:
        app_label = "benchmarks"
        managed = False
        db_table = "bench_count"

    def __str__(self) -> str:
        return self.key


class BySets(Projection):
    """Counts with one statement per batch."""

    name = "bench_sets"

    def project_batch(self, events: Sequence[Event]) -> None:
        counts = Counter(event.aggregate_id for event in events)
        with connection.cursor() as cursor:
            cursor.execute(ADD, [list(counts), list(counts.values())])


class ByEvent(Projection):
    """Counts with the ORM: two calls per event."""

    name = "bench_orm"

    @handles("Measured", "Rare")
    def count(self, event: Event) -> None:
        with_orm(event.aggregate_id)


class Failing(ByEvent):
    """Counts with the ORM, and fails at some events at each attempt."""

    name = "bench_failing"

    @handles("Failing")
    def fail(self, event: Event) -> None:
        raise TimeoutError


class Sharded(ByEvent):
    """Counts with the ORM, in four shards."""

    name = "bench_sharded"
    shards = 4


class WithTimers(Reaction):
    """Has timers, which the benchmark saves."""

    name = "bench_timed"

    @handles("Scheduled")
    def schedule(self, event: Event, do: Actions) -> None:
        pass


class WithFollowUps(Reaction):
    """Answers each question."""

    name = "bench_follows"

    @handles("Asked")
    def answer(self, event: Event, do: Actions) -> None:
        do.dispatch(NewEvent(event.aggregate_id.replace("asked", "answer"), "Answered", event.data))


class Selective(Projection):
    """Counts the events of a rare type: one in a thousand."""

    name = "bench_selective"

    @handles("Rare")
    def count(self, event: Event) -> None:
        with_orm(event.aggregate_id)


def with_orm(key: str) -> None:
    if not BenchCount.objects.filter(key=key).update(count=models.F("count") + 1):
        BenchCount.objects.create(key=key, count=1)


def hand_written_sets(server: "psycopg.Connection[Any]") -> int:
    """Read the rows with psycopg, parse their JSON, run the same SQL in batches, and save a checkpoint."""
    position = total = 0
    while True:
        rows = server.execute(
            "SELECT position, aggregate_id, version, event_id, type, data, metadata, timestamp, recorded_at"
            " FROM events_event WHERE position > %s ORDER BY position LIMIT %s",
            [position, BATCH],
        ).fetchall()
        if not rows:
            return total
        counts = Counter(row[1] for row in rows)
        server.execute(ADD, [list(counts), list(counts.values())])
        position = rows[-1][0]
        server.execute("UPDATE bench_checkpoint SET position = %s", [position])
        server.commit()
        total += len(rows)


def hand_written_orm(limit: int) -> int:
    """Read the events with the ORM, and make the same ORM calls, with one transaction per batch."""
    position = total = 0
    while total < limit:
        with transaction.atomic():
            events = list(Event.objects.filter(position__gt=position).order_by("position")[:BATCH])
            for event in events:
                with_orm(event.aggregate_id)
            position = events[-1].position
            with connection.cursor() as cursor:
                cursor.execute("UPDATE bench_checkpoint SET position = %s", [position])
        total += len(events)
    return total


Timed = Callable[[], int]

"""The references that the store is measured against: PostgreSQL by psycopg, which is the limit, and Django's ORM.

They insert the row of an event into a table with the same columns and indexes. They check no version, recognise no
retry and notify no reader. They read the same rows as tuples, and parse JSON with the same library.
"""

import json
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any
from uuid import UUID

import orjson
import psycopg
from django.db import connection, models, transaction
from django.utils import timezone
from psycopg.types.json import set_json_loads
from uuid_utils.compat import uuid7

from benchmarks.common import EVENT_DATA

DATA = json.loads(EVENT_DATA)
AGGREGATES_OF_A_PROCESS = 20

BARE_TABLE = """
    CREATE TABLE bare_event
    (LIKE events_event INCLUDING DEFAULTS INCLUDING IDENTITY INCLUDING GENERATED INCLUDING INDEXES)
"""
COLUMNS = "aggregate_id, version, event_id, type, data, metadata, timestamp, recorded_at"
_INSERT = f"INSERT INTO bare_event ({COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, clock_timestamp(), clock_timestamp())"


class BareEvent(models.Model):
    """The bare table as a Django model."""

    position = models.BigAutoField(primary_key=True)
    aggregate_id = models.TextField()
    version = models.BigIntegerField()
    event_id = models.UUIDField()
    type = models.TextField()
    data = models.JSONField()
    metadata = models.JSONField()
    timestamp = models.DateTimeField()
    recorded_at = models.DateTimeField()

    class Meta:
        app_label = "benchmarks"
        managed = False
        db_table = "bare_event"

    def __str__(self) -> str:
        return f"{self.aggregate_id} {self.version}"


def connect() -> "psycopg.Connection[Any]":
    """Return a psycopg connection to the benchmark's database. It prepares repeated statements."""
    known = connection.get_connection_params()
    keys = ("dbname", "user", "password", "host", "port")
    session = psycopg.connect(**{key: known[key] for key in keys if known.get(key)}, autocommit=True)
    set_json_loads(orjson.loads, session)
    return session


def rows(process: int, run: int) -> Iterator[tuple[str, int, UUID, str, str, str]]:
    """Yield rows for the bare table; each `run` has other aggregates."""
    for number in count():
        version, aggregate = divmod(number, AGGREGATES_OF_A_PROCESS)
        aggregate_id = f"bare-{run}-{process}-{aggregate}"
        yield aggregate_id, version + 1, uuid7(), "Measured", orjson.dumps(DATA).decode(), "{}"


def insert(process: int, run: int) -> Callable[[], int]:
    """Insert one row per statement, with psycopg."""
    session, row = connect(), rows(process, run)

    def work() -> int:
        session.execute(_INSERT, next(row))
        return 1

    return work


def append_function(process: int, run: int) -> Callable[[], int]:
    """Call the append function by libpq with prepared arguments, almost without the cost of Python."""
    session, row = connect(), rows(process, run)
    template = f"SELECT * FROM events_append_one({', '.join(f'${place}' for place in range(1, 8))}, false)"
    session.pgconn.prepare(b"append", template.encode())
    data = EVENT_DATA.encode()

    def work() -> int:
        aggregate_id, _, event_id, *_ = next(row)
        arguments = [aggregate_id.encode(), b"Measured", data, b"{}", None, str(event_id).encode(), None]
        result = session.pgconn.exec_prepared(b"append", arguments)
        assert result.ntuples == 1, result.error_message
        return 1

    return work


def insert_in_transaction(process: int, run: int) -> Callable[[], int]:
    """Insert one row per statement, each in a transaction."""
    session, row = connect(), rows(process, run)

    def work() -> int:
        with session.transaction():
            session.execute(_INSERT, next(row))
        return 1

    return work


def insert_many(size: int) -> Callable[[int, int], Callable[[], int]]:
    """Insert `size` rows by `executemany`, which psycopg sends as a pipeline, in one transaction."""

    def make(process: int, run: int) -> Callable[[], int]:
        session, row = connect(), rows(process, run)

        def work() -> int:
            with session.transaction(), session.cursor() as cursor:
                cursor.executemany(_INSERT, [next(row) for _ in range(size)])
            return size

        return work

    return make


def create(process: int, run: int) -> Callable[[], int]:
    """Insert one row by Django's `create()`, in a transaction."""
    row = rows(process, run)

    def work() -> int:
        with transaction.atomic():
            BareEvent.objects.create(**_fields(next(row)))
        return 1

    return work


def bulk_create(size: int) -> Callable[[int, int], Callable[[], int]]:
    """Insert `size` rows by Django's `bulk_create()`."""

    def make(process: int, run: int) -> Callable[[], int]:
        row = rows(process, run)

        def work() -> int:
            BareEvent.objects.bulk_create([BareEvent(**_fields(next(row))) for _ in range(size)])
            return size

        return work

    return make


def copy(lines: list[tuple[Any, ...]]) -> None:
    """Insert all rows by one COPY."""
    statement = f"COPY bare_event ({COLUMNS}) FROM STDIN"
    with connect() as session, session.cursor() as cursor, cursor.copy(statement) as target:
        for line in lines:
            target.write_row(line)


def fetch(session: "psycopg.Connection[Any]", condition: str, *arguments: Any) -> int:
    """Fetch events as tuples; return how many."""
    cursor = session.execute(f"SELECT * FROM events_event WHERE {condition}", arguments)
    return len(cursor.fetchall())


def fetch_pages(session: "psycopg.Connection[Any]", condition: str, *arguments: Any) -> int:
    """Fetch the events of the whole store by pages of 1,000 tuples; return how many."""
    after = total = 0
    while True:
        where = f"position > %s AND {condition} ORDER BY position LIMIT 1000"
        page = session.execute(f"SELECT * FROM events_event WHERE {where}", (after, *arguments)).fetchall()
        total += len(page)
        if len(page) < 1000:
            return total
        after = page[-1][0]


def _fields(row: tuple[str, int, UUID, str, str, str]) -> dict[str, Any]:
    aggregate_id, version, event_id, event_type, _, _ = row
    now = timezone.now()
    return {
        "aggregate_id": aggregate_id,
        "version": version,
        "event_id": event_id,
        "type": event_type,
        "data": DATA,
        "metadata": {},
        "timestamp": now,
        "recorded_at": now,
    }

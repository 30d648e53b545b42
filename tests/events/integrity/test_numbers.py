"""Numbers that the store does not give are found, sealed or not; maintenance cannot write numbers below 1."""

from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from events.integrity import seals
from events.integrity.numbers import missing_unique_indexes
from events.models import Event
from events.store import EventStore
from tests.events.integrity.support import SQL, seal_all, tamper
from tests.support import some

pytestmark = pytest.mark.django_db

COPY = (
    "INSERT INTO events_event SELECT %(position)s, aggregate_id, {version}, {event_id}, type, data, metadata,"
    " timestamp, recorded_at FROM events_event WHERE position = %(first)s"
)
NEW_ID = "gen_random_uuid()"
WITHOUT_KEY = "ALTER TABLE events_event DROP CONSTRAINT {}"
IMPOSSIBLE = {
    "position below 0": ([COPY.format(version=13, event_id=NEW_ID)], -5, "position -5, but no event can .* below 1"),
    "position 0": ([COPY.format(version=13, event_id=NEW_ID)], 0, "position 0, but no event can .* below 1"),
    "position of the end": (
        [COPY.format(version=13, event_id=NEW_ID)],
        2**63 - 1,
        "position 9223372036854775807, but no event can have a position above [0-9]+, the last that was taken",
    ),
    "position of another": (
        [WITHOUT_KEY.format("events_event_pkey"), COPY.format(version=13, event_id=NEW_ID)],
        None,
        "several events have the position|differs from the sealed event|was inserted after the sealing",
    ),
    "id of another": (
        [WITHOUT_KEY.format("events_event_event_id_key"), COPY.format(version=13, event_id="event_id")],
        -1,
        "several events have the event id|below 1",
    ),
    "id of another, between": (
        [
            WITHOUT_KEY.format("events_event_event_id_key"),
            SQL + "event_id = (SELECT event_id FROM events_event WHERE position = %(first)s)",
        ],
        -1,
        "several events have the event id|differs from the sealed event",
    ),
    "version 0": (
        [f"{SQL} version = 0 WHERE version = 1"],
        0,
        "an event of version 0, but versions begin at 1|differs",
    ),
    "version below 0": ([f"{SQL} version = -version"], 0, "versions begin at 1|differs from the sealed"),
    "version left out": ([f"{SQL} version = 9 WHERE version = 4"], 0, "of version 9, but none of version 8|differs"),
    "version twice": (
        [WITHOUT_KEY.format("events_event_version"), f"{SQL} version = 2 WHERE version = 3"],
        0,
        "has several events of version 2|differs",
    ),
    "first removed": (["DELETE FROM events_event WHERE version = 1"], 0, "of version 2, but none of version 1|missing"),
    "last removed": (
        ["DELETE FROM events_event WHERE position = (SELECT max(position) FROM events_event)"],
        0,
        "is at version 4, but its last event has version 3|is missing",
    ),
    "all of an aggregate removed": (
        ["DELETE FROM events_event WHERE aggregate_id = 'a-1'"],
        0,
        "aggregate a-1 is at version 4, but it has no events|is missing",
    ),
    "aggregate removed": (["DELETE FROM events_aggregate WHERE aggregate_id = 'a-1'"], 0, "is not in the table of agg"),
    "aggregate ahead": (["UPDATE events_aggregate SET version = 9223372036854775807"], 0, "is at version 92233720368"),
    "seal below 1": (
        ["INSERT INTO events_seal VALUES (-3, 0, 1, sha256(''), sha256(''), sha256(''), now())"],
        0,
        "there is a seal at position -3",
    ),
}


@pytest.mark.parametrize(
    ("is_sealed", "against"), [(True, True), (False, False)], ids=["sealed, against a digest", "not sealed, alone"]
)
@pytest.mark.parametrize(("statements", "position", "said"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_is_reported_in_words(
    store: EventStore, statements: list[str], position: int | None, said: str, is_sealed: bool, against: bool
) -> None:
    store.dispatch(*some(4))
    first = Event.objects.earliest("position").position
    seal_all()
    digest = seals.newest_digest("default")
    store.dispatch(*some(4, "b-1"))
    if is_sealed:
        seal_all()
        digest = seals.newest_digest("default")
    options: Any = {"against": str(digest)} if against else {}
    call_command("verify_events", verbosity=0, **options)
    tamper(*statements, position=first if position is None else position, first=first)
    with pytest.raises(CommandError, match=f"(?i){said}"):
        call_command("verify_events", **options)


def test_versions_are_verified_from_a_position_on(store: EventStore) -> None:
    store.dispatch(*some(3))
    seal_all()
    store.dispatch(*some(3), *some(3, "b-1"))
    seal_all()
    last = Event.objects.latest("position").position
    tamper("DELETE FROM events_event WHERE version = 2 AND aggregate_id = 'a-1'")
    call_command("verify_events", begin=last, verbosity=0)
    tamper(f"{SQL} version = version + 5 WHERE position = %(last)s", last=last)
    store.dispatch(*some(1, "c-1"))
    with pytest.raises(CommandError, match="differs"):
        call_command("verify_events", begin=last)


def test_unique_indexes_are_counted(store: EventStore) -> None:
    assert missing_unique_indexes("default") == []
    tamper(WITHOUT_KEY.format("events_event_version"), WITHOUT_KEY.format("events_event_pkey"))
    assert missing_unique_indexes("default") == [("position",), ("aggregate_id", "version")]
    tamper("CREATE UNIQUE INDEX ON events_event (position) WHERE version > 1")
    assert ("position",) in missing_unique_indexes("default")


@pytest.mark.parametrize("numbers", ["position = -5", "position = 0", "version = 0", "version = -2"])
@pytest.mark.parametrize("statement", ["insert", "update"])
def test_maintenance_writes_no_number_below_1(store: EventStore, numbers: str, statement: str) -> None:
    store.dispatch(*some(1))
    column, _, value = numbers.partition(" = ")
    columns = {"position": "99", "version": "99"} | {column: value}
    insert = (
        f"INSERT INTO events_event SELECT {columns['position']}, aggregate_id, {columns['version']}, gen_random_uuid(),"
        " type, data, metadata, timestamp, recorded_at FROM events_event"
    )
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL events.maintenance = 'on'")
        with pytest.raises(DatabaseError, match=f"an event cannot have .*{column} {value}"), transaction.atomic():
            cursor.execute(insert if statement == "insert" else SQL + numbers)
    assert Event.objects.count() == 1

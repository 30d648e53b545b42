"""What strangers do meanwhile: import over HTTP, append from SQL what nobody can read, and try what they may not."""

import json
import random
import threading
import time
from collections.abc import Iterator
from itertools import count
from typing import Any
from uuid import uuid4

import httpx
import psycopg

from events.monitoring.grants import Grants
from tests.support import Wait
from tests.torture.crew import Crew
from tests.torture.journal import Answer, Call, End, Journal, Sent
from tests.torture.server import Server

IMPORTED_EVENTS = 400
UNREADABLE = "9" * 5000
ROLES = ("nobody", "reader", "writer", "operator", "monitor")
HELD_FLOORS = 30

# Each of these must be rejected for every role.
ATTACKS = (
    "UPDATE events_event SET data = '{}'",
    "DELETE FROM events_event",
    "TRUNCATE events_event",
    "UPDATE events_aggregate SET version = version + 1",
    """
    INSERT INTO events_event
    SELECT position + 1000000, aggregate_id, version + 1000000, gen_random_uuid(), type, data, metadata, timestamp,
           recorded_at
    FROM events_event LIMIT 1
    """,
    "SELECT setval('events_event_position_seq', 1)",
    "SELECT nextval('events_event_position_seq')",
    "UPDATE events_store SET secret = sha256('')",
    "DROP FUNCTION events_append_one",
    "CREATE SCHEMA eventstore",
    f"SELECT events_append_one('evil-1', 'Evil', '{{\"v\": {UNREADABLE}}}')",
    "SELECT events_append_one('evil-1', 'Evil', jsonb_build_object('v', repeat('x', 3000000)))",
)

_numbers = count(1)


def import_in_chunks(server: Server, crew: Crew, chance: random.Random) -> None:
    """Import a file in chunks, until it is answered; now and then the web server is killed meanwhile."""
    number = next(_numbers)
    events = [
        Sent(str(uuid4()), f"import-{number}-{n % 7}", "Imported", {"n": n, "text": "ü" * chance.randint(0, 400)})
        for n in range(IMPORTED_EVENTS)
    ]
    journal = Journal(crew.folder / f"import-{number}.jsonl")
    journal.begin(call := Call(events))
    killer = threading.Timer(chance.uniform(0, 0.3), crew.replace_web_server, [chance])
    if chance.random() < 0.5:
        killer.start()
    with crew.client() as client:
        while not _is_imported(client, events):
            time.sleep(0.2)
    if killer.is_alive():
        killer.join()
    with server.connect() as connection:
        query = "SELECT event_id::text, version, position FROM events_event WHERE aggregate_id LIKE %s"
        places = {each: Answer(*place) for each, *place in connection.execute(query, [f"import-{number}-%"])}
    missing = [event.event_id for event in events if event.event_id not in places]
    assert not missing, f"lost: {len(missing)} events of an import that was answered with 200"
    journal.end(call, End.ACKNOWLEDGED, [places[event.event_id] for event in events])


def _is_imported(client: httpx.Client, events: list[Sent]) -> bool:
    def chunks() -> Iterator[bytes]:
        for event in events:
            yield json.dumps(event._asdict()).encode() + b"\n"

    headers = {"Content-Type": "application/x-ndjson"}
    try:
        response = client.post("/api/events/import/", content=chunks(), headers=headers)
    except httpx.HTTPError:
        return False
    if response.status_code >= 500:
        return False
    counts = response.json()
    assert response.status_code == 200, f"rejected: an import, {counts}"
    assert counts["stored"] + counts["known"] == len(events), f"uncounted: an import of {len(events)} says {counts}"
    return True


def store_the_unreadable(server: Server, crew: Crew, chance: random.Random) -> None:
    """Make an event such as older versions stored from SQL: readers show it or go on behind it, projections park it."""
    aggregate_id = f"unreadable-{next(_numbers)}"
    with server.connect() as connection, connection.transaction():
        connection.execute("SELECT events_append_one(%s, 'Unreadable', '{}')", [aggregate_id])
        connection.execute("SET LOCAL events.maintenance = 'on'")
        connection.execute(
            "UPDATE events_event SET data = %s::jsonb WHERE aggregate_id = %s",
            [f'{{"v": {UNREADABLE}}}', aggregate_id],
        )


def attack(server: Server, crew: Crew, chance: random.Random) -> None:
    """Try as each role what it may not, while a role without any right holds the locks of the next floors."""
    _create_roles(server)
    with server.connect() as thief:
        thief.execute("SET ROLE torture_nobody")
        query = "SELECT last_value, 'events_event_position_seq'::regclass::oid::int FROM events_event_position_seq"
        with server.connect() as owner:
            ((last, key),) = owner.execute(query).fetchall()
        for floor in range(last, last + HELD_FLOORS):
            thief.execute("SELECT pg_try_advisory_lock(%s, %s::int)", [key, floor & (2**31 - 1)])
        for role in ROLES:
            with server.connect() as connection:
                connection.execute(f"SET ROLE torture_{role}")
                for statement in ATTACKS:
                    _must_fail(connection, role, statement)
        Wait.until(lambda: _position(server) > last + HELD_FLOORS, what="appends beyond floors that somebody holds")


def _must_fail(connection: "psycopg.Connection[Any]", role: str, statement: str) -> None:
    try:
        connection.execute(statement)
    except psycopg.OperationalError as error:
        raise AssertionError(f"stuck: {role}, {statement[:60]}") from error
    except psycopg.DatabaseError:
        return
    raise AssertionError(f"allowed: {role} may {statement[:60]}")


def _create_roles(server: Server) -> None:
    grants = Grants("default")
    statements = {
        "nobody": [],
        "reader": list(grants.reader("torture_reader")),
        "writer": list(grants.writer("torture_writer")),
        "operator": list(grants.operator("torture_operator", ["projections"])),
        "monitor": list(grants.monitor("torture_monitor", ["projections"])),
    }
    with server.connect() as connection:
        for role in ROLES:
            if not connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [f"torture_{role}"]).fetchall():
                connection.execute(f"CREATE ROLE torture_{role}")
                for statement in statements[role]:
                    connection.execute(statement)


def _position(server: Server) -> int:
    with server.connect() as connection:
        ((position,),) = connection.execute("SELECT last_value FROM events_event_position_seq").fetchall()
    return position

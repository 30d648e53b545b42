"""What others do meanwhile: import over HTTP, hold locks, and store what nobody can read."""

import json
import random
import threading
import time
from collections.abc import Iterator
from itertools import count
from uuid import uuid4

import httpx

from tests.torture.crew import Crew
from tests.torture.journal import Answer, Call, End, Journal, Sent
from tests.torture.server import Server

IMPORTED_EVENTS = 400
UNREADABLE = "9" * 5000
HELD_FLOORS = 30
TIMEOUT_SECONDS = 60

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


def hold_floors(server: Server, crew: Crew, chance: random.Random) -> None:
    """Hold the locks of the next floors, as a role that may only connect."""
    with server.connect() as thief:
        query = "SELECT last_value, 'events_event_position_seq'::regclass::oid::int FROM events_event_position_seq"
        ((last, key),) = thief.execute(query).fetchall()
        thief.execute("SET SESSION AUTHORIZATION intruder_reader")
        for floor in range(last, last + HELD_FLOORS):
            thief.execute("SELECT pg_try_advisory_lock(%s, %s::int)", [key, floor & (2**31 - 1)])
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while _position(server) <= last + HELD_FLOORS:
            if time.monotonic() > deadline:
                raise TimeoutError("appends beyond the floors that another role holds")
            time.sleep(0.05)


def _position(server: Server) -> int:
    with server.connect() as connection:
        ((position,),) = connection.execute("SELECT last_value FROM events_event_position_seq").fetchall()
    return position

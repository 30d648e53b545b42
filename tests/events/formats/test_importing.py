"""Imports repeat safely, batch by batch, and name the line that ends them."""

import json
import re
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError
from django.db import connection

from events.exceptions import DuplicateEvent
from events.formats.derived_ids import DerivedIds
from events.formats.files import Line, read_json_lines
from events.formats.importing import Importer
from events.models import Event
from events.signals import event_dispatched
from events.storage import identity, writer
from events.store import EventStore
from events.testing import eager_events
from projections.models import AggregateActivity
from tests.events.formats.support import COLUMNS, CSV, LINES, run, write
from tests.support import in_threads, new, raise_first, stored

pytestmark = pytest.mark.django_db


def line_of(aggregate_id: str, event_id: UUID) -> str:
    return json.dumps({"aggregate_id": aggregate_id, "type": "A", "event_id": str(event_id)}) + "\n"


@pytest.mark.parametrize("batch_size", [1, 2, 3, 1000])
def test_import_can_be_repeated_and_goes_on_where_it_ended(tmp_path: Path, batch_size: int) -> None:
    lines = CSV.splitlines(keepends=True)
    path = tmp_path / "events.csv"
    run(write(path, "".join(lines[:4])), **COLUMNS, batch_size=batch_size)
    assert run(write(path, CSV), **COLUMNS, batch_size=batch_size)[0] == "2 events stored, 2 already stored."
    assert run(path, **COLUMNS, batch_size=batch_size)[0] == "0 events stored, 4 already stored."
    assert stored() == [("c-1", 1), ("c-2", 1), ("c-1", 2), ("c-1", 3)]


@pytest.mark.parametrize("batch_size", [1, 2, 1000])
def test_equal_lines_are_events_of_their_own_however_far_apart(tmp_path: Path, batch_size: int) -> None:
    line = '{"aggregate_id": "a-1", "type": "A"}\n'
    path = write(tmp_path / "a.jsonl", line * 2 + line.replace("a-1", "b-1") * 3 + line)
    assert run(path, batch_size=batch_size)[0] == "6 events stored."
    assert stored() == [("a-1", 1), ("a-1", 2), ("b-1", 1), ("b-1", 2), ("b-1", 3), ("a-1", 3)]
    assert run(path)[0] == "0 events stored, 6 already stored."


def test_dry_run_checks_every_line_and_stores_nothing(tmp_path: Path) -> None:
    assert run(write(tmp_path / "a.csv", CSV), **COLUMNS, dry_run=True)[0] == "4 events would be stored."
    with pytest.raises(CommandError, match="line 2: type: is missing"):
        run(write(tmp_path / "a.jsonl", LINES.splitlines(True)[0] + '{"aggregate_id": "x"}\n'), dry_run=True)
    assert stored() == []


def test_own_event_ids_are_kept_and_in_use_elsewhere_rejected(tmp_path: Path) -> None:
    event_id = new().event_id
    line = line_of("a-1", event_id)
    assert run(write(tmp_path / "a.jsonl", line * 2))[0] == "1 event stored, 1 already stored."
    assert Event.objects.get().event_id == event_id
    with pytest.raises(CommandError, match=r"line 1: event_id: .* already in use, in another aggregate"):
        run(write(tmp_path / "a.jsonl", line_of("b-1", event_id)))


@pytest.mark.parametrize("batch_size", [1, 1000])
@pytest.mark.parametrize("dry_run", [False, True])
def test_id_of_another_aggregate_is_a_bad_line_whatever_the_batches(
    tmp_path: Path, batch_size: int, dry_run: bool
) -> None:
    event_id = new().event_id
    line = line_of("a-1", event_id)
    run(write(tmp_path / "a.jsonl", line))
    path = write(tmp_path / "b.jsonl", line + line_of("b-1", event_id) + LINES)
    out, err = run(path, batch_size=batch_size, skip_bad=True, dry_run=dry_run)
    did = "would be stored" if dry_run else "stored"
    assert out == f"3 events {did}, 1 already stored, 1 bad line skipped."
    assert err.startswith("line 2: event_id: ")


@pytest.mark.parametrize("batch_size", [1, 2, 1000])
def test_given_id_with_other_content_is_a_bad_line(tmp_path: Path, batch_size: int) -> None:
    event_id = new().event_id
    line = line_of("a-1", event_id)
    other_type, other_data = line.replace('"A"', '"B"'), line.replace("}", ', "data": {"n": 1}}')
    path = write(tmp_path / "a.jsonl", line + other_type + line + other_data + LINES)
    for first in (True, False):
        out, err = run(path, batch_size=batch_size, skip_bad=True)
        counts = "4 events stored, 1" if first else "0 events stored, 5"
        assert out == f"{counts} already stored, 2 bad lines skipped."
        assert err.splitlines() == [
            f"line 2: event_id: {event_id} is already in use, by an event of another type",
            f"line 4: event_id: {event_id} is already in use, by an event with other data",
        ]


def test_derived_id_is_recognised_by_itself(tmp_path: Path) -> None:
    """The stored event may read differently later, for example with another type by a new name."""
    path = write(tmp_path / "a.jsonl", '{"aggregate_id": "a-1", "type": "A"}')
    run(path)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL events.maintenance = 'on'")
        cursor.execute("UPDATE events_event SET type = 'Renamed'")
        cursor.execute("SET LOCAL events.maintenance = 'off'")
    assert run(path)[0] == "0 events stored, 1 already stored."


@pytest.mark.parametrize("has_ids", [False, True])
@pytest.mark.django_db(transaction=True)
def test_imports_of_the_same_lines_at_once_store_each_once_and_add_up(
    tmp_path: Path, store: EventStore, no_subscribers: None, has_ids: bool
) -> None:
    """They overlap in all ways: the batches of one end inside the batches of another."""
    lines = [
        f'{{"aggregate_id": "a-{n % 7}", "type": "A", "data": {{"n": {n}}}'
        + (f', "event_id": "{new().event_id}"}}' if has_ids else "}")
        for n in range(600)
    ]
    path = write(tmp_path / "a.jsonl", "\n".join(lines))
    importers = [Importer(store, batch_events=count) for count in (70, 70, 99, 600)]

    def import_all(importer: Importer) -> None:
        with path.open("rb") as file:
            for _ in importer.run(read_json_lines(file)):
                pass

    raise_first(in_threads(*[lambda importer=importer: import_all(importer) for importer in importers]))
    assert sum(importer.counts.stored for importer in importers) == Event.objects.count() == 600
    assert all(importer.counts.stored + importer.counts.known == 600 for importer in importers)


@pytest.mark.django_db(transaction=True)
def test_event_that_is_stored_during_the_import_counts_as_known(
    tmp_path: Path, store: EventStore, no_subscribers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another import stores a line after each look-up of this one."""
    path = write(tmp_path / "a.jsonl", LINES)
    with path.open("rb") as file:
        rows = [line.row for line in read_json_lines(file) if line.row]
    ids = DerivedIds(identity.secret("default")).derive(rows)
    others = iter([rows[1].with_id(ids[1]), rows[2].with_id(ids[2])])
    look_up = Importer._look_up

    def look_up_and_lose(importer: Importer, lines: list[Line]) -> dict[int, str]:
        found = look_up(importer, lines)
        for row in islice(others, 1):
            writer.append([row], {}, store.using)
        return found

    monkeypatch.setattr(Importer, "_look_up", look_up_and_lose)
    writer.append([rows[0].with_id(ids[0])], {}, store.using)
    assert run(path)[0] == "0 events stored, 3 already stored."
    assert Event.objects.count() == 3


@pytest.mark.parametrize("batch_size", [1, 1000])
def test_error_of_a_handler_ends_the_import(tmp_path: Path, store: EventStore, batch_size: int) -> None:
    event_id = new().event_id
    store.subscribe("A", lambda event, **kwargs: store.dispatch(new(f"x-{event.version}", event_id=event_id)))
    path = write(tmp_path / "a.jsonl", LINES)
    with pytest.raises(DuplicateEvent, match="already in use"):  # with its traceback: it says nothing about the file
        run(path, call_subscribers=True, batch_size=batch_size)
    assert len(stored()) == (2 if batch_size == 1 else 0)


@pytest.mark.parametrize("call_subscribers", [False, True])
def test_import_calls_subscribers_only_when_asked(tmp_path: Path, store: EventStore, call_subscribers: bool) -> None:
    seen = []

    def receiver(event: Event, signal: Any = None, **kwargs: Any) -> None:
        seen.append((event.type, signal))

    store.subscribe("A", receiver)
    event_dispatched.connect(receiver)
    with eager_events():
        store.subscribe("B", receiver, on_commit=True)
        run(write(tmp_path / "events.jsonl", LINES), call_subscribers=call_subscribers)
    assert len(seen) == (6 if call_subscribers else 0)
    assert AggregateActivity.objects.get(pk="a-1").event_count == 2  # INLINE projections get every event


def test_imported_history_has_its_consequences_once(tmp_path: Path, store: EventStore) -> None:
    """The example of the README: what a subscriber has appended is in the export too."""

    def pack(event: Event, **kwargs: Any) -> None:
        store.dispatch(new(event.aggregate_id, "OrderPacked"))

    with store.subscribe("OrderPaid", pack):
        store.dispatch(new("order-17", "OrderPlaced"), new("order-17", "OrderPaid"))
        exported = b"".join(store.export())
        path = write(tmp_path / "events.jsonl", exported.decode().replace("order-17", "order-18"))
        path = write(path, re.sub('"event_id": ?"[^"]*", ?', "", path.read_text()))
        assert run(path)[0] == "3 events stored."
    events = store.get_events_for_aggregate("order-18")
    assert [event.type for event in events] == ["OrderPlaced", "OrderPaid", "OrderPacked"]


@pytest.mark.django_db(transaction=True)
def test_import_without_subscribers_reads_nothing_back(
    tmp_path: Path, no_subscribers: None, django_assert_num_queries: Any
) -> None:
    path = write(tmp_path / "events.jsonl", LINES)
    with django_assert_num_queries(2):  # the first one looks for the tables of the store
        run(path)

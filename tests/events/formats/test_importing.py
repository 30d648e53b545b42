"""Imports repeat safely, batch by batch, and name the line that ends them."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError

from events.formats import files
from events.models import Event
from events.signals import event_dispatched
from events.store import EventStore
from tests.events.formats.support import COLUMNS, CSV, LINES, run, write
from tests.support import new, stored

pytestmark = pytest.mark.django_db


def line_of(aggregate_id: str, event_id: UUID) -> str:
    return json.dumps({"aggregate_id": aggregate_id, "type": "A", "event_id": str(event_id)}) + "\n"


@pytest.mark.parametrize("batch_size", [1, 2, 3, 1000])
def test_import_can_be_repeated_and_goes_on_where_it_ended(tmp_path: Path, batch_size: int) -> None:
    lines = CSV.splitlines(keepends=True)
    path = tmp_path / "events.csv"
    run(write(path, "".join(lines[:4])), **COLUMNS, batch_size=batch_size)
    assert run(write(path, CSV), **COLUMNS, batch_size=batch_size)[0] == "2 events stored, 2 were already stored."
    assert run(path, **COLUMNS, batch_size=batch_size)[0] == "0 events stored, 4 were already stored."
    assert stored() == [("c-1", 1), ("c-2", 1), ("c-1", 2), ("c-1", 3)]


def test_equal_lines_are_events_of_their_own_however_far_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_CHUNK_LINES", 2)
    line = '{"aggregate_id": "a-1", "type": "A"}\n'
    path = write(tmp_path / "a.jsonl", line * 2 + line.replace("a-1", "b-1") * 3 + line)
    assert run(path)[0] == "6 events stored."
    assert stored() == [("a-1", 1), ("a-1", 2), ("b-1", 1), ("b-1", 2), ("b-1", 3), ("a-1", 3)]
    assert run(path)[0] == "0 events stored, 6 were already stored."


def test_dry_run_checks_every_line_and_stores_nothing(tmp_path: Path) -> None:
    assert run(write(tmp_path / "a.csv", CSV), **COLUMNS, dry_run=True)[0] == "4 events would be stored."
    with pytest.raises(CommandError, match="line 2: type: is missing"):
        run(write(tmp_path / "a.jsonl", LINES.splitlines(True)[0] + '{"aggregate_id": "x"}\n'), dry_run=True)
    assert stored() == []


def test_own_event_ids_are_kept_and_in_use_elsewhere_rejected(tmp_path: Path) -> None:
    event_id = new().event_id
    line = line_of("a-1", event_id)
    assert run(write(tmp_path / "a.jsonl", line * 2))[0] == "1 events stored, 1 were already stored."
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
    assert out == f"3 events {did}, 1 were already stored, 1 bad lines skipped."
    assert err.startswith("line 2: event_id: ")


def test_handler_that_fails_ends_the_import(tmp_path: Path, store: EventStore) -> None:
    event_id = new().event_id
    store.subscribe("A", lambda event, **kwargs: store.dispatch(new(f"x-{event.version}", event_id=event_id)))
    with pytest.raises(CommandError, match="already in use"):
        run(write(tmp_path / "a.jsonl", LINES))
    assert stored() == []


def test_import_reaches_signals(tmp_path: Path) -> None:
    seen = []

    def receiver(event: Event, **kwargs: Any) -> None:
        seen.append(event.type)

    event_dispatched.connect(receiver)
    run(write(tmp_path / "events.jsonl", LINES))
    assert seen == ["A", "A", "B"]

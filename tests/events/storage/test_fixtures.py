"""Fixtures of Django: tests load rows of the store, other databases reject them, and dumps leave them out."""

import io
import json
from pathlib import Path

import pytest
from django.core import serializers
from django.core.management import CommandError, call_command
from django.db import connection

from events.exceptions import ImmutableEvent
from events.models import Aggregate, Event, Seal
from events.storage import fixtures
from events.store import EventStore
from projections.models import Checkpoint, ProjectionState
from projections.registry import all_projections
from tests.events.integrity.support import seal_all
from tests.support import aggregates, new, some, stored

pytestmark = pytest.mark.django_db(transaction=True)


def test_serialized_rollback_restores_events(store: EventStore) -> None:
    store.dispatch(*some(2), new("b-1", data={"price": 1.0, "big": 2**70}))
    seal_all()
    before = list(Event.objects.values("pk", "event_id", "data"))
    dump = connection.creation.serialize_db_to_string()
    for _ in range(2):  # on rows that are there, and on empty tables
        connection.creation.deserialize_db_from_string(dump)
        assert stored() == [("a-1", 1), ("a-1", 2), ("b-1", 1)]
        call_command("flush", interactive=False, verbosity=0, reset_sequences=False, inhibit_post_migrate=True)
    connection.creation.deserialize_db_from_string(dump)
    assert list(Event.objects.values("pk", "event_id", "data")) == before
    assert (aggregates(), Seal.objects.count()) == ({"a-1": 2, "b-1": 1}, 1)
    (event,) = store.dispatch(new("a-1"), expected_version=2)
    assert event.version == 3


@pytest.mark.parametrize("model", [Event, Aggregate, Seal, ProjectionState, Checkpoint])
def test_fixture_is_rejected_outside_of_tests(
    model: type, store: EventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.dispatch(*some(2))
    seal_all()
    for projection in all_projections():
        ProjectionState.objects.get_or_create(name=projection.name, defaults={"mode": "async", "version": 1})
    state = ProjectionState.objects.first()
    Checkpoint.objects.create(projection=state, build="live", shard=60, version=1, shards=61, position=0)
    fixture = tmp_path / "dump.json"
    fixture.write_text(serializers.serialize("json", model._base_manager.all()), encoding="utf-8")  # type: ignore[attr-defined]
    monkeypatch.setattr(fixtures, "is_of_a_test", lambda connection: False)
    with pytest.raises(CommandError, match=rf"cannot write \w+\.{model.__name__}\. export_events and import_events"):
        call_command("loaddata", str(fixture), verbosity=0)
    with pytest.raises(ImmutableEvent):
        connection.creation.deserialize_db_from_string(fixture.read_text())


def test_dumps_leave_out_the_store_and_say_what_to_use(store: EventStore) -> None:
    store.dispatch(*some(2))
    output, errors = io.StringIO(), io.StringIO()
    call_command("dumpdata", stdout=output, stderr=errors)
    assert {row["model"].partition(".")[0] for row in json.loads(output.getvalue())} & {
        "events",
        "events_domain",
        "projections",
    } == set()
    assert errors.getvalue().startswith("Left out: events, events_domain, projections. export_events and import")
    with pytest.raises(CommandError, match=r"dumpdata does not dump events\.event, because loaddata rejects it\."):
        call_command("dumpdata", "auth", "events.event")

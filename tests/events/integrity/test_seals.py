"""Seals: no sealed event can be changed, removed or inserted unnoticed, by any role."""

import struct
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from django.db import DatabaseError, connection, transaction

from events.exceptions import ImmutableEvent
from events.integrity import seals
from events.integrity.seals import StoreDigest
from events.models import Event, Seal
from events.store import EventStore
from tests.events.integrity.support import seal_all, tamper, verify
from tests.support import in_threads, new, open_append, raise_first, some

pytestmark = pytest.mark.django_db


def test_digest_is_what_the_documentation_says(sealed: list[Event]) -> None:
    """Worked out here from the columns, byte by byte, with nothing of the code that seals."""
    digest = bytes(32)
    with connection.cursor() as cursor:
        cursor.execute("SELECT position, data::text, metadata::text FROM events_event ORDER BY position")
        texts = {position: (data.encode(), metadata.encode()) for position, data, metadata in cursor.fetchall()}
    for event in sealed:
        data, metadata = texts[event.position]
        content = struct.pack(">qq", event.position, event.version) + event.event_id.bytes
        for moment in (event.timestamp, event.recorded_at):
            content += struct.pack(">q", (moment - datetime(2000, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1))
        for text in (event.aggregate_id.encode(), event.type.encode(), metadata):
            content += struct.pack(">i", len(text)) + text
        digest = sha256(digest + sha256(content + data).digest()).digest()
    assert seals.newest_digest("default") == StoreDigest(sealed[-1].position, digest)


def test_digest_does_not_depend_on_when_it_was_sealed(store: EventStore, sealed: list[Event]) -> None:
    in_stretches = seals.newest_digest("default")
    assert list(Seal.objects.order_by("position").values_list("events", flat=True)) == [5, 5, 2]
    tamper("DELETE FROM events_seal")
    for event in sealed:
        assert seals.seal("default", up_to=event.position) == 1
    assert seals.newest_digest("default") == in_stretches
    assert verify().seals == 12


@pytest.mark.parametrize("text", ["", "12", "12:abc", "x:" + "0" * 64, "-1:" + "0" * 64, "1:" + "G" * 64])
def test_invalid_digest_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="is not a digest"):
        StoreDigest.parse(text)


@pytest.mark.django_db(transaction=True)
def test_only_settled_events_are_sealed(store: EventStore) -> None:
    store.dispatch(*some(3))
    with open_append(store, new("b-1")):
        store.dispatch(*some(2, "c-1"))
        seal_all()
        assert seals.unsealed("default").events == 2
    seal_all()
    assert verify().events == 6


@pytest.mark.django_db(transaction=True)
def test_several_sealers_make_one_chain(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seals, "MAX_SEALED_EVENTS", 3)
    store.dispatch(*some(60))
    raise_first(in_threads(*[seal_all] * 6))
    assert verify().events == 60
    assert Seal.objects.count() == 20


def test_seals_are_guarded(sealed: list[Event]) -> None:
    seal = Seal.objects.first()
    assert seal
    with pytest.raises(ImmutableEvent):
        seal.save()
    with pytest.raises(ImmutableEvent):
        Seal.objects.all().delete()
    for statement in ("UPDATE events_seal SET events = 1", "DELETE FROM events_seal", "TRUNCATE events_seal"):
        with pytest.raises(DatabaseError, match="cannot be changed or removed"), transaction.atomic():
            connection.cursor().execute(statement)

"""Seals: what is sealed cannot change, go or come unnoticed, whoever does it."""

import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from events.exceptions import BrokenSeal, ImmutableEvent
from events.integrity import seals
from events.integrity.seals import StoreDigest
from events.integrity.verification import Verification
from events.models import Event, Seal
from events.store import EventStore
from projections import registry
from projections.models import Checkpoint
from projections.projections import SealsProjection
from projections.workers.worker import Until, Worker
from tests.support import in_threads, new, open_append, raise_first, some

pytestmark = pytest.mark.django_db

SQL = "UPDATE events_event SET "


def seal_all() -> StoreDigest:
    while seals.seal("default"):
        pass
    return seals.newest_digest("default")


def verify(**options: Any) -> Verification:
    verification = Verification("default", **options)
    for _ in verification.run():
        pass
    return verification


@pytest.fixture
def sealed(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    """Twelve events of three aggregates, under seals of five."""
    monkeypatch.setattr(seals, "MAX_SEALED_EVENTS", 5)
    happened = datetime(2030, 1, 31, 12, 0, 0, 500, tzinfo=UTC)
    for n in range(4):
        for name in ("a-1", "b-1", "c-1"):
            store.dispatch(
                new(name, "Happened", data={"n": n, "é": [1.5, None]}, timestamp=happened, metadata={"by": n})
            )
    seal_all()
    return list(Event.objects.order_by("position"))


def tamper(*statements: str, **values: Any) -> None:
    """Do what nobody may: as the superuser, with the guards off."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = 'replica'")
        for statement in statements:
            cursor.execute(statement, values)


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


def test_what_is_sealed_fits(store: EventStore, sealed: list[Event]) -> None:
    digest = seals.newest_digest("default")
    store.dispatch(*some(7, "d-1"))
    for options in ({}, {"against": digest}, {"against": StoreDigest.parse(f" {digest}\n")}):
        found = verify(**options)
        assert (found.seals, found.events, found.digest) == (3, 12, digest)
    assert (verify(begin=sealed[5].position).events, verify(begin=sealed[-1].position + 1).events) == (7, 0)
    assert seals.unsealed("default").events == 7
    seal_all()
    assert seals.unsealed("default") == seals.UnsealedEvents(0, None)
    assert verify(against=digest).events == 19


CHANGED = {
    "data": """data = '{"n": 7}' WHERE position = %(sixth)s""",
    "type": "type = 'Other' WHERE position = %(sixth)s",
    "metadata": """metadata = '{"by": 7}' WHERE position = %(sixth)s""",
    "timestamp": "timestamp = timestamp + interval '1 microsecond' WHERE position = %(sixth)s",
    "recorded_at": "recorded_at = recorded_at - interval '1 microsecond' WHERE position = %(sixth)s",
    "version": "version = 99 WHERE position = %(sixth)s",
    "aggregate": "aggregate_id = 'd-1' WHERE position = %(sixth)s",
    "event id": "event_id = gen_random_uuid() WHERE position = %(sixth)s",
    # The same characters, dealt out otherwise.
    "type and aggregate": "type = 'appened', aggregate_id = 'c-1H' WHERE position = %(sixth)s",
}


@pytest.mark.parametrize("change", CHANGED.values(), ids=CHANGED)
def test_changed_event_is_named(sealed: list[Event], change: str) -> None:
    sixth = sealed[5].position
    tamper(SQL + change, sixth=sixth)
    with pytest.raises(BrokenSeal, match=f"the event at position {sixth} .* differs from the sealed event") as caught:
        verify()
    assert caught.value.position == sixth
    assert verify(begin=sealed[10].position).events == 2  # later seals do fit


def test_two_events_that_changed_places_are_caught(sealed: list[Event]) -> None:
    third, fourth = sealed[2].position, sealed[3].position
    swap = [
        f"{SQL} position = -1 WHERE position = %(third)s",
        f"{SQL} position = %(third)s WHERE position = %(fourth)s",
        f"{SQL} position = %(fourth)s WHERE position = -1",
    ]
    tamper(*swap, third=third, fourth=fourth)
    with pytest.raises(BrokenSeal, match=f"the event at position {third} "):
        verify()


@pytest.mark.parametrize("place", [0, 2, 4, 5, 9, 10, 11])
def test_removed_event_is_missed(sealed: list[Event], place: int) -> None:
    tamper("DELETE FROM events_event WHERE position = %(position)s", position=sealed[place].position)
    before = sealed[place - 1].position if place else 0
    with pytest.raises(BrokenSeal, match=f"after position {before} a sealed event is missing"):
        verify()


@pytest.mark.parametrize("aggregate_id", ["a-1", "b-1", "c-1"])
def test_removed_aggregate_is_missed(sealed: list[Event], aggregate_id: str) -> None:
    tamper(
        "DELETE FROM events_event WHERE aggregate_id = %(id)s",
        "DELETE FROM events_aggregate WHERE aggregate_id = %(id)s",
        id=aggregate_id,
    )
    with pytest.raises(BrokenSeal, match="a sealed event is missing"):
        verify()


@pytest.mark.parametrize("place", [0, 3, 4, 5, 11])
def test_event_slipped_in_is_named(store: EventStore, sealed: list[Event], place: int) -> None:
    """It takes the place of one of the others, which move on by one: there is no gap to slip into."""
    target = sealed[place].position
    tamper(
        f"{SQL} position = -position - 1 WHERE position >= %(target)s",
        f"{SQL} position = -position WHERE position < 0",
        "INSERT INTO events_event SELECT %(target)s, 'd-1', 1, gen_random_uuid(), type, data, metadata, timestamp,"
        " recorded_at FROM events_event LIMIT 1",
        target=target,
    )
    with pytest.raises(BrokenSeal, match=f"the event at position {target} "):
        verify()


def test_event_slipped_into_a_gap_is_named(store: EventStore, sealed: list[Event]) -> None:
    tamper(
        "DELETE FROM events_seal",
        f"{SQL} position = position + 1000 WHERE position > %(fifth)s",
        "SELECT setval('events_event_position_seq', max(position)) FROM events_event",
        fifth=sealed[4].position,
    )
    seal_all()
    assert verify().seals == 3
    slipped = sealed[4].position + 10
    tamper(
        "INSERT INTO events_event SELECT %(slipped)s, 'd-1', 1, gen_random_uuid(), type, data, metadata, timestamp,"
        " recorded_at FROM events_event LIMIT 1",
        slipped=slipped,
    )
    with pytest.raises(BrokenSeal, match=f"the event at position {slipped} .* was inserted after the sealing"):
        verify()


SEALS_CHANGED = {
    "removed first": "DELETE FROM events_seal WHERE position = (SELECT min(position) FROM events_seal)",
    "removed, in the middle": "DELETE FROM events_seal WHERE after > 0 AND events = 5",
    "digest": "UPDATE events_seal SET digest = sha256(digest) WHERE after > 0 AND events = 5",
    "previous": "UPDATE events_seal SET previous = sha256(previous) WHERE after > 0 AND events = 5",
    "count": "UPDATE events_seal SET events = 4 WHERE after > 0 AND events = 5",
    "position": "UPDATE events_seal SET position = position - 1 WHERE after > 0 AND events = 5",
}


@pytest.mark.parametrize("change", SEALS_CHANGED.values(), ids=SEALS_CHANGED)
def test_changed_seal_is_caught(sealed: list[Event], change: str) -> None:
    tamper(change)
    with pytest.raises(BrokenSeal, match="seal"):
        verify()


REWRITTEN: dict[str, str] = {
    "changed": f"""{SQL} data = '{{"n": 7}}' WHERE position = %(sixth)s""",
    "removed": "DELETE FROM events_event WHERE position = %(sixth)s",
    "removed at the end": "DELETE FROM events_event WHERE position = %(last)s",
    "all removed": "DELETE FROM events_event",
}


@pytest.mark.parametrize("change", REWRITTEN.values(), ids=REWRITTEN)
@pytest.mark.parametrize("then", [seal_all, lambda: None], ids=["sealed anew", "seals removed"])
def test_digest_kept_elsewhere_catches_seals_that_were_made_to_fit(
    sealed: list[Event], change: str, then: Callable[[], Any]
) -> None:
    kept = seals.newest_digest("default")
    tamper(change, "DELETE FROM events_seal", sixth=sealed[5].position, last=sealed[-1].position)
    then()
    verify()  # by itself, all fits
    at_the_end = Event.objects.latest("position").position < kept.position if Event.objects.exists() else True
    said = "the store ends at position" if at_the_end else "do not match the digest that was kept elsewhere"
    with pytest.raises(BrokenSeal, match=said):
        verify(against=kept)


def test_old_digest_is_compared_within_seals_of_other_bounds(store: EventStore, sealed: list[Event]) -> None:
    kept = StoreDigest(0).followed_by(seals.event_digests(0, sealed[6].position, 100, "default"))
    assert verify(against=kept).events == 12
    wrong = StoreDigest(kept.position, bytes(32))
    with pytest.raises(BrokenSeal, match="kept elsewhere"):
        verify(against=wrong)


@pytest.mark.parametrize("text", ["", "12", "12:abc", "x:" + "0" * 64, "-1:" + "0" * 64, "1:" + "G" * 64])
def test_what_is_no_digest_is_rejected(text: str) -> None:
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


@pytest.mark.django_db(transaction=True)
def test_workers_seal(store: EventStore) -> None:
    store.dispatch(*some(3))
    Worker([registry.get("seals")], until=Until.CAUGHT_UP).run()
    store.dispatch(*some(4))
    Worker([registry.get("seals")], until=Until.CAUGHT_UP).run()
    assert [seal.events for seal in Seal.objects.order_by("position")] == [3, 4]
    assert verify().events == 7


@pytest.mark.django_db(transaction=True)
def test_rebuild_makes_no_other_seals(store: EventStore) -> None:
    """Or whoever may rebuild could have seals made that fit what was tampered with."""
    store.dispatch(*some(3))
    Worker([registry.get("seals")], until=Until.CAUGHT_UP).run()
    before = list(Seal.objects.values())
    call_command("rebuild_projection", "seals", yes=True, verbosity=0)
    assert list(Seal.objects.values()) == before
    assert Checkpoint.objects.get(projection="seals").position > 0
    assert SealsProjection.models == ()


def test_commands(store: EventStore, sealed: list[Event], capsys: pytest.CaptureFixture[str]) -> None:
    store.dispatch(*some(3))
    call_command("events_digest")
    out, err = capsys.readouterr()
    assert out == f"{seals.newest_digest('default')}\n"
    assert "Not sealed yet: 3 events; the first was stored at 2" in err
    call_command("seal_events")
    last = Event.objects.latest("position").position
    assert f"3 events sealed. Seals reach up to position {last}." in capsys.readouterr().out
    call_command("verify_events", against=out)
    assert f"15 events in 4 seals match: all from position 1 to {last}" in (text := capsys.readouterr().out)
    assert "match the digest.\nEvery event is sealed." in text

    tamper(f"{SQL} type = 'Other' WHERE position = %(sixth)s", sixth=sealed[5].position)
    named = r"The event at position \d+ \(Other, version 2 of c-1\) .*\n5 events in the"
    with pytest.raises(CommandError, match=named):
        call_command("verify_events")
    call_command("verify_events", "--from", str(last))
    text = capsys.readouterr().out
    assert f"3 events in 1 seal match: all from position {sealed[-1].position + 1} to {last}" in text
    assert f"The events up to position {sealed[-1].position} were not verified." in text
    for beyond in (0, -1, last + 1):
        with pytest.raises(CommandError, match=f"--from: give a position from 1 to {last}"):
            call_command("verify_events", f"--from={beyond}")
    with pytest.raises(CommandError, match="--against: 'x' is not a digest; give it as events_digest prints it"):
        call_command("verify_events", against="x")
    with pytest.raises(CommandError, match="leave out --from"):
        call_command("verify_events", "--from=7", against=out)
    with pytest.raises(CommandError, match="there is no 'other' in DATABASES"):
        call_command("seal_events", database="other")


def test_digest_of_nothing_is_none() -> None:
    with pytest.raises(CommandError, match="Nothing is sealed yet: run seal_events"):
        call_command("events_digest")
    assert verify().events == 0

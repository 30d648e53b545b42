"""Verification finds every change to sealed events and to their seals."""

from collections.abc import Callable
from typing import Any

import pytest

from events.exceptions import BrokenSeal
from events.integrity import seals
from events.integrity.seals import StoreDigest
from events.models import Event
from events.store import EventStore
from tests.events.integrity.support import SQL, seal_all, tamper, verify
from tests.support import UNREADABLE, some, store_unchecked

pytestmark = pytest.mark.django_db


def test_sealed_events_are_verified(store: EventStore, sealed: list[Event]) -> None:
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
@pytest.mark.parametrize("then", [seal_all, lambda: None], ids=["sealed again", "seals removed"])
def test_digest_kept_elsewhere_catches_seals_that_were_made_to_fit(
    sealed: list[Event], change: str, then: Callable[[], Any]
) -> None:
    kept = seals.newest_digest("default")
    tamper(
        change,
        "DELETE FROM events_seal",
        # The versions close up behind a removed event.
        "DELETE FROM events_aggregate",
        f"{SQL} version = -e.number FROM (SELECT position, row_number() OVER (PARTITION BY aggregate_id ORDER BY"
        " position) AS number FROM events_event) AS e WHERE events_event.position = e.position",
        f"{SQL} version = -version",
        "INSERT INTO events_aggregate SELECT aggregate_id, '', max(version), now(), now() FROM events_event GROUP BY 1",
        sixth=sealed[5].position,
        last=sealed[-1].position,
    )
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


@pytest.mark.parametrize(("field", "text"), UNREADABLE.values(), ids=UNREADABLE)
def test_event_that_python_cannot_represent_is_sealed_and_verified(store: EventStore, field: str, text: str) -> None:
    store.dispatch(*some(2))
    position = store_unchecked(**{field: text})
    assert seals.unsealed("default").events == 3
    assert seals.seal("default") == 3
    assert verify().events == 3
    tamper(f"{SQL} type = 'Other' WHERE position = %(changed)s", changed=position)
    with pytest.raises(BrokenSeal, match=f"the event at position {position}"):
        verify()

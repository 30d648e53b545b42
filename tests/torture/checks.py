"""What must be true of a store, whatever has happened to it. Each check returns what is wrong, in words; best nothing.

They know nothing of the code they check: they compare what the writers wrote down with the rows of the tables.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tests.torture.journal import Call, End, Sent


class Stored(NamedTuple):
    """An event as it lies in the table."""

    position: int
    aggregate_id: str
    version: int
    event_id: str
    type: str
    data: dict[str, Any] | None  # None: nobody can read it


def lost(calls: Iterable[Call], stored: Sequence[Stored]) -> Iterator[str]:
    """Every acknowledged event is there: with what it says, and where every answer said it is."""
    by_id = {event.event_id: event for event in stored}
    for call in calls:
        for index, sent in enumerate(call.events):
            found = by_id.get(sent.event_id)
            if found is None:
                if call.end is End.ACKNOWLEDGED:
                    yield f"lost: {_name(sent)} was acknowledged, and is not stored"
                continue
            if (found.aggregate_id, found.type, found.data) != (sent.aggregate_id, sent.type, sent.data):
                yield f"changed: {_name(sent)} was sent as {sent}, and is stored as {found}"
            for answers in call.answers:
                if tuple(answers[index]) != (found.version, found.position):
                    yield f"moved: {_name(sent)} was answered to be {answers[index]}, and is stored as {found}"


def doubled(stored: Sequence[Stored]) -> Iterator[str]:
    """Each event id is stored at most once, and each position is taken once."""
    for event_id, count in Counter(event.event_id for event in stored).items():
        if count > 1:
            yield f"doubled: the event {event_id} is stored {count} times"
    for position, count in Counter(event.position for event in stored).items():
        if count > 1:
            yield f"doubled: position {position} is taken {count} times"


def half_written(calls: Iterable[Call], stored: Sequence[Stored]) -> Iterator[str]:
    """Of each call all events are stored, in the order sent, or none is."""
    places = {event.event_id: event.position for event in stored}
    for call in calls:
        found = [places[sent.event_id] for sent in call.events if sent.event_id in places]
        if found and len(found) < len(call.events):
            yield f"half written: {len(found)} of the {len(call.events)} events of the call of {_name(call.events[0])}"
        if found != sorted(found):
            yield f"disordered: the events of the call of {_name(call.events[0])} are at {found}"


def uninvited(calls: Iterable[Call], stored: Sequence[Stored]) -> Iterator[str]:
    """Nothing is stored that was rejected, rolled back, or never sent."""
    ends = {sent.event_id: call.end for call in calls for sent in call.events}
    rolled_back = {sent.event_id for call in calls if call.rolls_back for sent in call.events}
    for event in stored:
        if event.data is None:
            continue  # an unreadable event, which is no writer's
        end = End.ROLLED_BACK if event.event_id in rolled_back else ends.get(event.event_id)
        if end not in (End.ACKNOWLEDGED, End.OPEN):
            yield f"uninvited: {event} is stored, though it was {end or 'never sent'}"


def versions(stored: Sequence[Stored], aggregates: Mapping[str, int]) -> Iterator[str]:
    """In each aggregate versions count 1, 2, 3 …, positions rise with them, and its row has the last one."""
    histories: dict[str, list[Stored]] = defaultdict(list)
    for event in stored:
        histories[event.aggregate_id].append(event)
    for aggregate_id in histories.keys() | aggregates.keys():
        history = sorted(histories[aggregate_id], key=lambda event: event.version)
        found = [event.version for event in history]
        if found != list(range(1, len(found) + 1)):
            missing = sorted(set(range(1, max(found) + 1)) - set(found))
            yield f"version gap: {aggregate_id} has {len(found)} events up to version {max(found)}, without {missing}"
        if (row := aggregates.get(aggregate_id, 0)) != (last := max(found, default=0)):
            yield f"version: the row of {aggregate_id} says {row}, its events go up to {last}"
        places = [event.position for event in history]
        if places != sorted(places):
            yield f"order: positions of {aggregate_id} do not rise with its versions: {places}"


def followed(name: str, seen: Sequence[tuple[int, str]], stored: Sequence[Stored]) -> Iterator[str]:
    """A follower has had each event exactly once, in order of position."""
    positions = [position for position, _ in seen]
    if positions != sorted(positions):
        at = next(place for place in range(1, len(positions)) if positions[place] < positions[place - 1])
        yield f"order: {name} had position {positions[at]} after {positions[at - 1]}"
    for each, count in Counter(seen).items():
        if count > 1:
            yield f"repeated: {name} had {each} {count} times"
    there = {(event.position, event.event_id) for event in stored}
    for position, event_id in sorted(there - set(seen)):
        yield f"missed: {name} never had position {position}, event {event_id}"
    for position, event_id in sorted(set(seen) - there):
        yield f"phantom: {name} had position {position}, event {event_id}, which is not stored"


def same_rows(name: str, before: Sequence[Any], after: Sequence[Any]) -> Iterator[str]:
    """Two readings of a read model have the same rows, as often."""
    have, want = Counter(map(tuple, before)), Counter(map(tuple, after))
    for row in (have - want).elements():
        yield f"read model: {name} has {row}, which does not follow from the events"
    for row in (want - have).elements():
        yield f"read model: {name} lacks {row}, which follows from the events"


def _name(sent: Sent) -> str:
    return f"event {sent.event_id} of {sent.aggregate_id}"

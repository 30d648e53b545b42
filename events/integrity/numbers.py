"""The numbers and ids of the events: which positions and versions there can be.

The append functions and the unique indexes give only such numbers. Others come from writes past the guards.
"""

from collections.abc import Iterator
from typing import Final

from events.exceptions import BrokenSeal
from events.models import Event
from events.storage.query_files import fetch_tuples, read_query

UNIQUE: Final = (("position",), ("event_id",), ("aggregate_id", "version"))


def verify_numbers(using: str, *, after: int = 0) -> None:
    """Verify the positions, versions and ids of all events, sealed or not.

    Args:
        after: verify only the versions of events after this position, without a comparison with their aggregates.

    Raises:
        BrokenSeal: two numbers are the same, or one cannot exist; the error names the first that was found.
    """
    for position, reason in _faults(using, after):
        raise BrokenSeal(position, reason)


def missing_unique_indexes(using: str) -> list[tuple[str, ...]]:
    """Return the columns of the events that no valid unique index keeps unique."""
    kept = {tuple(columns) for (columns,) in fetch_tuples(using, read_query(__package__, "unique_columns"))}
    return [columns for columns in UNIQUE if columns not in kept]


def _faults(using: str, after: int) -> Iterator[tuple[int, str]]:
    for position, last in fetch_tuples(using, read_query(__package__, "impossible_positions")):
        what = f"above {last}, the last that was taken" if position > last else "below 1"
        yield position, f"there is an event at position {position}, but no event can have a position {what}"
    for columns in missing_unique_indexes(using):
        if len(columns) == 1:
            query = read_query(__package__, "duplicates").format(column=columns[0])
            for position, value in fetch_tuples(using, query):
                name = columns[0].replace("_", " ")
                yield (
                    position,
                    f"several events have the {name} {value}, and the unique index of {columns[0]} is missing",
                )
    query = read_query(__package__, "wrong_versions").format(
        events="(SELECT * FROM events_event WHERE position > %(after)s) AS later" if after else "events_event",
        from_the_first=not after,
    )
    for aggregate_id, version, before in fetch_tuples(using, query, {"after": after}):
        yield _position(using, aggregate_id, version), _wrong_version(aggregate_id, version, before)
    if not after:
        for aggregate_id, version, last in fetch_tuples(using, read_query(__package__, "wrong_aggregates")):
            position = 0 if last is None else _position(using, aggregate_id, last)
            at = "is not in the table of aggregates" if version is None else f"is at version {version}"
            has = "it has no events" if last is None else f"its last event has version {last}"
            yield position, f"aggregate {aggregate_id} {at}, but {has}: events were removed, inserted or changed"


def _wrong_version(aggregate_id: str, version: int, before: int | None) -> str:
    if version < 1:
        return f"aggregate {aggregate_id} has an event of version {version}, but versions begin at 1"
    if version == before:
        return f"aggregate {aggregate_id} has several events of version {version}"
    return f"aggregate {aggregate_id} has an event of version {version}, but none of version {version - 1}"


def _position(using: str, aggregate_id: str, version: int) -> int:
    """Return the position of an event; 0 if it was removed meanwhile."""
    events = Event.objects.using(using).filter(aggregate_id=aggregate_id, version=version)
    return events.order_by("position").values_list("position", flat=True).first() or 0

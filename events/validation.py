"""Validation of new events and other arguments, before anything is sent to the database."""

import unicodedata
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from . import decoding, jsonb
from .conf import conf
from .exceptions import DuplicateEvent, InvalidEvent
from .setting_kinds import REJECT
from .types import EARLIEST, LATEST, MAX_BIGINT, NewEvent

MAX_NAME_CHARACTERS = 255
# The metadata keys whose values `validate_events` examines.
_CHECKED_KEYS = frozenset(("correlation_id", "cloudevent"))
# Clients remove these segments from addresses, also percent-encoded (RFC 3986, section 5.2.4), and so never reach them.
_DOT_SEGMENTS = frozenset((".", ".."))
_RESERVED = {
    "cloudevent": "is reserved: send a CloudEvent instead, or import the event with import_events",
    decoding.SCHEMA: "is reserved: the store adds the newest schema version. Leave it out, and give the data in it",
}
_NOTHING: Mapping[str, Any] = {}
MAX_NAMES = 500  # event types or categories of one query: each is a condition


class ValidatedEvent(NamedTuple):
    """A valid event: the arguments of the append functions, and `data` and `metadata` as a read returns them."""

    aggregate_id: str
    type: str
    data_json: bytes
    metadata_json: bytes
    timestamp: datetime | None
    event_id: UUID
    data: dict[str, Any]
    metadata: dict[str, Any]

    def with_id(self, event_id: UUID) -> "ValidatedEvent":
        # `_replace` takes three times as long.
        return ValidatedEvent(*self[:5], event_id, *self[6:])


def validate_events(events: Iterable[NewEvent], context: Mapping[str, Any] = _NOTHING) -> list[ValidatedEvent]:
    """Return `events` as rows for the append functions.

    Args:
        context: metadata of each event that has no value of its own there; an import, which keeps what it reads, has
            none.

    Raises:
        InvalidEvent: an event is not valid, or exceeds the limit on the bytes of a call; the error names its index.
        DuplicateEvent: two events have the same id.
    """
    rows = []
    seen = set()
    size, most = 0, max(conf.max_dispatch_bytes, conf.max_event_bytes)
    for index, event in enumerate(events):
        try:
            row = _row(event, context)
        except InvalidEvent as error:
            raise InvalidEvent(error.field, error.reason, index) from None
        # As bytes: Python's hash of a UUID is its remainder, so a client can send thousands of ids with one hash.
        if row.event_id.bytes in seen:
            raise DuplicateEvent(row.event_id, None, f"the event id {row.event_id} occurs twice in one call")
        size += len(row.data_json) + len(row.metadata_json)
        if size > most:
            raise InvalidEvent(
                "events",
                f"take more than {most:,} bytes as JSON up to this one, the limit of one call"
                " (EVENTS_MAX_DISPATCH_BYTES). Append them in several calls, or import them",
                index,
            )
        seen.add(row.event_id.bytes)
        rows.append(row)
    return rows


def parsed_row(
    aggregate_id: Any,
    type: Any,  # noqa: A002
    data: Any,
    metadata: Any,
    timestamp: datetime | None,
    event_id: UUID,
    max_event_bytes: int,
) -> ValidatedEvent | None:
    """Return the row that `validate_events` would, for an event that orjson has read; None if it must decide itself.

    An import takes a third of the time this way. Whatever is rare or might be wrong is left to `validate_events`.

    Args:
        timestamp: in UTC.
    """
    for name in (aggregate_id, type):
        if name.__class__ is not str or not 0 < len(name) <= MAX_NAME_CHARACTERS or not name.isprintable():
            return None
    if aggregate_id in _DOT_SEGMENTS:
        return None
    if data.__class__ is not dict or metadata.__class__ is not dict or not metadata.keys().isdisjoint(_CHECKED_KEYS):
        return None
    if type in decoding.types or conf.unknown_types == REJECT:
        return None
    if timestamp is not None and not EARLIEST <= timestamp <= LATEST:
        return None
    data_json = jsonb.dumps_parsed(data)
    metadata_json = jsonb.dumps_parsed(metadata) if metadata else b"{}"
    if data_json is None or metadata_json is None:
        return None
    if jsonb.most_stored_bytes(data_json) + jsonb.most_stored_bytes(metadata_json) > max_event_bytes:
        return None
    return ValidatedEvent(aggregate_id, type, data_json, metadata_json, timestamp, event_id, data, metadata)


def check_count(field: str, count: int) -> None:
    """Check the number of events or expectations in one call of `dispatch`.

    Raises:
        InvalidEvent: there are more than `EVENTS_MAX_DISPATCH_EVENTS`.
    """
    if count > conf.max_dispatch_events:
        raise InvalidEvent(
            field,
            f"has {count:,} entries; at most {conf.max_dispatch_events:,} are allowed in one call"
            " (EVENTS_MAX_DISPATCH_EVENTS). Append them in several calls, or import them",
        )


def check_aggregate_id(field: str, value: Any) -> None:
    """Check an aggregate id.

    Raises:
        InvalidEvent: it is `.` or `..`, or not a string of 1 to 255 characters without control characters.
    """
    check_name(field, value)
    if value in _DOT_SEGMENTS:
        raise InvalidEvent(field, f"is {value!r}, which clients remove from addresses; choose another id")


def check_name(field: str, value: Any) -> None:
    """Check an event type or a category, or the characters of an aggregate id.

    Raises:
        InvalidEvent: it is not a string of 1 to 255 characters without control characters.
    """
    if not isinstance(value, str):
        raise InvalidEvent(field, f"is {_kind(value)}; it must be a string")
    if not value:
        raise InvalidEvent(field, f"is empty; give 1 to {MAX_NAME_CHARACTERS} characters")
    if len(value) > MAX_NAME_CHARACTERS:
        raise InvalidEvent(field, f"has {len(value)} characters; at most {MAX_NAME_CHARACTERS} are allowed")
    if not value.isprintable():
        for place, character in enumerate(value):
            # Cc: control characters, such as NUL; Cs: lone surrogates.
            if unicodedata.category(character) in ("Cc", "Cs"):
                raise InvalidEvent(
                    field, f"contains the control character U+{ord(character):04X} at index {place}; remove it"
                )


def check_names(field: str, values: Any) -> None:
    """Check a selection of event types or categories; None is no restriction.

    Raises:
        InvalidEvent: it is a single string, has more than 500 items, or has an item that is not a valid name.
    """
    if values is None:
        return
    if isinstance(values, str) or not isinstance(values, Collection):
        raise InvalidEvent(field, f"is {_kind(values)}; give a list of strings, or None for all")
    if len(values) > MAX_NAMES:
        raise InvalidEvent(
            field, f"has {len(values):,} names; at most {MAX_NAMES} are allowed. Read all events and filter them"
        )
    for value in values:
        if value != "":  # the category of aggregate ids that begin with a dash
            check_name(field, value)


def check_number(field: str, value: Any) -> None:
    """Check a position, a version or a limit; None is no restriction.

    Raises:
        InvalidEvent: it is not a whole number from 0 to 2^63 - 1.
    """
    if value is not None and (type(value) is not int or not 0 <= value <= MAX_BIGINT):
        raise InvalidEvent(field, f"is {value!r}; give a whole number from 0 up to {MAX_BIGINT}")


def check_moment(field: str, value: Any) -> None:
    """Check a moment in time; None is allowed.

    Raises:
        InvalidEvent: it is not a timezone-aware datetime from 0001-01-02 to 9999-12-30.
    """
    if value is None:
        return
    if not isinstance(value, datetime):
        raise InvalidEvent(field, f"is {_kind(value)}; it must be a datetime, or left out")
    if value.utcoffset() is None:
        raise InvalidEvent(field, "has no time zone; add one, for example with django.utils.timezone.make_aware")
    if not EARLIEST <= value <= LATEST:
        raise InvalidEvent(field, f"lies outside {EARLIEST.date()} to {LATEST.date()}")


def _row(event: NewEvent, context: Mapping[str, Any]) -> ValidatedEvent:
    if not isinstance(event, NewEvent):
        raise InvalidEvent("event", f"is {_kind(event)}; pass NewEvent objects, and a list of them as *events")
    check_aggregate_id("aggregate_id", event.aggregate_id)
    check_name("type", event.type)
    if not isinstance(event.event_id, UUID):
        raise InvalidEvent("event_id", f"is {_kind(event.event_id)}; it must be a uuid.UUID, or left out to get one")
    check_moment("timestamp", event.timestamp)
    event_type, given_data, given_metadata = _typed(event, _with_context(event.metadata, context))
    data_json, data = _json_object("data", given_data)
    metadata_json, metadata = _json_object("metadata", given_metadata)
    if metadata.get("correlation_id") is not None:
        _check_correlation_id(metadata["correlation_id"])
    limit = conf.max_event_bytes
    size = jsonb.stored_bytes(data_json, limit) + jsonb.stored_bytes(metadata_json, limit)
    if size > limit:
        raise InvalidEvent(
            "data",
            f"the event takes {size:,} bytes as JSON, with its metadata; at most {limit:,} are allowed"
            " (EVENTS_MAX_EVENT_BYTES). Store large content elsewhere and refer to it",
        )
    return ValidatedEvent(
        event.aggregate_id,
        event_type,
        data_json,
        metadata_json,
        event.timestamp and event.timestamp.astimezone(UTC),  # PostgreSQL does not accept every offset of Python
        event.event_id,
        data,
        metadata,
    )


def _with_context(metadata: Any, context: Mapping[str, Any]) -> Any:
    return {**context, **metadata} if context and isinstance(metadata, Mapping) else metadata


def _typed(event: NewEvent, metadata: Any) -> tuple[str, Any, Any]:
    """Return the type, the data and the metadata to store; of a registered type, in the newest form."""
    if metadata and isinstance(metadata, Mapping):
        for name in event.reserved_metadata & metadata.keys():
            raise InvalidEvent(f"metadata.{name}", _RESERVED[name])
    registered = decoding.types.get(event.type)
    if registered is None:
        if conf.unknown_types == REJECT:
            raise InvalidEvent(
                "type",
                f"{event.type!r} is not a registered event type, and EVENTS_UNKNOWN_TYPES is {REJECT!r}; register a"
                " class for it, or correct the name",
            )
        return event.type, event.data, metadata
    if not isinstance(metadata, Mapping):
        return event.type, {}, metadata  # which is rejected
    if event.is_as_stored or decoding.SCHEMA in metadata:
        decoding.check_stored_form(registered, event.data, metadata.get(decoding.SCHEMA, 1))
        return event.type, event.data, metadata
    return registered.name, *decoding.encode(registered, event.data, metadata)


def _check_correlation_id(value: Any) -> None:
    """Check the length of a correlation id: an index entry has a limited size."""
    if isinstance(value, str):
        characters = len(value)
    else:
        # The length of PostgreSQL's text: all digits of a number, and a space after each comma and colon.
        text = jsonb.dumps(value, "metadata.correlation_id")[0].decode()
        characters = len(text) + text.count(",") + text.count(":")
    if characters > MAX_NAME_CHARACTERS:
        raise InvalidEvent(
            "metadata.correlation_id", f"has {characters} characters; at most {MAX_NAME_CHARACTERS} are allowed"
        )


def _json_object(field: str, value: Any) -> tuple[bytes, dict[str, Any]]:
    if not isinstance(value, (dict, Mapping)):
        raise InvalidEvent(field, f"is {_kind(value)}; it must be a JSON object: a dict with str keys")
    if not value:  # most metadata
        return b"{}", {}
    return jsonb.dumps(value if isinstance(value, dict) else dict(value), field)


def _kind(value: Any) -> str:
    return "missing" if value is None else f"a {type(value).__name__}"

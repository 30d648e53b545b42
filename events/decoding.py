"""What a stored event becomes when it is read: the one place that every read passes.

The table keeps each event as it was written. A registered event type may have had other names, and its data other
schema versions; `decode` brings its events to the newest form. Nothing is registered here unless `events.domain`, or
another app, does so; then events without a registered type still stay as they are.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple, Protocol

from .exceptions import InvalidEvent, NewerEvent, UnreadableEvent
from .summaries import message, summary

# The key of the metadata with the schema version of the data; without it, the version is 1.
SCHEMA: Final = "$schema"
# The fields of an event that decoding needs together.
DECODED: Final = frozenset(("type", "data", "metadata"))


class EventType(Protocol):
    """A registered event type, as the store needs it.

    Attributes:
        name: its newest name.
        names: all names under which its events may be stored, the newest first.
        version: the newest version of its data, from 1 up.
    """

    @property
    def name(self) -> str: ...
    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def version(self) -> int: ...

    def to_data(self, payload: Any) -> dict[str, Any]:
        """Return the JSON data of a payload, or of data for one, in the form that a read returns.

        Raises:
            InvalidEvent: the payload is not valid; the error has the path to the field.
        """

    def to_payload(self, data: dict[str, Any]) -> Any:
        """Return the payload of data in the newest version.

        Raises:
            InvalidEvent: the data does not fit.
        """

    def upcast(self, data: dict[str, Any], version: int) -> dict[str, Any]:
        """Return data of an older version in the newest one; `data` stays as it is. Any exception may be raised."""


class Stored(NamedTuple):
    """What the table has of an event, with its schema version; None: it was not read."""

    type: str
    version: int | None
    data: Any
    metadata: Any


# By each of their names.
types: dict[str, EventType] = {}
_by_class: dict[type, EventType] = {}
REGISTRIES: Final = (types, _by_class)


def register(event_type: EventType, payload_class: type) -> None:
    """Decode the events of a type from now on, and accept its payloads in place of type and data."""
    for name in event_type.names:
        types[name] = event_type
    _by_class[payload_class] = event_type


def type_of(payload_class: type) -> EventType | None:
    """Return the event type with a payload class; None if the class is not registered."""
    return _by_class.get(payload_class)


def name_of(event_type: Any) -> Any:
    """Return the newest name of an event type: a payload class, or any name that the type has or had.

    Raises:
        InvalidEvent: it is a class that is not registered.
    """
    if isinstance(event_type, type):
        if found := _by_class.get(event_type):
            return found.name
        raise InvalidEvent(
            "event_type",
            f"the class {event_type.__qualname__} is not registered; derive it from DomainEvent, or mark it with"
            " @event_type",
        )
    known = types.get(event_type) if isinstance(event_type, str) else None
    return known.name if known else event_type


def names_of(event_type: str) -> tuple[str, ...]:
    """Return all names under which events of a type may be stored, the newest first."""
    known = types.get(event_type)
    return known.names if known else (event_type,)


def newest_names(event_types: Any) -> Any:
    """Return the names of a selection of types: one payload class, or a collection of classes and names; or None."""
    if isinstance(event_types, type):
        return [name_of(event_types)]
    if types and isinstance(event_types, Iterable) and not isinstance(event_types, str):
        return list(dict.fromkeys(name_of(each) for each in event_types))
    return event_types


def stored_names(event_types: Iterable[str | type[Any]]) -> list[str]:
    """Return all names under which the events of some types, given by name or payload class, may be stored.

    Raises:
        InvalidEvent: a class is not registered.
    """
    return list(dict.fromkeys(name for each in event_types for name in names_of(name_of(each))))


def encode(event_type: EventType, data: Any, metadata: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return the data and the metadata to store for a payload, or for data in the newest version.

    Raises:
        InvalidEvent: the data does not fit the type.
    """
    encoded = event_type.to_data(data)
    return encoded, metadata if event_type.version == 1 else {**metadata, SCHEMA: event_type.version}


def check_stored_form(event_type: EventType, data: Any, version: Any) -> None:
    """Check data that another store has stored in some version, and that must stay as it is.

    Raises:
        InvalidEvent: the data does not fit the type in this version, or this code does not know the version.
    """
    try:
        event_type.to_payload(_upcast(event_type, data, version))
    except InvalidEvent:
        raise
    except Exception as error:
        raise InvalidEvent("data", f"in schema version {version} cannot be read: {_reason(error)}") from error


def normalized(event_type: str, data: Any) -> Any:
    """Return data in the newest version as an append would store it today; as it is if it does not fit."""
    known = types.get(event_type)
    try:
        return known.to_data(data) if known else data
    except InvalidEvent:
        return data


def decode(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Bring rows, each with the values of an event by attribute, to their newest form.

    A row that changes has what was stored as `_stored`. This never raises: a row that cannot be read has no `data`,
    the reason as `unreadable`, and the error as `_error`.
    """
    for row in rows:
        event_type = types.get(row["type"])
        if event_type is not None:
            _decode(row, event_type)
        yield row


def decode_partial(row: dict[str, Any]) -> None:
    """Decode a row that may lack values, which are read later: the type, the data and the metadata belong together."""
    if "type" not in row:
        row.pop("data", None)
        row.pop("metadata", None)
        return
    event_type = types.get(row["type"])
    if event_type is None:
        return
    if "data" in row and "metadata" in row:
        _decode(row, event_type)
        return
    row.pop("data", None)
    row.pop("metadata", None)
    if row["type"] != event_type.name:
        row["_stored"] = Stored(row["type"], None, None, None)
        row["type"] = event_type.name


def may_change(event_type: str, metadata: str) -> bool:
    """Return whether `decode` may change an event of a type with this JSON text as its metadata."""
    known = types.get(event_type)
    return known is not None and (known.version > 1 or event_type != known.name or SCHEMA in metadata)


def payload(event_type: str, data: Any) -> Any:
    """Return the payload of a decoded event: an object of its class; without a registered type, its data.

    Raises:
        InvalidEvent: the data does not fit the class.
    """
    known = types.get(event_type)
    return data if known is None else known.to_payload(data)


def _decode(row: dict[str, Any], event_type: EventType) -> None:
    data, metadata = row["data"], row["metadata"]
    version = metadata.get(SCHEMA, 1) if metadata else 1
    is_newest = version == event_type.version and version.__class__ is int
    if is_newest and row["type"] == event_type.name:
        return
    row["_stored"] = Stored(row["type"], version, data, metadata)
    row["type"] = event_type.name
    if is_newest or data is None or metadata is None:  # None: Python cannot represent it
        return
    try:
        row["data"] = _upcast(event_type, data, version)
        row["metadata"] = {**metadata, SCHEMA: event_type.version}
    except Exception as error:
        kind = NewerEvent if _is_version(version) and version > event_type.version else UnreadableEvent
        stored = row["_stored"]
        reason = f"{stored.type} in schema version {version}: {_reason(error)}"
        found = kind(row["position"], row.get("event_id"), reason, type=stored.type, version=version)
        found.__cause__ = error if kind is UnreadableEvent and not isinstance(error, InvalidEvent) else None
        row["_error"], row["unreadable"] = found, reason
        del row["data"]


def _upcast(event_type: EventType, data: Any, version: Any) -> dict[str, Any]:
    if not _is_version(version):
        raise InvalidEvent(f"metadata.{SCHEMA}", f"is {version!r}; it must be a whole number from 1 up")
    if version > event_type.version:
        raise InvalidEvent(
            f"metadata.{SCHEMA}",
            f"is {version}, and this code knows {event_type.name} up to version {event_type.version}; deploy the newer"
            " code first",
        )
    return data if version == event_type.version else event_type.upcast(data, version)


def _is_version(version: Any) -> bool:
    return version.__class__ is int and version >= 1


def _reason(error: Exception) -> str:
    return message(error) if isinstance(error, InvalidEvent) else summary(error)

"""Conversion between events and CloudEvents 1.0 in JSON (https://github.com/cloudevents/spec, formats/json-format.md).

`subject` is the aggregate id, `data` the data, `time` the timestamp. `sequence`, `recordedtime`, `correlationid` and
`causationid` are documented extensions of CloudEvents; `aggregateversion` and `eventmetadata`, the metadata as JSON
text, are extensions of this project.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

from events.conf import conf
from events.exceptions import InvalidEvent
from events.models import Event
from events.storage import identity
from events.types import NewEvent, ReceivedEvent
from events.uri import is_uri, is_uri_reference

from . import cloudevent_data
from .serialization import UNREADABLE, from_json, moment, shown, to_json

MEDIA_TYPE = "application/cloudevents+json"
BATCH_MEDIA_TYPE = "application/cloudevents-batch+json"

# The metadata key for attributes of a CloudEvent that have no field in an event.
KEPT = "cloudevent"
_CORRELATION = {"correlationid": "correlation_id", "causationid": "causation_id"}
_OURS = ("sequence", "recordedtime", "aggregateversion", UNREADABLE)  # computed from the stored event
# What strings of CloudEvents may not contain: control characters, lone surrogates, noncharacters.
_NO_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_FIELDS = ("specversion", "id", "type", "subject", "time", "datacontenttype", "data", "data_base64", "eventmetadata")


def from_event(event: Event) -> dict[str, Any]:
    """Return a stored event as a CloudEvent.

    An event that is marked as unreadable has the reason as the extension `unreadable`, and lacks what cannot be read.
    """
    metadata = dict(event.metadata or {})
    kept = _kept(metadata.pop(KEPT, None))
    kind = kept.pop("datacontenttype", cloudevent_data.JSON)
    attributes = {
        "specversion": "1.0",
        "id": str(event.event_id),
        "source": conf.cloudevents_source,
        "type": event.type,
        "subject": event.aggregate_id,
        "time": event.timestamp and event.timestamp.isoformat(),
        **kept,
        "sequence": f"{event.position:019}",  # a fixed length, because receivers compare it as text
        "recordedtime": event.recorded_at and event.recorded_at.isoformat(),
        "aggregateversion": str(event.version),
    }
    for name, key in _CORRELATION.items():
        if isinstance(metadata.get(key), str) and metadata[key]:
            with suppress(InvalidEvent):
                attributes[name] = _attribute(name, metadata[key])
                del metadata[key]
    if metadata:
        attributes["eventmetadata"] = to_json(metadata).decode()
    if event.unreadable:
        attributes = {name: value for name, value in attributes.items() if value is not None}
        attributes[UNREADABLE] = event.unreadable
    return {**attributes, **cloudevent_data.from_object(event.readable_data, kind)}


def to_new_event(content: Any, using: str, *, aggregate_id: str | None = None) -> NewEvent:
    """Return a CloudEvent as a new event.

    If its source is this store's, the event keeps its id. Otherwise the store derives the event id from source and id.
    Attributes without a field in an event (source, id, dataschema, extensions) are kept in the metadata, and
    `from_event` returns them.

    Args:
        using: the alias of the database, whose secret the derived id depends on.
        aggregate_id: the aggregate, if the CloudEvent may have no subject.

    Raises:
        InvalidEvent: it is not a CloudEvent, or cannot be stored.
    """
    if not isinstance(content, Mapping):
        raise InvalidEvent("event", "must be a CloudEvent: a JSON object")
    content = {name: value for name, value in content.items() if value is not None}  # null stands for no attribute
    if content.get("specversion") != "1.0":
        raise InvalidEvent("specversion", f'is {shown(content.get("specversion"))}; it must be "1.0"')
    for name in ("id", "source", "type"):
        if not isinstance(content.get(name), str) or not content[name]:
            raise InvalidEvent(name, "must be a non-empty string in a CloudEvent")
    subject = content.get("subject", aggregate_id)
    if aggregate_id is not None and subject != aggregate_id:
        raise InvalidEvent("subject", f"is {shown(subject)}, but {aggregate_id!r} in the address; leave it out")
    if subject is None:
        raise InvalidEvent("subject", "is missing; it is the aggregate id")
    if not isinstance(subject, str):
        raise InvalidEvent("subject", f"is {shown(subject)}; it must be a string")
    data = cloudevent_data.to_object(content)
    if not isinstance(data, Mapping):
        raise InvalidEvent("data", f"is {shown(data)}; it must be an object")
    return ReceivedEvent(
        subject,
        content["type"],
        data,
        moment("time", content["time"]) if "time" in content else None,
        metadata=_metadata(content),
        event_id=_event_id(content["source"], content["id"], using),
    )


def _metadata(content: Mapping[str, Any]) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    if "eventmetadata" in content:
        try:
            metadata = from_json(content["eventmetadata"])
        except (TypeError, ValueError):
            metadata = {}
        if not isinstance(metadata, dict):
            metadata = {}
        if not metadata:
            raise InvalidEvent("eventmetadata", "must be the text of a non-empty JSON object")
        if KEPT in metadata:
            raise InvalidEvent("eventmetadata", f"has the reserved key {KEPT!r}; send its content as attributes")
    kept = {}
    for name, value in content.items():
        if name in _CORRELATION:
            metadata[_CORRELATION[name]] = _attribute(name, value)
        elif name == "id" or (name not in _FIELDS and name not in _OURS):
            kept[name] = _attribute(name, value)
    if (kind := cloudevent_data.kind_of(content)) != cloudevent_data.JSON:
        kept["datacontenttype"] = _attribute("datacontenttype", kind)
    if _is_own(content["source"], content["id"]):
        del kept["source"], kept["id"]
    return {**metadata, KEPT: kept} if kept else metadata


def _kept(attributes: Any) -> dict[str, Any]:
    """Return the valid attributes of a CloudEvent in the metadata, where any caller may have written others."""
    if not isinstance(attributes, dict):
        return {}
    kept = {}
    for name, value in attributes.items():
        if name in ("id", "source", "datacontenttype") or name not in (*_FIELDS, *_OURS, *_CORRELATION):
            with suppress(InvalidEvent):
                kept[name] = _attribute(name, value)
    # No event pretends to be another one of this store.
    if kept.get("source", conf.cloudevents_source) == conf.cloudevents_source:
        kept.pop("source", None)
        kept.pop("id", None)
    return kept


def _attribute(name: str, value: Any) -> Any:
    if name not in ("id", "source", "dataschema") and not re.fullmatch("[a-z0-9]{1,50}", name):
        raise InvalidEvent(name, "is not a valid attribute name; use 1 to 50 lower-case letters and digits")
    if not isinstance(value, (str, bool)) and not (type(value) is int and -(2**31) <= value < 2**31):
        raise InvalidEvent(name, "must be a string, a boolean or a 32-bit integer in a CloudEvent")
    if isinstance(value, str) and not value.isprintable() and _NO_TEXT.search(value):
        raise InvalidEvent(name, "contains a control character or a lone surrogate, which a CloudEvent may not have")
    if name == "source" and not (isinstance(value, str) and is_uri_reference(value)):
        raise InvalidEvent(name, f"is {shown(value)}; give a URI reference such as https://shop.example or /shops/7")
    if name == "dataschema" and not (isinstance(value, str) and is_uri(value)):
        raise InvalidEvent(name, f"is {shown(value)}; give a URI such as https://shop.example/schemas/placed")
    return value


def _event_id(source: str, text: str, using: str) -> UUID:
    return UUID(text) if _is_own(source, text) else identity.derived_id(using, "cloudevent", source, text)


def _is_own(source: str, text: str) -> bool:
    """Return whether a CloudEvent comes from this store.

    Raises:
        InvalidEvent: its source is this store's, but its id is not an event id.
    """
    if source != conf.cloudevents_source:
        return False
    with suppress(ValueError):
        if str(UUID(text)) == text:
            return True
    raise InvalidEvent(
        "id", f"is {shown(text)}, but the source is this store's, whose ids are UUIDs; send your own source"
    )

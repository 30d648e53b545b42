"""Events as CloudEvents 1.0 in JSON, and back (https://github.com/cloudevents/spec, formats/json-format.md).

`subject` is the aggregate id, `data` the data, `time` the timestamp. The extensions `sequence`, `recordedtime`,
`correlationid` and `causationid` are listed beside the specification; `aggregateversion` and `eventmetadata`, the
metadata as JSON text, are ours.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from events.conf import conf
from events.exceptions import InvalidEvent
from events.jsonb import loads
from events.models import Event
from events.types import NewEvent

from .serialization import moment, to_json
from .uri import is_uri, is_uri_reference

MEDIA_TYPE = "application/cloudevents+json"
BATCH_MEDIA_TYPE = "application/cloudevents-batch+json"

# Where the attributes of a CloudEvent that no field of ours holds are kept, in the metadata.
KEPT = "cloudevent"
_CORRELATION = {"correlationid": "correlation_id", "causationid": "causation_id"}
_OURS = ("sequence", "recordedtime", "aggregateversion")  # made anew when the event is given out
_FIELDS = ("specversion", "id", "type", "subject", "time", "datacontenttype", "data", "eventmetadata")


def from_event(event: Event) -> dict[str, Any]:
    """Return a stored event as a CloudEvent."""
    metadata = dict(event.metadata)
    kept = _kept(metadata.pop(KEPT, None))
    attributes = {
        "specversion": "1.0",
        "id": str(event.event_id),
        "source": conf.cloudevents_source,
        "type": event.type,
        "subject": event.aggregate_id,
        "time": event.timestamp.isoformat(),
        "datacontenttype": "application/json",
        **kept,
        "sequence": f"{event.position:019}",  # of one length: it is compared as text
        "recordedtime": event.recorded_at.isoformat(),
        "aggregateversion": str(event.version),
    }
    for name, key in _CORRELATION.items():
        if isinstance(metadata.get(key), str) and metadata[key]:
            attributes[name] = metadata.pop(key)
    if metadata:
        attributes["eventmetadata"] = to_json(metadata).decode()
    return {**attributes, "data": event.data}


def to_new_event(content: Any, *, aggregate_id: str | None = None) -> NewEvent:
    """Return the new event that a CloudEvent stands for.

    An event of our own source keeps its id; for others one is made from source and id, the same for the same event.
    What has no field of ours (source, id, dataschema, extensions) is kept in the metadata, and given out again.

    Args:
        aggregate_id: the aggregate it belongs to, when the subject need not say it.

    Raises:
        InvalidEvent: it is no CloudEvent, or one that cannot be stored.
    """
    if not isinstance(content, Mapping):
        raise InvalidEvent("event", "must be a CloudEvent: a JSON object")
    if content.get("specversion") != "1.0":
        raise InvalidEvent("specversion", f'is {content.get("specversion")!r}; it must be "1.0"')
    for name in ("id", "source", "type"):
        if not isinstance(content.get(name), str) or not content[name]:
            raise InvalidEvent(name, "must be a string that is not empty, as CloudEvents demand")
    subject = content.get("subject", aggregate_id)
    if aggregate_id is not None and subject != aggregate_id:
        raise InvalidEvent("subject", f"is {subject!r}, but {aggregate_id!r} in the address; leave it out")
    if subject is None:
        raise InvalidEvent("subject", "is missing; it is the aggregate id")
    return NewEvent(
        subject,
        content["type"],
        _data(content),
        None if content.get("time") is None else moment("time", content["time"]),
        metadata=_metadata(content),
        event_id=_event_id(content["source"], content["id"]),
    )


def _data(content: Mapping[str, Any]) -> Any:
    if "data_base64" in content:
        raise InvalidEvent("data_base64", "holds bytes; the data of an event is a JSON object, in `data`")
    kind = content.get("datacontenttype", "application/json")
    if not isinstance(kind, str) or not re.fullmatch(r"[^/;\s]+/(?:[^;\s]+\+)?json\s*(?:;.*)?", kind, re.IGNORECASE):
        raise InvalidEvent("datacontenttype", f"is {kind!r}; the data of an event is JSON")
    return {} if content.get("data") is None else content["data"]


def _metadata(content: Mapping[str, Any]) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    if "eventmetadata" in content:
        try:
            metadata = loads(content["eventmetadata"])
        except (TypeError, ValueError):
            metadata = {}
        if not isinstance(metadata, dict):
            metadata = {}
        if not metadata:
            raise InvalidEvent("eventmetadata", "must be the text of a JSON object that is not empty")
    kept = {}
    for name, value in content.items():
        if name in _CORRELATION:
            metadata[_CORRELATION[name]] = _attribute(name, value)
        elif name == "id" or (name not in _FIELDS and name not in _OURS):
            kept[name] = _attribute(name, value)
    if _is_own(content["source"], content["id"]):
        del kept["source"], kept["id"]
    return {**metadata, KEPT: kept} if kept else metadata


def _kept(attributes: Any) -> dict[str, Any]:
    """Return what was kept of a CloudEvent, as far as it is that: anybody may have written into the metadata."""
    if not isinstance(attributes, dict):
        return {}
    kept = {}
    for name, value in attributes.items():
        if name in ("id", "source") or name not in (*_FIELDS, *_OURS, *_CORRELATION, "data_base64"):
            with suppress(InvalidEvent):
                kept[name] = _attribute(name, value)
    return kept


def _attribute(name: str, value: Any) -> Any:
    if name not in ("id", "source", "dataschema") and not re.fullmatch("[a-z0-9]{1,50}", name):
        raise InvalidEvent(name, "is no name of an attribute; those are lower-case letters and digits, 50 at most")
    if not isinstance(value, (str, bool)) and not (type(value) is int and -(2**31) <= value < 2**31):
        raise InvalidEvent(name, "must be a string, a boolean or an integer of 32 bits, as CloudEvents demand")
    if name == "source" and not (isinstance(value, str) and is_uri_reference(value)):
        raise InvalidEvent(name, f"is {value!r}, which is no URI reference, such as https://shop.example or /shops/7")
    if name == "dataschema" and not (isinstance(value, str) and is_uri(value)):
        raise InvalidEvent(name, f"is {value!r}, which is no URI, such as https://shop.example/schemas/placed")
    return value


def _event_id(source: str, text: str) -> UUID:
    return UUID(text) if _is_own(source, text) else uuid5(NAMESPACE_URL, f"{source} {text}")


def _is_own(source: str, text: str) -> bool:
    """Whether it is an event of this store: only source and id together say which one a CloudEvent is."""
    try:
        return source == conf.cloudevents_source and str(UUID(text)) == text
    except ValueError:
        return False

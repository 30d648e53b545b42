"""Appending over HTTP: the events of a request and what it expects, and its repetition recognized."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from rest_framework.request import Request

from events.exceptions import DuplicateEvent, InvalidEvent, VersionConflict
from events.formats import cloudevents
from events.formats.serialization import new_event_from_dict, uuid8
from events.models import Event
from events.store import DispatchResult
from events.types import ANY, EXISTS, Expectation, ExpectedVersion, NewEvent

from . import preconditions
from .problems import IdempotencyKeyReused, PreconditionFailed
from .views.base import StoreView


@dataclass(frozen=True)
class AppendRequest:
    """What a request wants appended.

    Attributes:
        expected_version: as `dispatch` takes it.
        in_header: whether the expectation came as a header.
        keyed: the ids that were made from the idempotency key, by index; and the one that a further event would have.
    """

    events: list[NewEvent]
    expected_version: ExpectedVersion
    in_header: bool
    keyed: Mapping[int, UUID]


def read(request: Request, aggregate_id: str | None = None) -> AppendRequest:
    """Return what the request wants appended, to one aggregate or to those that its events name.

    Raises:
        InvalidEvent: the body, a header or an event cannot be taken as it is.
    """
    contents, in_body = _cloudevents(request) if _has_cloudevents(request) else _envelope(request.data)
    in_header = preconditions.expectation(request)
    if aggregate_id is None and in_header is not None:
        raise InvalidEvent("If-Match", "names no aggregate at this address; say expected_version in the body")
    ids = _ids(request, len(contents))
    events, keyed = [], dict(enumerate(ids))
    for index, content in enumerate(contents):
        event, is_named = _new_event(request, content, index, aggregate_id)
        if is_named:
            keyed.pop(index, None)
        events.append(replace(event, event_id=keyed[index]) if index in keyed else event)
    expected = _expected(in_header, in_body)
    if aggregate_id is not None:
        if isinstance(expected, Mapping):
            raise InvalidEvent("expected_version", "is an object; give the version of the one aggregate in the address")
        expected = {aggregate_id: expected}
    return AppendRequest(events, expected, in_header is not None, keyed)


def append(view: StoreView, wanted: AppendRequest) -> DispatchResult:
    """Append it, or find out that it was appended before.

    Raises:
        PreconditionFailed: the expectation of a header does not hold.
        IdempotencyKeyReused: the key came with other events before.
        VersionConflict, DuplicateEvent, InvalidEvent: as `dispatch` has them.
    """
    keyed_ids = set(wanted.keyed.values())
    try:
        stored = view.store.dispatch(*wanted.events, expected_version=wanted.expected_version)
    except VersionConflict as conflict:
        expected = wanted.expected_version
        if wanted.in_header and isinstance(expected, Mapping) and conflict.aggregate_id in expected:
            raise PreconditionFailed(conflict) from None
        raise
    except DuplicateEvent as error:
        if error.event_id in keyed_ids:
            raise IdempotencyKeyReused from None
        if error.aggregate_id is not None and not view.readable.contains(error.aggregate_id):
            # Of a category that the user may know nothing of.
            raise DuplicateEvent(error.event_id, None, f"the event id {error.event_id} is in use already") from None
        raise
    if stored.is_retry and wanted.keyed and not _is_repetition(wanted, stored, view.store.using):
        raise IdempotencyKeyReused
    return stored


def _has_cloudevents(request: Request) -> bool:
    return (request.content_type or "").startswith("application/cloudevents")


def _cloudevents(request: Request) -> tuple[list[Any], None]:
    """Return the CloudEvents of a body, which expects nothing: that is for headers."""
    contents: Any = request.data
    if not (request.content_type or "").startswith(cloudevents.BATCH_MEDIA_TYPE):
        contents = [contents]
    if not isinstance(contents, list):
        raise InvalidEvent("body", "must be a list of CloudEvents")
    return contents, None


def _envelope(body: Any) -> tuple[list[Any], Any]:
    """Return the events of a body, which lists them under `events`, or as a whole, or is one; and its expectation."""
    if isinstance(body, list):
        return body, None
    if not isinstance(body, dict):
        raise InvalidEvent("events", "must be a list of events")
    content = {name: value for name, value in body.items() if name != "expected_version"}
    in_body = body.get("expected_version")
    if "expected_version" in body and in_body is None:
        raise InvalidEvent("expected_version", 'is null; give a version from 0 up, "exists" or "any"')
    if "events" not in content:
        return [content], in_body
    if len(content) > 1:
        raise InvalidEvent("events", "stands beside other fields; put each event's fields into the list")
    if not isinstance(content["events"], list):
        raise InvalidEvent("events", "must be a list of events")
    return content["events"], in_body


def _new_event(request: Request, content: Any, index: int, aggregate_id: str | None) -> tuple[NewEvent, bool]:
    """Return an event of the body, and whether it came with an id."""
    try:
        if _has_cloudevents(request):
            return cloudevents.to_new_event(content, aggregate_id=aggregate_id), True
        known = {} if aggregate_id is None else {"aggregate_id": aggregate_id}
        return new_event_from_dict(content, **known), content.get("event_id") is not None
    except InvalidEvent as error:
        raise InvalidEvent(error.field, error.reason, index) from None


def _expected(in_header: int | Expectation | None, in_body: Any) -> ExpectedVersion:
    if in_body is None:
        return ANY if in_header is None else in_header
    if isinstance(in_body, dict):
        wanted: Any = {aggregate_id: _expectation(each) for aggregate_id, each in in_body.items()}
    else:
        wanted = _expectation(in_body)
    if in_header is not None and in_header != wanted:
        raise InvalidEvent("expected_version", "differs from that of the header; send one of the two")
    expected: ExpectedVersion = wanted
    return expected


def _expectation(value: Any) -> int | Expectation:
    if isinstance(value, str) and value in ("any", "exists"):
        return ANY if value == "any" else EXISTS
    if type(value) is not int or not 0 <= value < 2**63:
        raise InvalidEvent("expected_version", f'is {value!r}; give a version from 0 up, "exists" or "any"')
    return value


def _ids(request: Request, count: int) -> list[UUID]:
    """Return ids made from the idempotency key, for `count` events and one more; none without a key.

    They are the same whenever the same user sends the same key to the same address, and nobody else's: so the store
    itself recognizes the repetition, for ever, without a table of keys.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return []
    # The header is a string in quotes by its draft standard; most clients send it bare.
    bare = key[1:-1] if len(key) > 1 and key[0] == key[-1] == '"' else key
    if not re.fullmatch(r"[!-~](?:[ -~]{0,253}[!-~])?", bare):
        raise InvalidEvent("Idempotency-Key", "must have 1 to 255 printable ASCII characters, such as a UUID")
    scope = [str(request.user.pk), request.path, bare]
    return [uuid8(hashlib.sha256(json.dumps([*scope, index]).encode()).digest()) for index in range(count + 1)]


def _is_repetition(wanted: AppendRequest, stored: DispatchResult, using: str) -> bool:
    """Return whether the events under the key are those of this request: the same number, with the same content."""
    if Event.objects.using(using).filter(event_id=wanted.keyed[len(wanted.events)]).exists():
        return False
    return all(
        (new.type, new.data, new.metadata) == (event.type, event.data, event.metadata)
        and new.timestamp in (None, event.timestamp)
        for new, event in zip(wanted.events, stored, strict=True)
    )

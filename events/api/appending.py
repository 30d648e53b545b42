"""Appends over HTTP: the events and expectations of a request, and the detection of repeated requests."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request

from events import client_errors
from events.authorization import may_be_sent
from events.conf import conf
from events.context import KEYS, enforced, is_active
from events.exceptions import DuplicateEvent, InvalidEvent, VersionConflict
from events.formats import cloudevent_data, cloudevents
from events.formats.serialization import new_event_from_dict, shown
from events.models import Event
from events.setting_kinds import ALL, NONE
from events.storage import retries
from events.storage.identity import derived_id
from events.store import DispatchResult
from events.types import ANY, EXISTS, MAX_BIGINT, Expectation, ExpectedVersion, NewEvent
from events.validation import check_count

from . import cloudevent_headers, idempotency, preconditions
from .base import StoreView
from .problems import IdempotencyKeyReused, PreconditionFailed


@dataclass(frozen=True)
class AppendRequest:
    """The events and expectations of a request.

    Attributes:
        expected_version: the argument of `dispatch`.
        in_header: whether a header has the expectation.
        key_ids: the event ids from the idempotency key, by index, and the id that one more event would have.
        unused_ids: the ids from the key that the request leaves out, because its events have ids of their own.
    """

    events: Sequence[NewEvent]
    expected_version: ExpectedVersion
    in_header: bool
    key_ids: Mapping[int, UUID]
    unused_ids: Collection[UUID] = ()


def read(view: StoreView, aggregate_id: str | None = None) -> AppendRequest:
    """Return the events and expectations of a request, for one aggregate or for those that its events name.

    Raises:
        InvalidEvent: the body, a header or an event is not valid.
    """
    request, using = view.request, view.store.using
    as_cloudevents = _has_cloudevents(request)
    contents, in_body = _cloudevents(request) if as_cloudevents else _envelope(request.data)
    check_count("events", len(contents))
    if aggregate_id is None:
        own = "append to the aggregate's own address"
        preconditions.reject(request, own if as_cloudevents else "send expected_version in the body")
    in_header = preconditions.expectation(request)
    from_key = _ids_from_key(request, len(contents), using)
    events, key_ids = [], dict(enumerate(from_key))
    for index, content in enumerate(contents):
        event, has_id = _new_event(content, index, aggregate_id, using if as_cloudevents else None)
        if has_id:
            key_ids.pop(index, None)
        events.append(replace(event, event_id=key_ids[index]) if index in key_ids else event)
    expected = _expected(in_header, in_body)
    if aggregate_id is not None:
        if isinstance(expected, Mapping):
            raise InvalidEvent("expected_version", "is an object; give the version of the aggregate in the URL")
        expected = {aggregate_id: expected}
    unused = set(from_key) - {event.event_id for event in events} if len(key_ids) < len(from_key) else ()
    check_open([event.type for event in events])
    return AppendRequest(enforced(events), expected, in_header is not None, key_ids, unused)


def check_open(event_types: Collection[Any] | None) -> None:
    """Check that `EVENTS_APPEND_OVER_HTTP` lets a request store events of some types; None: of any types.

    Raises:
        PermissionDenied: it does not.
    """
    if conf.append_over_http == NONE:
        raise PermissionDenied("Events cannot be appended over HTTP here (EVENTS_APPEND_OVER_HTTP); use a command")
    if event_types is None and conf.append_over_http != ALL:
        raise PermissionDenied("Events cannot be imported over HTTP here (EVENTS_APPEND_OVER_HTTP)")
    for event_type in event_types or ():
        if not may_be_sent(event_type):
            raise PermissionDenied(
                f"The event type {shown(event_type)} is not registered, and only registered types can be appended over"
                " HTTP here (EVENTS_APPEND_OVER_HTTP)"
            )


def append(view: StoreView, append_request: AppendRequest) -> DispatchResult:
    """Append the events of a request, or return the events of a repeated request.

    Raises:
        PreconditionFailed: the expectation of a header does not hold.
        IdempotencyKeyReused: an earlier request with the key had other events.
        VersionConflict, DuplicateEvent, InvalidEvent: see `dispatch`.
    """
    expected, unused = append_request.expected_version, append_request.unused_ids
    if unused and Event.objects.using(view.store.using).filter(event_id__in=unused).exists():
        raise IdempotencyKeyReused
    try:
        with client_errors.shown(view.request.user, named=_named(append_request)):
            stored = view.store.dispatch(*append_request.events, expected_version=expected)
    except VersionConflict as conflict:
        if append_request.in_header and isinstance(expected, Mapping) and conflict.aggregate_id in expected:
            raise PreconditionFailed(conflict) from None
        raise
    except DuplicateEvent as error:
        if error.event_id in append_request.key_ids.values():
            raise IdempotencyKeyReused from None
        raise
    if stored.is_retry and append_request.key_ids and not _is_repetition(append_request, stored, view.store.using):
        raise IdempotencyKeyReused
    return stored


def _named(append_request: AppendRequest) -> Collection[str]:
    """Return the aggregates that a request names."""
    expected = append_request.expected_version
    named = {event.aggregate_id for event in append_request.events if isinstance(event.aggregate_id, str)}
    return named.union(expected) if isinstance(expected, Mapping) else named


def _has_cloudevents(request: Request) -> bool:
    return cloudevent_headers.is_structured(request) or cloudevent_headers.is_binary(request)


def _cloudevents(request: Request) -> tuple[list[Any], None]:
    """Return the CloudEvents of a request, and no expectation, which only headers can have."""
    contents: Any = request.data
    if cloudevent_headers.is_binary(request):
        in_headers = cloudevent_headers.attributes(request)
        body = cloudevent_data.from_body(contents or b"", in_headers.get("datacontenttype", ""))
        return [{**in_headers, **body}], None
    if not (request.content_type or "").startswith(cloudevents.BATCH_MEDIA_TYPE):
        contents = [contents]
    if not isinstance(contents, list):
        raise InvalidEvent("body", "must be a list of CloudEvents")
    return contents, None


def _envelope(body: Any) -> tuple[list[Any], Any]:
    """Return the events and the expectation of a body: an object with `events`, a list of events, or one event."""
    if isinstance(body, list):
        return body, None
    if not isinstance(body, dict):
        raise InvalidEvent("events", "must be a list of events")
    content = {name: value for name, value in body.items() if name != "expected_version"}
    in_body = body.get("expected_version")
    if "expected_version" in body and in_body is None:  # not absent, because an append without its guard is another one
        raise InvalidEvent("expected_version", 'is null; give a version from 0 up, "exists" or "any"')
    if content.get("events") is None:
        content.pop("events", None)
        return [content], in_body
    if len(content) > 1:
        raise InvalidEvent("events", "cannot go with other fields; put the fields of each event into the list")
    if not isinstance(content["events"], list):
        raise InvalidEvent("events", "must be a list of events")
    return content["events"], in_body


def _new_event(content: Any, index: int, aggregate_id: str | None, cloudevents_of: str | None) -> tuple[NewEvent, bool]:
    """Return an event of the body, and whether it has an id; a CloudEvent gets an id of the store `cloudevents_of`."""
    try:
        if cloudevents_of is not None:
            return cloudevents.to_new_event(content, cloudevents_of, aggregate_id=aggregate_id), True
        known = {} if aggregate_id is None else {"aggregate_id": aggregate_id}
        return new_event_from_dict(content, **known), content.get("event_id") is not None
    except InvalidEvent as error:
        raise InvalidEvent(error.field, error.reason, index) from None


def _expected(in_header: int | Expectation | None, in_body: Any) -> ExpectedVersion:
    if in_body is None:
        return ANY if in_header is None else in_header
    if isinstance(in_body, dict):
        expected: ExpectedVersion = {aggregate_id: _expectation(each) for aggregate_id, each in in_body.items()}
    else:
        expected = _expectation(in_body)
    if in_header is not None and in_header != expected:
        raise InvalidEvent("expected_version", "differs from the version in the header; send one of the two")
    return expected


def _expectation(value: Any) -> int | Expectation:
    if isinstance(value, str) and value in ("any", "exists"):
        return ANY if value == "any" else EXISTS
    if type(value) is not int or not 0 <= value <= MAX_BIGINT:
        raise InvalidEvent("expected_version", f'is {shown(value)}; give a version from 0 up, "exists" or "any"')
    return value


def _ids_from_key(request: Request, count: int, using: str) -> list[UUID]:
    """Return event ids from the idempotency key, for `count` events and one more; none without a key.

    The ids depend on the user, the key, the URL and the secret of the store. So nobody else can use them first, and the
    store itself recognizes a repeated request at any later time, without a table of keys.
    """
    key = idempotency.key(request)
    if key is None:
        return []
    return [derived_id(using, "idempotency key", key.user, request.path, key.text, index) for index in range(count + 1)]


def _is_repetition(append_request: AppendRequest, stored: DispatchResult, using: str) -> bool:
    """Return whether the stored events of the key have the same number and content as those of the request."""
    new_events = append_request.events
    if Event.objects.using(using).filter(event_id=append_request.key_ids[len(new_events)]).exists():
        return False
    fields = ("type", "data", "metadata", "timestamp")
    # The context of a repeated request is another one.
    ignored = KEYS if is_active() else ()
    return not any(
        retries.differences(new, event, fields, ignored_metadata=ignored)
        for new, event in zip(new_events, stored, strict=True)
    )

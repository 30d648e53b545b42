"""The context of a request or a task: values that every event dispatched in it has as metadata.

A context belongs to a thread or to an asyncio task. It is never seen by another one that has not copied it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from .exceptions import InvalidEvent
from .models import Event
from .types import NewEvent
from .validation import check_name

__all__ = ["caused_by", "current_context", "event_context"]

KEYS: Final = ("correlation_id", "causation_id", "user", "traceparent")
"""The keys of the metadata that a context sets."""

# The values by key; those that are absent are not set. The user may be a function, which is called at each dispatch.
Values = Mapping[str, Any]
_active: ContextVar[Values | None] = ContextVar("events_context", default=None)
_UNCHANGED: Final = nullcontext()

# W3C Trace Context: version, trace id, span id, flags. Later versions may append fields; there is no version ff.
_IDS: Final = r"-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
_TRACEPARENT: Final = re.compile(rf"00{_IDS}|(?!00|ff)[0-9a-f]{{2}}{_IDS}(?:-[!-~]{{0,199}})?")


@contextmanager
def event_context(
    *,
    correlation_id: str | None = None,
    causation_id: UUID | str | None = None,
    user: Any = None,
    traceparent: str | None = None,
) -> Iterator[None]:
    """Set the metadata of every event that is dispatched in the `with` block, unless the event has its own values.

    A block inside another one inherits the values that are None.

    Args:
        correlation_id: the id that all events of one flow share.
        causation_id: the id of the event that leads to the events of the block.
        user: a user, whose primary key is stored as text; or that text itself, an integer or a UUID; or a function
            that returns one of these, and that each dispatch calls. A user without a primary key, such as
            `AnonymousUser`, and a function that returns None stand for no user.
        traceparent: the trace, as in the header of W3C Trace Context.

    Raises:
        InvalidEvent: a value is no text of 1 to 255 characters without control characters, `user` is none of the
            above, or `traceparent` has another form. A function that returns an invalid user makes the dispatch raise.
    """
    given: dict[str, Any] = {}
    if correlation_id is not None:
        check_name("correlation_id", correlation_id)
        given["correlation_id"] = correlation_id
    if causation_id is not None:
        given["causation_id"] = str(causation_id) if isinstance(causation_id, UUID) else causation_id
        check_name("causation_id", given["causation_id"])
    if user is not None:
        given["user"] = user if callable(user) else _user_id(user)
    if traceparent is not None:
        if not is_traceparent(traceparent):
            reason = "give one of W3C Trace Context: 00-<32 hexadecimal digits>-<16 digits>-<2 digits>, in lower case"
            raise InvalidEvent("traceparent", f"is {traceparent!r:.300}; {reason}")
        given["traceparent"] = traceparent
    with activated({**(_active.get() or {}), **given}):
        yield


def caused_by(event: Event) -> AbstractContextManager[None]:
    """Set the metadata of every event that is dispatched in the `with` block because of the stored `event`.

    Their correlation id is that of `event`, and their causation id is its id. If `event` has no correlation id, it is
    the first event of a flow, and its id is the correlation id of the others. All else is inherited.

    The handlers of an event run in such a block if a context is active or the event has a correlation id.
    """
    event_id = str(event.event_id)
    given = {"correlation_id": _flow_of(event, event_id), "causation_id": event_id}
    return activated({**(_active.get() or {}), **given})


def current_context() -> dict[str, str]:
    """Return the values that a dispatch would set now: arguments of `event_context`; empty if no context is active.

    They are texts, to be passed on to another process.
    """
    values = _active.get()
    if values is None:
        return {}
    known = {key: value for key, value in values.items() if key != "user"}
    user = values.get("user")
    if callable(user):
        with activated(known):  # the function may dispatch events, too, and would be called again without end
            user = _user_id(user())
    return known if user is None else {**known, "user": user}


def is_traceparent(value: Any) -> bool:
    """Return whether `value` has the form of the header `traceparent`; its trace id is then `value[3:35]`."""
    return isinstance(value, str) and _TRACEPARENT.fullmatch(value) is not None


def is_active() -> bool:
    """Return whether a context is active."""
    return _active.get() is not None


def captured() -> Values | None:
    """Return the active context for a later call of `activated`; None if no context is active."""
    return _active.get()


class activated:  # noqa: N801  # a context manager; one of contextlib takes twice as long, and each event needs one
    """Activate a captured context during the `with` block; None stands for no context."""

    __slots__ = ("_before", "_values")

    def __init__(self, values: Values | None) -> None:
        self._values = values

    def __enter__(self) -> None:
        self._before = _active.get()
        _active.set(self._values)

    def __exit__(self, *raised: object) -> None:
        # No token: a generator, such as the body of a streaming response, may end in another context than it began in.
        _active.set(self._before)


def of_handlers(event: Event) -> AbstractContextManager[None]:
    """Return the context in which the handlers of `event` run.

    Where contexts are not in use, handlers dispatch the same events as ever.
    """
    if _active.get() is None and event.metadata.get("correlation_id") is None:
        return _UNCHANGED
    return caused_by(event)


def enforced(events: Sequence[NewEvent]) -> Sequence[NewEvent]:
    """Return events that came over HTTP, with the values of the active context in place of their own.

    They never have a user of their own: otherwise a request without a user could name one.
    """
    if not is_active():
        return events
    values = current_context()
    return [replace(event, metadata=_enforced(event.metadata, values)) for event in events]


def _enforced(metadata: Any, values: Mapping[str, str]) -> Any:
    if not isinstance(metadata, Mapping):  # `dispatch` names the mistake
        return metadata
    return {**{key: value for key, value in metadata.items() if key != "user"}, **values}


def _user_id(user: Any) -> str | None:
    key = getattr(user, "pk", user)
    if key is None:
        return None
    if key is user and (isinstance(user, bool) or not isinstance(user, str | int | UUID)):
        raise InvalidEvent(
            "user", f"is a {type(user).__name__}; give a user, its primary key, or a function that returns one of them"
        )
    text = str(key)
    check_name("user", text)
    return text


def _flow_of(event: Event, event_id: str) -> str:
    """Return the correlation id of an event, or its own id: metadata may have any JSON as a correlation id.

    An event that Python cannot represent has no metadata.
    """
    value = (event.metadata or {}).get("correlation_id")
    if value is None:  # most events outside of flows
        return event_id
    try:
        check_name("correlation_id", text := str(value) if type(value) is int else value)
    except InvalidEvent:
        return event_id
    return str(text)

"""The errors of a dispatch as clients may see them, over HTTP and in the admin.

Clients learn nothing of aggregates that they may not read, and do not receive the errors of handlers as their own.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.http import Http404
from django.http.multipartparser import MultiPartParserError

from . import authorization, handler_errors
from .exceptions import DuplicateEvent, EventStoreError, Rejected, VersionConflict
from .models import Event

# The errors for which the store and Django blame the client.
BLAMING: Final = (EventStoreError, BadRequest, Http404, MultiPartParserError, PermissionDenied, SuspiciousOperation)


class SubscriberFailed(Exception):
    """A subscriber or an INLINE projection failed on `event`. Its exception is the cause."""

    def __init__(self, event: Event) -> None:
        self.event = event
        super().__init__(f"a subscriber or an INLINE projection failed on {event}")


def as_shown(
    error: Exception,
    user: Any,
    *,
    named: Collection[str] = (),
    blaming: tuple[type[Exception], ...] = BLAMING,
) -> Exception:
    """Return the error that a client may see in place of `error`: often the same one.

    SubscriberFailed takes the place of a handler's error: an `InvalidEvent` of a handler says nothing about the
    client's request. Rejected stays, because handlers raise it for the client. Conflicts of aggregates that the client
    has named stay, too.

    Args:
        user: the client's user, who may see only some categories.
        named: the aggregates that the client has named.
        blaming: the errors that would blame the client. Handlers' errors of other classes stay as they are.
    """
    failed = handler_errors.failure(error)
    if failed and not isinstance(error, Rejected) and isinstance(error, blaming):
        if isinstance(error, VersionConflict) and all(each.aggregate_id in named for each in error.conflicts):
            return VersionConflict(error.conflicts)
        return SubscriberFailed(failed.event)
    if isinstance(error, DuplicateEvent) and error.aggregate_id and not _may_read(user, error.aggregate_id):
        return DuplicateEvent(error.event_id, None, f"the event id {error.event_id} is already in use")
    return error


@contextmanager
def shown(user: Any, *, named: Collection[str] = ()) -> Iterator[None]:
    """Replace an error of the dispatch in the `with` block; see `as_shown`."""
    try:
        yield
    except Exception as error:
        replacement = as_shown(error, user, named=named)
        if replacement is error:
            raise
        raise replacement from error


def _may_read(user: Any, aggregate_id: str) -> bool:
    return authorization.readable(user).contains(aggregate_id)

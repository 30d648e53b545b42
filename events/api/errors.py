"""Domain errors as HTTP answers, in one place."""

from functools import singledispatch
from typing import Any

from django.core.exceptions import RequestDataTooBig
from rest_framework import status
from rest_framework.exceptions import ParseError
from rest_framework.response import Response

from events.exceptions import Conflict, DuplicateEvent, InvalidEvent, VersionConflict
from events.types import EXISTS


@singledispatch
def response_for(error: Exception) -> Response | None:
    """Return the answer that tells a client about `error`; None when it is no domain error a client can mend."""
    return None


@response_for.register
def _(error: InvalidEvent) -> Response:
    fault = {"code": "invalid", "detail": str(error), "field": error.field, "index": error.index}
    return Response(fault, status=status.HTTP_400_BAD_REQUEST)


@response_for.register
def _(error: VersionConflict) -> Response:
    conflicts = [_conflict(conflict) for conflict in error.conflicts]
    fault = {"code": "version_conflict", "detail": str(error), **conflicts[0], "conflicts": conflicts}
    return Response(fault, status=status.HTTP_409_CONFLICT)


@response_for.register
def _(error: DuplicateEvent) -> Response:
    fault = {
        "code": "duplicate_event",
        "detail": str(error),
        "event_id": error.event_id and str(error.event_id),
        "aggregate_id": error.aggregate_id,
    }
    return Response(fault, status=status.HTTP_409_CONFLICT)


@response_for.register
def _(error: ParseError) -> Response:
    return response_for(InvalidEvent("body", str(error.detail)))  # type: ignore[return-value]


@response_for.register
def _(error: RequestDataTooBig) -> Response:
    fault = {
        "code": "too_large",
        "detail": "The request is larger than this site takes (DATA_UPLOAD_MAX_MEMORY_SIZE); send fewer events at once",
    }
    return Response(fault, status=status.HTTP_413_REQUEST_ENTITY_TOO_LARGE)


def _conflict(conflict: Conflict) -> dict[str, Any]:
    expected = "exists" if conflict.expected is EXISTS else conflict.expected
    return {"aggregate_id": conflict.aggregate_id, "expected": expected, "actual": conflict.actual}

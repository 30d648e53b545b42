"""Errors as problem details (RFC 9457), in one place: the types there are, and which error is which."""

from functools import singledispatch
from http import HTTPStatus
from typing import Any, NamedTuple

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, TooManyFieldsSent
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.views import defaults
from rest_framework.exceptions import APIException, NotFound, ParseError
from rest_framework.exceptions import PermissionDenied as NotPermitted
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.views import exception_handler

from events.exceptions import Conflict, DuplicateEvent, InvalidEvent, VersionConflict
from events.types import EXISTS

MEDIA_TYPE = "application/problem+json"


class ProblemType(NamedTuple):
    """A type of problem: what it is called, and what a client does about it."""

    title: str
    remedy: str


# By the last part of their address, which is their `type`. What HTTP's own status says already has no type of its own.
TYPES = {
    "invalid": ProblemType(
        "The request cannot be taken as it is",
        "`field` names the field, parameter or header, `index` the event in the list (from 0), `line` the line of"
        " an import (from 1), `detail` what is wrong, the limit and the remedy. Mend it and send it again.",
    ),
    "version-conflict": ProblemType(
        "An aggregate is not at the expected version",
        "`conflicts` lists every expectation that does not hold. Read those aggregates again and decide anew. The"
        " status is 412 when the expectation came as a header, 409 when it came in the body.",
    ),
    "duplicate-event": ProblemType(
        "An event id is in use already",
        "`event_id` is stored, and the request is no repetition of the one that stored it. A retry repeats a request as"
        " it was; a new event takes a new id.",
    ),
    "idempotency-key-reused": ProblemType(
        "The idempotency key belongs to another request",
        "An earlier request with this key had other events. Take a new key for a new request.",
    ),
    "too-large": ProblemType("The request is too large", "`detail` names the limit. Send fewer events at once."),
    "not-caught-up": ProblemType(
        "The read model is not up to date yet",
        "`projection` is at `position`, `lag_events` before the one in `at_least`. Ask again a little later.",
    ),
    "too-many-streams": ProblemType(
        "This process has as many open streams as it takes", "Connect again later; `Retry-After` says when."
    ),
    "no-streams": ProblemType(
        "Streams are not served here", "They need the project's ASGI application; this is its WSGI one."
    ),
}


class Problem(Response):
    """An answer that tells what is wrong. It is JSON, whatever else the view speaks."""

    def __init__(
        self,
        status: int,
        detail: str,
        slug: str | None = None,
        headers: dict[str, str] | None = None,
        **data: Any,
    ) -> None:
        super().__init__(_content(status, detail, slug, data), status=status, headers=headers)
        self.exception = True

    def as_json(self) -> None:
        """Be rendered as a problem document."""
        self.accepted_renderer, self.accepted_media_type = JSONRenderer(), MEDIA_TYPE
        self.content_type = MEDIA_TYPE


class PreconditionFailed(Exception):
    """An expectation that came as a header does not hold."""

    def __init__(self, conflict: VersionConflict) -> None:
        self.conflict = conflict


class IdempotencyKeyReused(Exception):
    """An idempotency key comes with other events than before."""


def answer(error: Exception, context: Any) -> Response | None:
    """Return the problem that `error` is to a client; None when it is none that a client can mend."""
    return problem_for(error)


@singledispatch
def problem_for(error: Exception) -> Response | None:
    return None


@problem_for.register
def _(error: APIException) -> Response | None:
    plain = exception_handler(error, {})  # knows the headers, and marks the transaction
    return plain and Problem(plain.status_code, str(error.detail), headers=dict(plain.items()))


@problem_for.register
def _(error: Http404) -> Response | None:
    return problem_for(NotFound(*error.args))


@problem_for.register
def _(error: PermissionDenied) -> Response | None:
    return problem_for(NotPermitted(*error.args))


@problem_for.register
def _(error: InvalidEvent) -> Response:
    return Problem(400, str(error), "invalid", field=error.field, index=error.index)


@problem_for.register
def _(error: VersionConflict) -> Response:
    return _conflict(error, 409)


@problem_for.register
def _(error: PreconditionFailed) -> Response:
    return _conflict(error.conflict, 412)


@problem_for.register
def _(error: DuplicateEvent) -> Response:
    event_id = error.event_id and str(error.event_id)
    return Problem(409, str(error), "duplicate-event", event_id=event_id, aggregate_id=error.aggregate_id)


@problem_for.register
def _(error: IdempotencyKeyReused) -> Response:
    return Problem(422, TYPES["idempotency-key-reused"].remedy, "idempotency-key-reused")


@problem_for.register
def _(error: ParseError) -> Response | None:
    return problem_for(InvalidEvent("body", str(error.detail)))


@problem_for.register
def _(error: RequestDataTooBig) -> Response:
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    detail = f"The request is larger than this site takes, {limit:,} bytes (DATA_UPLOAD_MAX_MEMORY_SIZE)"
    return Problem(413, f"{detail}; send fewer events at once", "too-large")


@problem_for.register
def _(error: TooManyFieldsSent) -> Response | None:
    limit = settings.DATA_UPLOAD_MAX_NUMBER_FIELDS
    return problem_for(InvalidEvent("query", f"has more than {limit:,} parameters (DATA_UPLOAD_MAX_NUMBER_FIELDS)"))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer what never reached a view: a handler400 for projects."""
    return _outside_of_views(request, 400) or defaults.bad_request(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer an address that there is not: a handler404 for projects."""
    return _outside_of_views(request, 404) or defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer what went wrong on our side: a handler500 for projects."""
    return _outside_of_views(request, 500) or defaults.server_error(request)


def _outside_of_views(request: HttpRequest, status: int) -> HttpResponse | None:
    """Return a problem document for who does not ask for a page."""
    if request.accepts("text/html") and "text/html" in request.headers.get("Accept", ""):
        return None
    content = _content(status, HTTPStatus(status).description, None, {})
    return HttpResponse(JSONRenderer().render(content), status=status, content_type=MEDIA_TYPE)


def _content(status: int, detail: str, slug: str | None, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": reverse("events:problem-type", args=[slug]) if slug else "about:blank",
        "title": TYPES[slug].title if slug else HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **data,
    }


def _conflict(error: VersionConflict, status: int) -> Response:
    conflicts = [_as_dict(conflict) for conflict in error.conflicts]
    return Problem(status, str(error), "version-conflict", **conflicts[0], conflicts=conflicts)


def _as_dict(conflict: Conflict) -> dict[str, Any]:
    expected = "exists" if conflict.expected is EXISTS else conflict.expected
    return {"aggregate_id": conflict.aggregate_id, "expected": expected, "actual": conflict.actual}

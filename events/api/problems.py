"""Errors as problem details (RFC 9457): the problem types, and the response to each exception."""

from dataclasses import asdict, replace
from functools import singledispatch
from http import HTTPStatus
from typing import Any, NamedTuple

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, TooManyFieldsSent
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from django.urls import reverse
from django.views import defaults
from rest_framework.exceptions import APIException, ParseError
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.views import exception_handler

from events.exceptions import DuplicateEvent, InvalidEvent, VersionConflict
from events.types import EXISTS

MEDIA_TYPE = "application/problem+json"


class ProblemType(NamedTuple):
    """A problem type with the remedy for clients."""

    title: str
    remedy: str


# By the last part of the URL that is their `type`. Problems that an HTTP status explains have no type.
TYPES = {
    "invalid": ProblemType(
        "The request is not valid",
        "`field` names the field, parameter or header, `index` the event in the list (from 0), `line` the line of"
        " an import (from 1), `detail` the error, the limit and the remedy. Correct the request and send it again.",
    ),
    "version-conflict": ProblemType(
        "An aggregate is not at the expected version",
        "`conflicts` lists every expectation that does not hold. Read these aggregates again and decide again. The"
        " status is 412 if a header has the expectation, 409 if the body has it.",
    ),
    "duplicate-event": ProblemType(
        "An event id is already in use",
        "`event_id` is stored, and the request does not repeat the request that stored it. To retry, repeat the same"
        " request; for a new event, use a new id.",
    ),
    "idempotency-key-reused": ProblemType(
        "The idempotency key belongs to another request",
        "An earlier request with this key had other events. Use a new key for a new request.",
    ),
    "too-large": ProblemType("The request is too large", "`detail` names the limit. Send fewer events at once."),
    "not-caught-up": ProblemType(
        "The read model is not up to date yet",
        "`projection` is at `position`, `lag_events` before the one in `at_least`. Repeat the request a little later.",
    ),
    "too-many-streams": ProblemType(
        "This process has too many open streams", "Connect again later; `Retry-After` says when."
    ),
    "no-streams": ProblemType(
        "Streams are not available here", "Use the project's ASGI application; this is its WSGI application."
    ),
}


class Problem(Response):
    """A response with a problem. It is JSON, whatever the media types of the view."""

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
        """Select the JSON renderer and the media type of problems."""
        self.accepted_renderer, self.accepted_media_type = JSONRenderer(), MEDIA_TYPE
        self.content_type = MEDIA_TYPE


class PreconditionFailed(Exception):
    """An expectation that came as a header does not hold."""

    def __init__(self, conflict: VersionConflict) -> None:
        self.conflict = conflict


class IdempotencyKeyReused(Exception):
    """An earlier request with the idempotency key had other events."""


def answer(error: Exception, context: Any) -> Response | None:
    """Return the problem for an error of the client; None for other errors."""
    return problem_for(error)


@singledispatch
def problem_for(error: Exception) -> Response | None:
    return None


@problem_for.register
def _(error: APIException | Http404 | PermissionDenied) -> Response | None:
    plain = exception_handler(error, {})  # sets headers, and marks the transaction for rollback
    return plain and Problem(plain.status_code, str(plain.data["detail"]), headers=dict(plain.items()))


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
def _(error: UnreadablePostError) -> Response | None:
    return problem_for(InvalidEvent("body", "ends too early, or is not in valid chunks; send all of it again"))


@problem_for.register
def _(error: RequestDataTooBig) -> Response:
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    detail = f"The request has more than {limit:,} bytes (DATA_UPLOAD_MAX_MEMORY_SIZE); send fewer events at once"
    return Problem(413, detail, "too-large")


@problem_for.register
def _(error: TooManyFieldsSent) -> Response | None:
    limit = settings.DATA_UPLOAD_MAX_NUMBER_FIELDS
    return problem_for(InvalidEvent("query", f"has more than {limit:,} parameters (DATA_UPLOAD_MAX_NUMBER_FIELDS)"))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return the response to a request that reached no view: a handler400 for projects."""
    return _outside_of_views(request, 400) or defaults.bad_request(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return the response to a URL that does not exist: a handler404 for projects."""
    return _outside_of_views(request, 404) or defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Return the response to an error of the server: a handler500 for projects."""
    return _outside_of_views(request, 500) or defaults.server_error(request)


def _outside_of_views(request: HttpRequest, status: int) -> HttpResponse | None:
    """Return a problem for clients that do not accept HTML, None for others."""
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
    conflicts = [
        asdict(replace(conflict, expected="exists")) if conflict.expected is EXISTS else asdict(conflict)
        for conflict in error.conflicts
    ]
    return Problem(status, str(error), "version-conflict", **conflicts[0], conflicts=conflicts)

"""Errors as problem details (RFC 9457): the problem types, and the response to each exception."""

from dataclasses import asdict, replace
from functools import singledispatch
from http import HTTPStatus
from typing import Any, NamedTuple

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, TooManyFieldsSent
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from django.urls import NoReverseMatch, reverse
from django.views import defaults
from rest_framework.exceptions import APIException, ParseError
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.views import exception_handler as plain_handler
from rest_framework.views import set_rollback

from events import client_errors, handler_errors
from events.exceptions import (
    AggregateNotFound,
    DuplicateEvent,
    EventStoreError,
    InvalidEvent,
    NewerEvent,
    Rejected,
    VersionConflict,
)
from events.formats.serialization import to_json
from events.types import EXISTS

MEDIA_TYPE = "application/problem+json"
BLAMING = (*client_errors.BLAMING, APIException)


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
        "An earlier request with this key had other events, or other arguments of a command. Use a new key for a new"
        " request.",
    ),
    "rejected": ProblemType(
        "The event was rejected",
        "`detail` and `code` say why, `data` has further facts, and `index` names the event in the list (from 0). The"
        " application decides about the status. Nothing was stored.",
    ),
    "too-large": ProblemType("The request is too large", "`detail` names the limit. Send fewer events at once."),
    "not-caught-up": ProblemType(
        "The read model is not up to date yet",
        "`projection` is at `position`, `lag_events` before the one in `at_least`. Repeat the request a little later.",
    ),
    "too-many-streams": ProblemType(
        "This process has too many open streams", "Connect again later; `Retry-After` says when."
    ),
    "too-many-streams-of-user": ProblemType(
        "You have too many open streams", "Close a stream, or connect again later; `Retry-After` says when."
    ),
    "no-streams": ProblemType(
        "Streams are not available here", "Use the project's ASGI application; this is its WSGI application."
    ),
    "no-metrics": ProblemType(
        "Metrics are not available here", "Install the extra: pip install 'django-eventstore[metrics]'."
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
        self._slug = slug

    def within(self, prefix: str) -> None:
        """Name the problem type by its address in the URLconf that the project has included under `prefix`."""
        if self._slug:
            self.data["type"] = f"{prefix}problems/{self._slug}/"

    @property
    def rendered_content(self) -> Any:
        if self.accepted_renderer.format != "api":  # REST framework's browsable pages show it as a part of the page
            self.accepted_renderer, self.accepted_media_type = JSONRenderer(), MEDIA_TYPE
            self.content_type = MEDIA_TYPE
        return super().rendered_content


class PreconditionFailed(Exception):
    """An expectation that came as a header does not hold."""

    def __init__(self, conflict: VersionConflict) -> None:
        self.conflict = conflict


class IdempotencyKeyReused(Exception):
    """An earlier request with the idempotency key had another body."""


def answer(error: Exception, context: Any) -> Response | None:
    """Return the problem for an error of the client; None for other errors.

    Raises:
        SubscriberFailed: a subscriber or an INLINE projection raised the error. Its cause must not reach Django either,
            which answers Http404, for example, with 404.
    """
    shown = client_errors.as_shown(error, context["request"].user, blaming=BLAMING)
    if shown is not error and isinstance(shown, client_errors.SubscriberFailed):
        raise shown from error
    problem = problem_for(shown)
    if problem:
        set_rollback()  # of a transaction around the whole request (ATOMIC_REQUESTS)
    return problem


def exception_handler(error: Exception, context: Any) -> Response | None:
    """Return the problem for an error of the store: an EXCEPTION_HANDLER of REST framework, for your own views.

    For other errors, it returns what REST framework's own handler returns.

    Raises:
        SubscriberFailed: see `answer`.
    """
    is_of_store = isinstance(error, EventStoreError) or handler_errors.failure(error)
    return answer(error, context) if is_of_store else plain_handler(error, context)


@singledispatch
def problem_for(error: Exception) -> Response | None:
    return None


@problem_for.register
def _(error: APIException | Http404 | PermissionDenied) -> Response | None:
    plain = plain_handler(error, {})  # sets headers
    if plain is None:
        return None
    # The project's authentication and throttles may raise errors with a list, or an object of other names.
    known = plain.data.get("detail") if isinstance(plain.data, dict) else None
    detail = str(known) if known else to_json(plain.data).decode()
    return Problem(plain.status_code, detail, headers=dict(plain.items()))


@problem_for.register
def _(error: InvalidEvent) -> Response:
    return Problem(400, str(error), "invalid", field=error.field, index=error.index)


@problem_for.register
def _(error: AggregateNotFound) -> Response:
    return Problem(404, str(error))


@problem_for.register
def _(error: NewerEvent) -> Response:
    detail = "This process runs older code than the one that stored an event of the aggregate. Try again."
    return Problem(503, detail, headers={"Retry-After": "5"})


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
def _(error: Rejected) -> Response:
    failed = handler_errors.failure(error)
    return rejection(error, error.message, index=failed and failed.index)


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


def rejection(error: Rejected, detail: str, **place: Any) -> Problem:
    """Return the problem for an event that a handler rejected; `place` says which event it was."""
    return Problem(error.status, detail, "rejected", code=error.code, data=error.data, **place)


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
    if "text/html" in request.headers.get("Accept", "") and request.accepts("text/html"):
        return None
    content = _content(status, HTTPStatus(status).description, None, {})
    return HttpResponse(JSONRenderer().render(content), status=status, content_type=MEDIA_TYPE)


def _content(status: int, detail: str, slug: str | None, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": _url(slug) if slug else "about:blank",
        "title": TYPES[slug].title if slug else HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **data,
    }


def _url(slug: str) -> str:
    try:
        return reverse("events:problem-type", args=[slug])
    except NoReverseMatch:  # a project whose own views have problems, without the URLs of the interface
        return f"tag:events,problems/{slug}"


def _conflict(error: VersionConflict, status: int) -> Response:
    conflicts = [
        asdict(replace(conflict, expected="exists")) if conflict.expected is EXISTS else asdict(conflict)
        for conflict in error.conflicts
    ]
    return Problem(status, str(error), "version-conflict", **conflicts[0], conflicts=conflicts)

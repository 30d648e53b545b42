"""The OpenAPI schema of the HTTP interface: over 250 lines, because it lists every parameter and error in one place."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from http import HTTPStatus
from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiRequest,
    OpenApiResponse,
    extend_schema,
)

from events.conf import conf
from events.formats import cloudevents
from events.validation import MAX_NAMES

from . import problems, serializers

PROBLEM = "application/problem+json"
JSON = "application/json"
NDJSON = "application/x-ndjson"
EVENT_STREAM = "text/event-stream"
START = "start"  # the tag of the root


def query(name: str, kind: dict[str, Any], description: str, *, may_repeat: bool = False) -> OpenApiParameter:
    """Return a query parameter."""
    shape = {"type": "array", "items": kind, "maxItems": MAX_NAMES} if may_repeat else kind
    return OpenApiParameter(name, shape, OpenApiParameter.QUERY, description=description)


def may_repeat(parameter: OpenApiParameter) -> bool:
    """Return whether a parameter may come more than once."""
    return isinstance(parameter.type, dict) and parameter.type.get("type") == "array"


def is_name(parameter: OpenApiParameter) -> bool:
    """Return whether the values of a parameter are aggregate ids, event types or categories."""
    return isinstance(parameter.type, dict) and serializers.NAME in (parameter.type, parameter.type.get("items"))


def header(name: str, description: str, pattern: str | None = None, **options: Any) -> OpenApiParameter:
    """Return a header of the request; with `response=`, a header of responses with these statuses."""
    shape = {"type": "string"} if pattern is None else {"type": "string", "pattern": pattern}
    return OpenApiParameter(name, shape, OpenApiParameter.HEADER, description=description, **options)


AFTER_ID = query("after", serializers.NAME, "Entries after this aggregate id.")
AFTER_POSITION = query("after", serializers.POSITION, "Events after this position.")
AFTER_OR_NOW = query(
    "after", {"type": "string", "pattern": "^([0-9]{1,18}|now)$"}, "Begin after this position, or `now`."
)
AFTER_VERSION = query("after_version", serializers.POSITION, "Events after this version.")
UP_TO_POSITION = query("up_to", serializers.POSITION, "Events up to this position.")
UP_TO_VERSION = query("up_to_version", serializers.POSITION, "Events up to this version.")
AS_OF = query("as_of", serializers.MOMENT, "Events stored at this moment or earlier.")
REVERSE = query("reverse", serializers.FLAG, "Newest first.")
STARTS_WITH = query("starts_with", serializers.NAME, "Entries whose aggregate id begins with this text.")
CATEGORY = query("category", serializers.NAME, "Entries of this category.")
TYPES = query("type", serializers.NAME, "Events of this type; may be repeated.", may_repeat=True)
CALL_SUBSCRIBERS = query(
    "call_subscribers", serializers.FLAG, "Call the subscribers for each stored event; the default is false."
)
LIMIT = query("limit", {"type": "integer", "minimum": 1}, "The largest number of entries of a page.")
AGGREGATE_ID = OpenApiParameter(
    "aggregate_id",
    {**serializers.AGGREGATE_ID, "pattern": r"^(?!\.\.?$)[^/\u0000-\u001f\u007f-\u009f\ufffd]+$"},
    OpenApiParameter.PATH,
    description="Percent-encoded, in UTF-8. Slashes are fine (`%2F`), but not before a last `events` or `stream`.",
)
EVENT_ID = OpenApiParameter("event_id", {"type": "string", "format": "uuid"}, OpenApiParameter.PATH)
IF_MATCH = header(
    "If-Match",
    'The expected version of the aggregate, such as `"3"`; `*`: it must exist.',
    r'^(\*|(W/)?"[0-9]{1,18}")$',
)
IF_NONE_MATCH = header("If-None-Match", "`*`: the aggregate must not exist.", r"^\*$")
IF_CHANGED = header("If-None-Match", "The `ETag` of an earlier response; the status is 304 if nothing has changed.")
IDEMPOTENCY_KEY = header(
    "Idempotency-Key",
    "1 to 255 characters, in quotes if there is a comma. Repeating a request with its key stores nothing.",
    r'^("[!#-\[\]-~]([ !#-\[\]-~]{0,253}[!#-\[\]-~])?"|[!#-+\--~]([ -+\--~]{0,253}[!-+\--~])?)$',
)
LAST_EVENT_ID = header(
    "Last-Event-ID",
    "The position to continue after; browsers send it. It takes precedence over `after`.",
    "^[0-9]{1,18}$",
)
ETAG = header("ETag", "The aggregate's version.", response=[200, 201, 304])
LINK = header("Link", "The next page, as `rel=next`.", response=[200])
RETRY_AFTER = header("Retry-After", "Repeat the request after this number of seconds.", response=[429, 503])


# The error responses: their body, their meaning, and additional fields of an example.
_ERRORS: Mapping[int, tuple[Any, str, dict[str, Any]]] = {
    400: (
        serializers.InvalidSerializer,
        "The request is not valid.",
        {"type": "/api/problems/invalid/", "field": "limit", "index": None},
    ),
    401: (serializers.ProblemDetailsSerializer, "Not authenticated.", {}),
    403: (serializers.ProblemDetailsSerializer, "Not permitted.", {}),
    404: (serializers.ProblemDetailsSerializer, "It does not exist.", {}),
    406: (serializers.ProblemDetailsSerializer, "This media type is not available here.", {}),
    409: (
        serializers.VersionConflictSerializer,
        "An aggregate is not at the version that the body expects, an event id is in use, or an event is rejected.",
        {
            "type": "/api/problems/version-conflict/",
            "conflicts": [{"aggregate_id": "order-18", "expected": 0, "actual": 1}],
        },
    ),
    411: (serializers.ProblemDetailsSerializer, "This server does not accept bodies in chunks; send the length.", {}),
    412: (
        serializers.VersionConflictSerializer,
        "The aggregate is not at the version that a header expects.",
        {
            "type": "/api/problems/version-conflict/",
            "conflicts": [{"aggregate_id": "order-18", "expected": 3, "actual": 4}],
        },
    ),
    413: (serializers.ProblemDetailsSerializer, "The request is too large.", {"type": "/api/problems/too-large/"}),
    415: (serializers.ProblemDetailsSerializer, "This media type of the body is not supported here.", {}),
    422: (
        serializers.ProblemDetailsSerializer,
        "The idempotency key belongs to another request.",
        {"type": "/api/problems/idempotency-key-reused/"},
    ),
    429: (serializers.ProblemDetailsSerializer, "Too many requests.", {}),
    501: (
        serializers.ProblemDetailsSerializer,
        "This needs the ASGI application.",
        {"type": "/api/problems/no-streams/"},
    ),
    503: (serializers.ProblemDetailsSerializer, "Temporarily not available; `Retry-After` says when to try again.", {}),
}
READ_ERRORS = (400, 401, 403, 406, 429)
APPEND_ERRORS = (*READ_ERRORS, 409, 411, 413, 415, 422)


def operation(
    operation_id: str,
    summary: str,
    answer: Any,
    example: Any,
    *,
    errors: Sequence[int] = READ_ERRORS,
    status: int | Sequence[int] = 200,
    media_type: str = JSON,
    also: Mapping[str, tuple[Any, Any]] | None = None,
    no_content: Sequence[int] = (),
    parameters: Sequence[OpenApiParameter] = (),
    request: Any = None,
) -> Callable[[Any], Any]:
    """Return a decorator that describes a method of a view; the view declares the query parameters.

    The method receives the arguments of its own route only, without those of the prefix under which it is included.

    Args:
        answer, example: the body of a successful response, and an example.
        also: bodies and examples in further media types.
        no_content: statuses of responses without a body.
    """
    responses: dict[Any, Any] = {}
    for each in [status] if isinstance(status, int) else status:
        for kind, (shape, sample) in {media_type: (answer, example), **(also or {})}.items():
            responses[each, kind] = _response(shape, HTTPStatus(each).phrase, sample, kind, each)
    for each in no_content:
        responses[each] = OpenApiResponse(description=HTTPStatus(each).phrase)
    for each in errors:
        shape, description, data = _ERRORS[each]
        sample = {"type": "about:blank", "title": _title(each, data), "status": each, "detail": description, **data}
        responses[each, PROBLEM] = _response(shape, description, sample, PROBLEM, each)
    describe = extend_schema(
        operation_id=operation_id,
        summary=summary,
        responses=responses,
        request=request,
        parameters=list(parameters) + ([RETRY_AFTER] if 429 in errors else []),
    )

    def decorate(method: Any) -> Any:
        names = list(inspect.signature(method).parameters)[2:]

        @wraps(method)
        def handle(view: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
            return method(view, request, **{name: kwargs[name] for name in names})

        handle.summary = summary  # type: ignore[attr-defined]
        handle.kwargs = {"schema": OperationSchema}  # type: ignore[attr-defined]  # `extend_schema` derives from it
        return describe(handle)

    return decorate


def bodies(here: bool) -> dict[str, Any]:
    """Return the bodies of an append by media type; `here`: for the aggregate in the URL."""
    cloudevent = (
        serializers.CLOUDEVENT
        if here
        else {**serializers.CLOUDEVENT, "required": [*serializers.CLOUDEVENT["required"], "subject"]}
    )
    placed = {"type": "OrderPlaced", "data": {"total": 84.5}}
    if not here:
        placed = {"aggregate_id": "order-18", **placed}
    return {
        kind: _body(shape, sample, kind)
        for kind, shape, sample in (
            (
                JSON,
                serializers.AppendSerializer if here else serializers.AppendToManySerializer,
                {"events": [placed], "expected_version": 0},
            ),
            (cloudevents.MEDIA_TYPE, cloudevent, serializers.PLACED_AS_CLOUDEVENT),
            (cloudevents.BATCH_MEDIA_TYPE, {"type": "array", "items": cloudevent}, [serializers.PLACED_AS_CLOUDEVENT]),
        )
    }


class OperationSchema(AutoSchema):
    """The schema of an operation, with the query parameters that its view declares."""

    view: Any

    def get_override_parameters(self) -> list[Any]:
        parameters = self.view.parameters if self.method == "GET" else self.view.post_parameters
        declared = [_as_set_here(each) for each in parameters]
        named = [each for each in (AGGREGATE_ID, EVENT_ID) if f"{{{each.name}}}" in self.path]
        return [*super().get_override_parameters(), *named, *declared]

    def get_tags(self) -> list[str]:
        route = self.view.route
        return super().get_tags() if route is None else [route.partition("/")[0] or START]

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation = super().get_operation(*args, **kwargs)
        if operation and "requestBody" in operation:
            operation["requestBody"]["required"] = True
        return operation

    def _get_format_parameters(self) -> list[Any]:
        # `format` is for REST framework's browsable pages; programs send `Accept`.
        return []

    def get_description(self) -> str:  # type: ignore[override]  # drf-spectacular's has no arguments
        return str(self.view.get_view_description() if self.method == "GET" else "")


def _as_set_here(parameter: OpenApiParameter) -> OpenApiParameter:
    """Return a parameter with the bounds of the current settings."""
    if parameter is not LIMIT:
        return parameter
    bounds = {"maximum": conf.api_max_page_events, "default": min(conf.api_page_events, conf.api_max_page_events)}
    return query("limit", {"type": "integer", "minimum": 1, **bounds}, str(LIMIT.description))


def _title(status: int, data: Mapping[str, Any]) -> str:
    if "type" not in data:
        return HTTPStatus(status).phrase
    slug = data["type"].rstrip("/").rpartition("/")[2]
    return problems.TYPES[slug].title


def _response(shape: Any, description: str, sample: Any, kind: str, status: int) -> OpenApiResponse:
    example = OpenApiExample(f"{status}", sample, response_only=True, media_type=kind, status_codes=[str(status)])
    return OpenApiResponse(shape, description, examples=[example])


def _body(shape: Any, sample: Any, kind: str) -> OpenApiRequest:
    return OpenApiRequest(shape, examples=[OpenApiExample("body", sample, request_only=True, media_type=kind)])

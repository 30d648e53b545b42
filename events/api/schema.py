"""The HTTP interface as OpenAPI: the shapes, the parameters, and what every operation has in common.

The serializers describe; nothing is written or read through them.
"""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiRequest,
    OpenApiResponse,
    extend_schema,
    extend_schema_field,
)
from rest_framework import serializers

from events import cloudevents
from events.conf import conf

PROBLEM = "application/problem+json"
JSON = "application/json"
NDJSON = "application/x-ndjson"
EVENT_STREAM = "text/event-stream"

POSITION = {"type": "integer", "format": "int64", "minimum": 0, "maximum": 2**63 - 1}
NAME = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[^\u0000-\u001f\u007f-\u009f]+$"}
MOMENT = {"type": "string", "format": "date-time"}
FLAG = {"type": "boolean", "default": False}
CLOUDEVENT: dict[str, Any] = {
    "type": "object",
    "description": "A CloudEvent 1.0. Further attributes are extensions.",
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        "specversion": {"type": "string", "enum": ["1.0"]},
        "id": {"type": "string", "minLength": 1},
        "source": {"type": "string", "minLength": 1, "format": "uri-reference"},
        "type": NAME,
        "subject": {**NAME, "description": "The aggregate id."},
        "time": {"type": "string", "format": "date-time"},
        "datacontenttype": {"type": "string", "enum": ["application/json"]},
        "dataschema": {"type": "string", "format": "uri"},
        "correlationid": NAME,
        "causationid": NAME,
        "eventmetadata": {"type": "string", "description": "The metadata, as the text of a JSON object."},
        "data": {"type": "object", "additionalProperties": {}},
    },
    "propertyNames": {"pattern": "^[a-z0-9]{1,50}$"},
    "additionalProperties": {"type": ["string", "boolean", "integer"]},
}
CLOUDEVENTS = {"type": "array", "items": CLOUDEVENT}
JSON_OBJECT = {"type": "object", "additionalProperties": {}}
EXPECTATION = {"oneOf": [{**POSITION}, {"type": "string", "enum": ["exists", "any"]}]}


def query(name: str, kind: dict[str, Any], description: str, *, may_repeat: bool = False) -> OpenApiParameter:
    """Return a query parameter."""
    shape = {"type": "array", "items": kind} if may_repeat else kind
    return OpenApiParameter(name, shape, OpenApiParameter.QUERY, description=description)


def may_repeat(parameter: OpenApiParameter) -> bool:
    """Return whether a parameter may come more than once."""
    return isinstance(parameter.type, dict) and parameter.type.get("type") == "array"


def is_name(parameter: OpenApiParameter) -> bool:
    """Return whether the values of a parameter are aggregate ids, event types or categories."""
    return isinstance(parameter.type, dict) and NAME in (parameter.type, parameter.type.get("items"))


def header(name: str, description: str, pattern: str | None = None, **options: Any) -> OpenApiParameter:
    """Return a header of the request, or with `response=` of the answer."""
    shape = {"type": "string"} if pattern is None else {"type": "string", "pattern": pattern}
    return OpenApiParameter(name, shape, OpenApiParameter.HEADER, description=description, **options)


AFTER_ID = query("after", NAME, "Those after this aggregate id.")
AFTER_POSITION = query("after", POSITION, "Those after this position.")
AFTER_OR_NOW = query(
    "after", {"type": "string", "pattern": "^([0-9]{1,18}|now)$"}, "Begin after this position, or `now`."
)
AFTER_VERSION = query("after_version", POSITION, "Those after this version.")
UP_TO_POSITION = query("up_to", POSITION, "Those up to this position.")
UP_TO_VERSION = query("up_to_version", POSITION, "Those up to this version.")
AS_OF = query("as_of", MOMENT, "Those that were stored by then.")
REVERSE = query("reverse", FLAG, "The newest first.")
STARTS_WITH = query("starts_with", NAME, "Those whose aggregate id begins so.")
CATEGORY = query("category", NAME, "Those of this category.")
TYPES = query("type", NAME, "Events of this type; may be repeated.", may_repeat=True)
LIMIT = query("limit", {"type": "integer", "minimum": 1}, "How many a page has at most.")
AGGREGATE_ID = OpenApiParameter(
    "aggregate_id",
    {**NAME, "pattern": r"^[^/\u0000-\u001f\u007f-\u009f\ufffd]+$"},
    OpenApiParameter.PATH,
    description="Percent-encoded, in UTF-8. Slashes are fine (`%2F`), but not before a last `events` or `stream`.",
)
IF_MATCH = header(
    "If-Match",
    'The version that the aggregate must be at, such as `"3"`; `*`: it must exist.',
    r'^(\*|(W/)?"[0-9]{1,18}")$',
)
IF_NONE_MATCH = header("If-None-Match", "`*`: the aggregate must not exist.", r"^\*$")
IF_CHANGED = header("If-None-Match", "The `ETag` of the answer that you have: 304, when it is still the same.")
IDEMPOTENCY_KEY = header(
    "Idempotency-Key", "1 to 255 characters of your own: the same request again stores nothing.", r"^[!-~]{1,255}$"
)
LAST_EVENT_ID = header(
    "Last-Event-ID", "The position to go on after; browsers send it. It wins over `after`.", "^[0-9]{1,18}$"
)
ETAG = header("ETag", "The aggregate's version.", response=[200, 201, 304])
LINK = header("Link", "The next page, as `rel=next`.", response=[200])
RETRY_AFTER = header("Retry-After", "In how many seconds to ask again.", response=[429, 503])


@extend_schema_field(EXPECTATION)
class ExpectationField(serializers.Field):
    """A version, or `exists`, or `any`."""


@extend_schema_field({"oneOf": [*EXPECTATION["oneOf"], {"type": "object", "additionalProperties": EXPECTATION}]})
class ExpectationsField(serializers.Field):
    """One expectation for every aggregate, or one for each."""


@extend_schema_field(NAME)
class NameField(serializers.Field):
    """An aggregate id or an event type."""


@extend_schema_field(JSON_OBJECT)
class ObjectField(serializers.Field):
    """A JSON object."""


@extend_schema_field(POSITION)
class NumberField(serializers.Field):
    """A position or a version."""


class StoredEvent(serializers.Serializer):
    position = NumberField(help_text="Its number in the whole store: rising, with gaps.")
    aggregate_id = NameField()
    version = NumberField(help_text="Its number in its aggregate: 1, 2, 3 …")
    event_id = serializers.UUIDField()
    type = NameField()
    data = ObjectField(  # type: ignore[assignment]  # REST framework keeps the names of fields apart
        required=False, help_text="Left out for those who may append but not read."
    )
    metadata = ObjectField(required=False)
    timestamp = serializers.DateTimeField(help_text="When it happened.")
    recorded_at = serializers.DateTimeField(help_text="When it was stored.")


class NewEventHere(serializers.Serializer):
    """An event for the aggregate in the address."""

    type = NameField(help_text="What happened, such as `OrderPlaced`.")
    data = ObjectField(required=False)  # type: ignore[assignment]
    metadata = ObjectField(required=False, help_text="Such as `correlation_id`.")
    timestamp = serializers.DateTimeField(required=False, help_text="When it happened; now, when left out.")
    event_id = serializers.UUIDField(required=False, help_text="Name it yourself, and a retry is safe.")


class NewEvent(NewEventHere):
    """An event for any aggregate."""

    aggregate_id = NameField()


class Append(serializers.Serializer):
    """Events for the aggregate in the address."""

    events = NewEventHere(many=True)
    expected_version = ExpectationField(required=False)


class AppendToMany(serializers.Serializer):
    """Events for any aggregates: all are stored, or none. Aggregates that are only checked may be named as well."""

    events = NewEvent(many=True)
    expected_version = ExpectationsField(required=False)


class Appended(serializers.Serializer):
    aggregate_id = NameField()
    version = NumberField(help_text="The version that the aggregate has come to.")
    position = NumberField(allow_null=True, help_text="Of the last event: what to wait for (`at_least`).")
    events = StoredEvent(many=True)


class AppendedToMany(serializers.Serializer):
    versions = serializers.DictField(child=serializers.IntegerField(), help_text="By aggregate id.")
    position = NumberField(allow_null=True)
    events = StoredEvent(many=True)


class Page(serializers.Serializer):
    next = serializers.URLField(allow_null=True, help_text="The address of the next page.")


class History(Page):
    aggregate_id = NameField()
    version = NumberField(help_text="What the history has come to with this page: the next expectation.")
    events = StoredEvent(many=True)


class EventPage(Page):
    events = StoredEvent(many=True)
    checkpoint = NumberField(allow_null=True, help_text="Pass it as `after`, later on, for what came since.")


class Aggregate(serializers.Serializer):
    aggregate_id = NameField()
    category = serializers.CharField()
    version = NumberField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class AggregatePage(Page):
    aggregates = Aggregate(many=True)


class Imported(serializers.Serializer):
    stored = serializers.IntegerField(help_text="Events that this request stored.")
    known = serializers.IntegerField(help_text="Events that were stored before.")


class ProblemDetails(serializers.Serializer):
    """RFC 9457. Further fields tell the data of the error."""

    type = serializers.CharField(help_text="An address that says what to do about it, or `about:blank`.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()


class ProblemTypeExplained(serializers.Serializer):
    title = serializers.CharField()
    remedy = serializers.CharField()


class Conflicting(serializers.Serializer):
    aggregate_id = NameField()
    expected = ExpectationField()
    actual = NumberField()


class Invalid(ProblemDetails):
    field = serializers.CharField()
    index = serializers.IntegerField(required=False, allow_null=True)
    line = serializers.IntegerField(required=False, help_text="Of an import, from 1.")
    stored = serializers.IntegerField(required=False, help_text="Events of an import before the bad line.")
    known = serializers.IntegerField(required=False)


class VersionConflict(ProblemDetails):
    conflicts = Conflicting(many=True, required=False)


PLACED = {
    "position": 7,
    "aggregate_id": "order-18",
    "version": 1,
    "event_id": "0198b1a0-7c1d-7a63-8d35-1f3c2f0e9a11",
    "type": "OrderPlaced",
    "data": {"total": 84.5},
    "metadata": {},
    "timestamp": "2030-01-31T12:00:00+00:00",
    "recorded_at": "2030-01-31T12:00:00.113000+00:00",
}
PLACED_AS_CLOUDEVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": PLACED["event_id"],
    "source": "/events",
    "type": "OrderPlaced",
    "subject": "order-18",
    "time": PLACED["timestamp"],
    "datacontenttype": "application/json",
    "data": {"total": 84.5},
}

AS_CLOUDEVENTS = {cloudevents.BATCH_MEDIA_TYPE: (CLOUDEVENTS, [PLACED_AS_CLOUDEVENT])}
ORDER_18 = {
    "aggregate_id": "order-18",
    "category": "order",
    "version": 1,
    "created_at": PLACED["recorded_at"],
    "updated_at": PLACED["recorded_at"],
}

STREAMED = (
    'id: 7\ndata: {"position": 7, "aggregate_id": "order-18", "version": 1, …}\n\n'
    'id: 7\nevent: caught-up\ndata: {"position":7}\n\n'
)

# What a request may be answered besides success: the shape, what it means, and what an example of it adds.
_ERRORS: Mapping[int, tuple[Any, str, dict[str, Any]]] = {
    400: (
        Invalid,
        "The request cannot be taken as it is.",
        {"type": "/api/problems/invalid/", "field": "limit", "index": None},
    ),
    401: (ProblemDetails, "Not authenticated.", {}),
    403: (ProblemDetails, "Not permitted.", {}),
    404: (ProblemDetails, "There is no such thing.", {}),
    406: (ProblemDetails, "No such media type is served here.", {}),
    409: (
        VersionConflict,
        "An aggregate is not at the version that the body expects, or an event id is in use.",
        {
            "type": "/api/problems/version-conflict/",
            "conflicts": [{"aggregate_id": "order-18", "expected": 0, "actual": 1}],
        },
    ),
    412: (
        VersionConflict,
        "The aggregate is not at the version that a header expects.",
        {
            "type": "/api/problems/version-conflict/",
            "conflicts": [{"aggregate_id": "order-18", "expected": 3, "actual": 4}],
        },
    ),
    413: (ProblemDetails, "The request is too large.", {"type": "/api/problems/too-large/"}),
    415: (ProblemDetails, "The body is of another media type.", {}),
    422: (
        ProblemDetails,
        "The idempotency key belongs to another request.",
        {"type": "/api/problems/idempotency-key-reused/"},
    ),
    429: (ProblemDetails, "Too many requests.", {}),
    501: (ProblemDetails, "This is served by ASGI only.", {"type": "/api/problems/no-streams/"}),
    503: (ProblemDetails, "Not now; `Retry-After` says when to ask again.", {}),
}
READ_ERRORS = (400, 401, 403, 406, 429)
APPEND_ERRORS = (*READ_ERRORS, 409, 413, 415, 422)


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
    """Describe a method of a view; the query parameters it gets from the view itself.

    Args:
        answer, example: the shape of success, and what it looks like.
        also: further media types of success, with shape and example.
        no_content: statuses of answers without a body.
    """
    responses: dict[Any, Any] = {}
    for each in [status] if isinstance(status, int) else status:
        for kind, (shape, sample) in {media_type: (answer, example), **(also or {})}.items():
            responses[each, kind] = _response(shape, HTTPStatus(each).phrase, sample, kind, each)
    for each in no_content:
        responses[each] = OpenApiResponse(description=HTTPStatus(each).phrase)
    for each in errors:
        shape, description, data = _ERRORS[each]
        title = HTTPStatus(each).phrase
        sample = {"type": "about:blank", "title": title, "status": each, "detail": description, **data}
        responses[each, PROBLEM] = _response(shape, description, sample, PROBLEM, each)
    describe = extend_schema(
        operation_id=operation_id,
        summary=summary,
        responses=responses,
        request=request,
        parameters=list(parameters) + ([RETRY_AFTER] if 429 in errors else []),
    )

    def decorate(method: Any) -> Any:
        method.kwargs = {"schema": OperationSchema}  # what `extend_schema` takes for its base
        return describe(method)

    return decorate


def bodies(here: bool) -> dict[str, Any]:
    """Return the bodies of an append, by media type."""
    cloudevent = CLOUDEVENT if here else {**CLOUDEVENT, "required": [*CLOUDEVENT["required"], "subject"]}
    placed = {"type": "OrderPlaced", "data": {"total": 84.5}}
    if not here:
        placed = {"aggregate_id": "order-18", **placed}
    return {
        kind: _body(shape, sample, kind)
        for kind, shape, sample in (
            (JSON, Append if here else AppendToMany, {"events": [placed], "expected_version": 0}),
            (cloudevents.MEDIA_TYPE, cloudevent, PLACED_AS_CLOUDEVENT),
            (cloudevents.BATCH_MEDIA_TYPE, {"type": "array", "items": cloudevent}, [PLACED_AS_CLOUDEVENT]),
        )
    }


class OperationSchema(AutoSchema):
    """What drf-spectacular cannot see by itself: the query parameters that a view of ours declares."""

    view: Any

    def get_override_parameters(self) -> list[Any]:
        declared = [_as_set_here(each) for each in self.view.parameters] if self.method == "GET" else []
        named = [AGGREGATE_ID] if "{aggregate_id}" in self.path else []
        return [*super().get_override_parameters(), *named, *declared]

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation = super().get_operation(*args, **kwargs)
        if operation and "requestBody" in operation:
            operation["requestBody"]["required"] = True
        return operation

    def _get_format_parameters(self) -> list[Any]:
        # `format` is for the pages of REST framework; programs say what they want in `Accept`.
        return []

    def get_description(self) -> str:  # type: ignore[override]  # drf-spectacular's is without arguments
        return str(self.view.get_view_description() if self.method == "GET" else "")

    def get_tags(self) -> list[str]:
        return [self.path.split("/")[2]]


def _as_set_here(parameter: OpenApiParameter) -> OpenApiParameter:
    """Return a parameter with the bounds that the settings give it, as they are now."""
    if parameter is not LIMIT:
        return parameter
    bounds = {"maximum": conf.api_max_page_events, "default": min(conf.api_page_events, conf.api_max_page_events)}
    return query("limit", {"type": "integer", "minimum": 1, **bounds}, str(LIMIT.description))


def _response(shape: Any, description: str, sample: Any, kind: str, status: int) -> OpenApiResponse:
    example = OpenApiExample(f"{status}", sample, response_only=True, media_type=kind, status_codes=[str(status)])
    return OpenApiResponse(shape, description, examples=[example])


def _body(shape: Any, sample: Any, kind: str) -> OpenApiRequest:
    return OpenApiRequest(shape, examples=[OpenApiExample("body", sample, request_only=True, media_type=kind)])

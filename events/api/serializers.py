"""The bodies of requests and responses, for the OpenAPI schema only; no view uses these serializers."""

import json
from importlib.resources import files
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from events.formats import cloudevents
from events.types import MAX_BIGINT

POSITION = {"type": "integer", "format": "int64", "minimum": 0, "maximum": MAX_BIGINT}
NAME = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[^\u0000-\u001f\u007f-\u009f]+$"}
# Not the segments `.` and `..`, which clients remove from addresses.
AGGREGATE_ID = {**NAME, "pattern": r"^(?!\.\.?$)[^\u0000-\u001f\u007f-\u009f]+$"}
MOMENT = {"type": "string", "format": "date-time"}
FLAG = {"type": "boolean", "default": False}
CLOUDEVENT: dict[str, Any] = {
    "type": "object",
    "description": "A CloudEvent 1.0. Further attributes are extensions. In binary mode, headers such as `ce-id` have"
    " the attributes, and the body is the data.",
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        "specversion": {"type": "string", "enum": ["1.0"]},
        "id": {"type": "string", "minLength": 1},
        "source": {"type": "string", "minLength": 1, "format": "uri-reference"},
        "type": NAME,
        "subject": {**AGGREGATE_ID, "description": "The aggregate id."},
        "time": MOMENT,
        "datacontenttype": {"type": "string", "description": "The media type of the data; JSON by default."},
        "dataschema": {"type": "string", "format": "uri"},
        "correlationid": NAME,
        "causationid": NAME,
        "eventmetadata": {"type": "string", "description": "The metadata, as the text of a JSON object."},
        "data": {
            "type": ["object", "string"],
            "additionalProperties": {},
            "description": 'A JSON object; text of another media type becomes `{"text": …}`.',
        },
        "data_base64": {
            "type": "string",
            "contentEncoding": "base64",
            "description": 'Bytes; those of a media type other than JSON become `{"base64": …}`.',
        },
    },
    "propertyNames": {"pattern": "^([a-z0-9]{1,50}|data_base64)$"},
    "additionalProperties": {"type": ["string", "boolean", "integer"]},
}
CLOUDEVENTS = {"type": "array", "items": CLOUDEVENT}
JSON_OBJECT = {"type": "object", "additionalProperties": {}}
EXPECTATION = {"oneOf": [{**POSITION}, {"type": "string", "enum": ["exists", "any"]}]}


@extend_schema_field(EXPECTATION)
class ExpectationField(serializers.Field):
    """A version, or `exists`, or `any`."""


@extend_schema_field({"oneOf": [*EXPECTATION["oneOf"], {"type": "object", "additionalProperties": EXPECTATION}]})
class ExpectationsField(serializers.Field):
    """One expectation for all aggregates, or one for each."""


@extend_schema_field(AGGREGATE_ID)
class AggregateIdField(serializers.Field):
    """The aggregate id of a new event."""


@extend_schema_field(NAME)
class NameField(serializers.Field):
    """An aggregate id or an event type."""


@extend_schema_field(JSON_OBJECT)
class ObjectField(serializers.Field):
    """A JSON object."""


@extend_schema_field(POSITION)
class NumberField(serializers.Field):
    """A position or a version."""


class StoredEventSerializer(serializers.Serializer):
    position = NumberField(help_text="Its number in the whole store: rising, with gaps.")
    aggregate_id = NameField()
    version = NumberField(help_text="Its number in its aggregate: 1, 2, 3 …")
    event_id = serializers.UUIDField()
    type = NameField()
    data = ObjectField(  # type: ignore[assignment]  # REST framework keeps the names of fields apart
        required=False, help_text="Left out for users who may append but not read."
    )
    metadata = ObjectField(required=False)
    timestamp = serializers.DateTimeField(help_text="When it happened.")
    recorded_at = serializers.DateTimeField(help_text="When it was stored.")
    unreadable = serializers.CharField(
        required=False,
        help_text="Why this event cannot be read, such as an integer of 5,000 digits; what cannot be read is null.",
    )


class NewEventHereSerializer(serializers.Serializer):
    """An event for the aggregate in the address."""

    type = NameField(help_text="What happened, such as `OrderPlaced`.")
    data = ObjectField(  # type: ignore[assignment]
        required=False,
        allow_null=True,
        help_text="Numbers with a point or an exponent are stored as doubles; send exact decimals as strings.",
    )
    metadata = ObjectField(required=False, allow_null=True, help_text="Such as `correlation_id`.")
    timestamp = serializers.DateTimeField(
        required=False,
        allow_null=True,
        help_text="When it happened. More digits than microseconds are rounded. The default is now.",
    )
    event_id = serializers.UUIDField(
        required=False, allow_null=True, help_text="Choose it yourself to make a retry safe."
    )


class NewEventSerializer(NewEventHereSerializer):
    """An event for any aggregate."""

    aggregate_id = AggregateIdField()


class AppendSerializer(serializers.Serializer):
    """Events for the aggregate in the address."""

    events = NewEventHereSerializer(many=True)
    expected_version = ExpectationField(required=False)


class AppendToManySerializer(serializers.Serializer):
    """Events for any aggregates: all are stored, or none. `expected_version` may name further aggregates."""

    events = NewEventSerializer(many=True)
    expected_version = ExpectationsField(required=False)


class AppendedSerializer(serializers.Serializer):
    aggregate_id = NameField()
    version = NumberField(help_text="The new version of the aggregate.")
    position = NumberField(
        allow_null=True, help_text="The position of the last event; pass it as `at_least` to wait for it."
    )
    events = StoredEventSerializer(many=True)


class AppendedToManySerializer(serializers.Serializer):
    versions = serializers.DictField(child=serializers.IntegerField(), help_text="By aggregate id.")
    position = NumberField(allow_null=True)
    events = StoredEventSerializer(many=True)


class PageSerializer(serializers.Serializer):
    next = serializers.URLField(allow_null=True, help_text="The address of the next page.")


class HistorySerializer(PageSerializer):
    aggregate_id = NameField()
    version = NumberField(help_text="The version up to this page; use it as the next expectation.")
    events = StoredEventSerializer(many=True)


class EventPageSerializer(PageSerializer):
    events = StoredEventSerializer(many=True)
    checkpoint = NumberField(allow_null=True, help_text="Pass it as `after` later to read newer events.")


class AggregateSerializer(serializers.Serializer):
    aggregate_id = NameField()
    category = serializers.CharField()
    version = NumberField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class AggregatePageSerializer(PageSerializer):
    aggregates = AggregateSerializer(many=True)


class ImportedSerializer(serializers.Serializer):
    stored = serializers.IntegerField(help_text="Events that this request stored.")
    known = serializers.IntegerField(help_text="Events that were stored before.")


class ProblemDetailsSerializer(serializers.Serializer):
    """RFC 9457. Further fields have the data of the error."""

    type = serializers.CharField(help_text="A URL that explains the problem and its remedy, or `about:blank`.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()


class ProblemTypeExplainedSerializer(serializers.Serializer):
    title = serializers.CharField()
    remedy = serializers.CharField()


class LivenessSerializer(serializers.Serializer):
    status = serializers.CharField(help_text="`ok`.")


class ReadinessSerializer(serializers.Serializer):
    status = serializers.ChoiceField(["ok", "failing"])
    failing = serializers.ListField(child=serializers.CharField(), help_text="`database`, or nothing.")


class AddressSerializer(serializers.Serializer):
    address = serializers.URLField()
    operations = serializers.DictField(child=serializers.CharField(), help_text="What each method does.")


class TemplateSerializer(serializers.Serializer):
    template = serializers.CharField(help_text="An address with placeholders, as in RFC 6570, level 1.")
    operations = serializers.DictField(child=serializers.CharField(), help_text="What each method does.")


class RootSerializer(serializers.Serializer):
    addresses = AddressSerializer(many=True, help_text="The addresses without placeholders.")
    templates = TemplateSerializer(many=True)
    descriptions = serializers.DictField(
        child=serializers.URLField(),
        help_text="`schema`: the description in OpenAPI; `docs` and `redoc`: pages that show it.",
    )


class ConflictingSerializer(serializers.Serializer):
    aggregate_id = NameField()
    expected = ExpectationField()
    actual = NumberField()


class InvalidSerializer(ProblemDetailsSerializer):
    field = serializers.CharField()
    index = serializers.IntegerField(required=False, allow_null=True)
    line = serializers.IntegerField(required=False, help_text="The line of an import, from 1.")
    stored = serializers.IntegerField(
        required=False, help_text="The number of events of an import that were stored before the bad line."
    )
    known = serializers.IntegerField(required=False)


class VersionConflictSerializer(ProblemDetailsSerializer):
    conflicts = ConflictingSerializer(many=True, required=False)


def examples(package: str | None) -> dict[str, Any]:
    """Return the examples that `examples.json` of a package has for the schema; pass `__package__`."""
    content: dict[str, Any] = json.loads(files(package or "").joinpath("examples.json").read_text(encoding="utf-8"))
    return content


ROOT = {
    "addresses": [
        {
            "address": "https://example.com/api/events/",
            "operations": {"GET": "All events by position", "POST": "Append to several aggregates"},
        }
    ],
    "templates": [
        {
            "template": "/api/aggregates/{aggregate_id}/events/",
            "operations": {"GET": "The history of an aggregate", "POST": "Append to one aggregate"},
        }
    ],
    "descriptions": {"schema": "https://example.com/api/schema/"},
}
PLACED, PLACED_AS_CLOUDEVENT, ORDER_18, STREAMED = examples(__package__).values()
AS_CLOUDEVENTS = {cloudevents.BATCH_MEDIA_TYPE: (CLOUDEVENTS, [PLACED_AS_CLOUDEVENT])}

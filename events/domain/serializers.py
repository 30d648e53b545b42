"""Serializers of REST framework for payloads."""

from typing import Any

from rest_framework import serializers

from events.exceptions import InvalidEvent

from .event_types import PayloadType, type_of
from .forms import field_of
from .schemas import alternatives, is_nullable, schema_of


class PayloadSerializer(serializers.Serializer):
    """The base class of the serializers for payloads: `validated_data` is the JSON data, `payload` is the object."""

    event_type: PayloadType

    @property
    def payload(self) -> Any:
        """The payload of a valid serializer."""
        return self.event_type.to_payload(self.validated_data)

    def to_internal_value(self, data: Any) -> Any:
        # The codec checks what the store will check; the fields only describe the payload.
        try:
            return self.event_type.to_data(data.dict() if hasattr(data, "dict") else data)
        except InvalidEvent as error:
            name, path = field_of(error, self.fields)
            reason = f"{path}: {error.reason}" if path else error.reason
            raise serializers.ValidationError({name or "non_field_errors": [reason]}) from None

    def to_representation(self, instance: Any) -> Any:
        return self.event_type.to_data(instance)


def serializer_for(payload_class: Any) -> type[PayloadSerializer]:
    """Return a serializer class for a payload class; `serializer.payload` is the valid payload.

    Raises:
        TypeError: the class is not an event type.
    """
    event_type = type_of(payload_class)
    schema = schema_of(event_type)
    required = schema.get("required", ())
    fields = {name: _field(part, schema, name in required) for name, part in schema.get("properties", {}).items()}
    body = {**fields, "event_type": event_type, "__doc__": payload_class.__doc__}
    return type(f"{payload_class.__name__}Serializer", (PayloadSerializer,), body)


_OF_TYPE: dict[Any, Any] = {
    "integer": serializers.IntegerField,
    "number": serializers.FloatField,
    "boolean": serializers.BooleanField,
    "string": serializers.CharField,
}
_OF_FORMAT: dict[Any, Any] = {
    "date": serializers.DateField,
    "date-time": serializers.DateTimeField,
    "time": serializers.TimeField,
    "uuid": serializers.UUIDField,
}


def _field(part: Any, root: Any, is_required: bool) -> serializers.Field:
    options = [each for each in alternatives(part, root) if each.get("type") != "null"]
    common: dict[str, Any] = {"required": is_required, "allow_null": is_nullable(part, root)}
    if len(options) != 1:
        return serializers.JSONField(**common)
    (option,) = options
    if "enum" in option:
        return serializers.ChoiceField(choices=option["enum"], **common)
    make = _OF_FORMAT.get(option.get("format")) or _OF_TYPE.get(option.get("type"), serializers.JSONField)
    field: serializers.Field = make(**common)
    return field

"""The bodies of the responses, for the OpenAPI schema only; no view uses these serializers."""

from rest_framework import serializers

from events.api.serializers import NameField

EVENT_TYPE = {
    "name": "OrderPlaced",
    "earlier_names": ["OrderSubmitted"],
    "version": 2,
    "description": "A customer has placed an order.",
    "schema": "https://example.com/api/event-types/OrderPlaced/",
}
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "OrderPlaced",
    "type": "object",
    "properties": {"customer": {"type": "string"}},
    "required": ["customer"],
}


class EventTypeSerializer(serializers.Serializer):
    name = NameField(help_text="Its newest name.")
    earlier_names = serializers.ListField(child=NameField(), help_text="Names under which events may be stored.")
    version = serializers.IntegerField(min_value=1, help_text="The newest version of its data.")
    description = serializers.CharField(allow_blank=True, help_text="The docstring of its class.")
    schema = serializers.URLField(help_text="The address of the JSON Schema of its data.")


class EventTypesSerializer(serializers.Serializer):
    event_types = EventTypeSerializer(many=True)

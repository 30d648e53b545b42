"""Django forms for payloads, made from the JSON Schema of their event type."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from django import forms
from django.forms.fields import InvalidJSONInput

from events.exceptions import InvalidEvent
from events.formats.serialization import from_json, json_fault

from .event_types import PayloadType, type_of
from .schemas import alternatives, example_of, is_nullable, schema_of


class PayloadForm(forms.Form):
    """The base class of the forms for payloads.

    Attributes:
        event_type: the type of the payload.
        payload_data: the JSON data of the payload, once the form is valid.
    """

    event_type: PayloadType
    nullable: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()  # the names of fields that are not of the payload
    payload_data: dict[str, Any]

    @property
    def payload(self) -> Any:
        """The payload of a valid form."""
        return self.event_type.to_payload(self.payload_data)

    def entered(self) -> dict[str, Any]:
        """Return what the user has entered, valid or not, as `initial` for a form that is shown again."""
        return {each.name: each.field.bound_data(each.data, each.initial) for each in self}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        try:
            self.payload_data = self.event_type.to_data(self._given(cleaned))
        except InvalidEvent as error:
            name, path = field_of(error, self.fields)
            self.add_error(name, f"{path}: {error.reason}" if path else error.reason)
        return cleaned

    def _given(self, cleaned: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values that the payload gets; a field that is left empty gets None, or its default."""
        given = {}
        for name, value in cleaned.items():
            if name in self.without:
                continue
            if value is not None and value != "":
                given[name] = value
            elif name in self.nullable:
                given[name] = None
        return given


class JSONField(forms.JSONField):
    """A field for JSON, in which an empty list or object is a value; an error has its line and column."""

    empty_values = (None, "")
    widget = forms.Textarea(attrs={"class": "event-json", "rows": 6, "spellcheck": "false", "dir": "ltr"})

    def to_python(self, value: Any) -> Any:
        if value in self.empty_values:
            return None
        try:
            return from_json(value)
        except ValueError as error:
            raise forms.ValidationError(json_fault(error)) from None

    def bound_data(self, data: Any, initial: Any) -> Any:
        return None if data is None else InvalidJSONInput(data)  # the text is shown again as it was entered

    def prepare_value(self, value: Any) -> Any:
        return "" if value is None else super().prepare_value(value)


def form_for(payload_class: Any) -> type[PayloadForm]:
    """Return a form class with a field for each field of a payload class; `form.payload` is the valid payload.

    Numbers, texts, times and choices have fields of their kind; lists and nested objects are JSON.

    Raises:
        TypeError: the class is not an event type.
    """
    return form_of_type(type_of(payload_class))


def form_of_type(event_type: PayloadType) -> type[PayloadForm]:
    """Return the form class for the payloads of an event type."""
    schema = schema_of(event_type)
    properties, required = schema.get("properties", {}), schema.get("required", ())
    fields = {name: _field(name, part, schema, name in required) for name, part in properties.items()}
    nullable = frozenset(name for name, part in properties.items() if is_nullable(part, schema))
    body = {**fields, "event_type": event_type, "nullable": nullable}
    return type(f"{event_type.payload_class.__name__}Form", (PayloadForm,), body)


def field_of(error: InvalidEvent, fields: Mapping[str, Any]) -> tuple[str | None, str]:
    """Return the field to which an error of a payload belongs, and the path inside it; None if it is of no field."""
    path = error.field.removeprefix("data").removeprefix(".")
    name = path.split(".")[0].split("[")[0]
    return (name, path.removeprefix(name).removeprefix(".")) if name in fields else (None, path)


_HINTS: dict[Any, str] = {"date": "For example 2030-01-31.", "date-time": "For example 2030-01-31 12:30."}


def _field(name: str, part: Mapping[str, Any], root: Mapping[str, Any], is_required: bool) -> forms.Field:
    options = [each for each in alternatives(part, root) if each.get("type") != "null"]
    make = _maker(options[0]) if len(options) == 1 else JSONField
    needs_value = is_required and not is_nullable(part, root)
    if make is forms.BooleanField and is_nullable(part, root):
        make = forms.NullBooleanField
    return make(
        required=needs_value and make is not forms.BooleanField,
        initial=part.get("default"),
        label=name.replace("_", " ").capitalize(),
        help_text=" ".join(filter(None, (part.get("description"), _hint(make, options, root)))),
    )


def _hint(make: Any, options: list[Any], root: Mapping[str, Any]) -> str:
    if make is JSONField:
        return f"JSON, for example {json.dumps(example_of(options[0], root), ensure_ascii=False)}"
    return _HINTS.get(options[0].get("format"), "")


def _maker(part: Mapping[str, Any]) -> Any:
    if "enum" in part or "const" in part:
        values = {str(value): value for value in part.get("enum", [part.get("const")])}
        choices = [("", "---------"), *((text, text) for text in values)]
        return partial(forms.TypedChoiceField, choices=choices, coerce=values.__getitem__)
    kind, style = part.get("type"), part.get("format")
    if kind == "string":
        of_format = {
            "date": forms.DateField,
            "date-time": forms.DateTimeField,
            "time": forms.TimeField,
            "uuid": forms.UUIDField,
            "decimal": forms.DecimalField,
        }
        lengths: dict[str, Any] = {"min_length": part.get("minLength"), "max_length": part.get("maxLength")}
        return of_format.get(str(style)) or partial(forms.CharField, strip=False, **lengths)
    limits = {"min_value": part.get("minimum"), "max_value": part.get("maximum")}
    numbers: dict[Any, Any] = {"integer": forms.IntegerField, "number": forms.FloatField}
    if kind in numbers:
        return partial(numbers[kind], **limits)
    return forms.BooleanField if kind == "boolean" else JSONField

"""The form that appends one event."""

import json
from typing import Any
from uuid import UUID

from django import forms
from django.contrib.admin.widgets import AdminSplitDateTime, AdminTextareaWidget, AdminTextInputWidget

from events.exceptions import InvalidEvent
from events.formats.serialization import from_json
from events.types import NewEvent
from events.validation import MAX_NAME_CHARACTERS, validate_events


class JSONObjectField(forms.CharField):
    """JSON typed by hand; a fault is shown with its place."""

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        try:
            return from_json(text) if text else {}
        except json.JSONDecodeError as error:
            fault = f"{error.msg} at line {error.lineno}, column {error.colno}"
        except ValueError as error:  # an integer of too many digits, nested too deep, a name twice in one object
            fault = str(error)
        raise forms.ValidationError(f"This cannot be read as JSON: {fault}.")


class MomentWidget(AdminSplitDateTime):
    """The admin's own, whose two fields have names for those who do not see them."""

    def __init__(self) -> None:
        super().__init__()
        for widget, name in zip(self.widgets, ("Date", "Time"), strict=True):
            widget.attrs["aria-label"] = name


class AppendForm(forms.Form):
    """One event, the version it shall follow, and the id that makes sending it twice store it once."""

    aggregate_id = forms.CharField(
        max_length=MAX_NAME_CHARACTERS,
        strip=False,
        widget=AdminTextInputWidget(attrs={"list": "aggregate-ids", "autocomplete": "off"}),
        help_text="Such as order-1001. What stands before the first dash is its category.",
    )
    type = forms.CharField(
        max_length=MAX_NAME_CHARACTERS,
        widget=AdminTextInputWidget(attrs={"list": "event-types", "autocomplete": "off"}),
        help_text="What happened, such as OrderShipped.",
    )
    data = JSONObjectField(  # type: ignore[assignment]  # Django keeps the name apart from the form's own `data`
        required=False,
        widget=AdminTextareaWidget(attrs={"rows": 8, "spellcheck": "false", "class": "vLargeTextField event-json"}),
        help_text="A JSON object.",
    )
    metadata = JSONObjectField(
        required=False,
        widget=AdminTextareaWidget(attrs={"rows": 3, "spellcheck": "false", "class": "vLargeTextField event-json"}),
        help_text="A JSON object about the event, such as its correlation_id.",
    )
    timestamp = forms.SplitDateTimeField(
        required=False, widget=MomentWidget, help_text="When it happened; empty for now."
    )
    expected_version = forms.IntegerField(min_value=0, max_value=2**63 - 1, widget=forms.HiddenInput)
    event_id = forms.UUIDField(widget=forms.HiddenInput)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        try:
            validate_events([self.new_event()])
        except InvalidEvent as error:
            field, _, path = error.field.partition(".")
            self.add_error(field, f"{path}: {error.reason}" if path else error.reason)
        return cleaned

    def expect(self, version: int) -> None:
        """Have the form, when it is shown again, follow another version."""
        self.data = {**self.data.dict(), "expected_version": str(version)}  # type: ignore[attr-defined,assignment]

    def new_event(self) -> NewEvent:
        """Return the event of a valid form."""
        given = self.cleaned_data
        event_id: UUID = given["event_id"]
        return NewEvent(
            given["aggregate_id"],
            given["type"],
            given["data"],
            given["timestamp"],
            metadata=given["metadata"],
            event_id=event_id,
        )

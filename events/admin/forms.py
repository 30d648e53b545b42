"""The form that appends one event."""

import json
from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminSplitDateTime, AdminTextareaWidget, AdminTextInputWidget
from django.utils import timezone

from events.exceptions import InvalidEvent
from events.formats.serialization import from_json
from events.types import NewEvent
from events.validation import MAX_NAME_CHARACTERS, validate_events

_JSON_ATTRIBUTES = {"spellcheck": "false", "class": "vLargeTextField event-json", "dir": "ltr"}


class JSONObjectField(forms.CharField):
    """A field for JSON; an error has its line and column."""

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        try:
            return from_json(text) if text else {}
        except json.JSONDecodeError as error:
            reason = f"{error.msg} at line {error.lineno}, column {error.colno}"
        except ValueError as error:  # an integer of too many digits, nested too deep, a duplicate name in an object
            reason = str(error)
        raise forms.ValidationError(f"This is not valid JSON: {reason}.")


class MomentWidget(AdminSplitDateTime):
    """The admin's widget, whose two fields get names for screen readers."""

    def __init__(self) -> None:
        super().__init__()
        for widget, name in zip(self.widgets, ("Date", "Time"), strict=True):
            widget.attrs["aria-label"] = name


class AppendForm(forms.Form):
    """An event, its expected version, and its id, so that sending the form twice stores the event once."""

    aggregate_id = forms.CharField(
        max_length=MAX_NAME_CHARACTERS,
        strip=False,
        widget=AdminTextInputWidget(attrs={"list": "aggregate-ids", "autocomplete": "off", "dir": "auto"}),
        help_text="For example order-1001. The part before the first dash is the category.",
    )
    type = forms.CharField(
        max_length=MAX_NAME_CHARACTERS,
        strip=False,
        widget=AdminTextInputWidget(attrs={"list": "event-types", "autocomplete": "off", "dir": "auto"}),
        help_text="What happened, for example OrderShipped.",
    )
    data = JSONObjectField(  # type: ignore[assignment]  # Django keeps the name apart from the form's own `data`
        required=False,
        widget=AdminTextareaWidget(attrs={"rows": 8, **_JSON_ATTRIBUTES}),
        help_text="A JSON object.",
    )
    metadata = JSONObjectField(
        required=False,
        widget=AdminTextareaWidget(attrs={"rows": 3, **_JSON_ATTRIBUTES}),
        help_text="A JSON object about the event, such as its correlation_id.",
    )
    timestamp = forms.SplitDateTimeField(required=False, widget=MomentWidget)
    expected_version = forms.IntegerField(min_value=0, max_value=2**63 - 1, widget=forms.HiddenInput)
    event_id = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zone = timezone.get_current_timezone_name()
        self.fields["timestamp"].help_text = f"When it happened, in the time zone {zone}. Leave it empty for now."

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
        """Set the expected version of the form when it is shown again."""
        self.data = {**self.data.dict(), "expected_version": str(version)}  # type: ignore[attr-defined,assignment]

    def new_event(self) -> NewEvent:
        """Return the event of a valid form."""
        fields = ("aggregate_id", "type", "data", "timestamp", "metadata", "event_id")
        return NewEvent(**{name: self.cleaned_data[name] for name in fields})

"""The form that appends one event."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from django import forms
from django.contrib.admin.widgets import AdminSplitDateTime, AdminTextareaWidget, AdminTextInputWidget
from django.utils import timezone

from events.exceptions import InvalidEvent
from events.formats.serialization import from_json, json_fault
from events.types import MAX_BIGINT, NewEvent
from events.validation import MAX_NAME_CHARACTERS, validate_events
from events.visible import visible

_JSON_ATTRIBUTES = {"spellcheck": "false", "class": "vLargeTextField event-json", "dir": "ltr"}


class DataForm(Protocol):
    """A form with the fields of the data of one event type.

    Attributes:
        is_bound: whether it holds what the user has entered.
        initial: the values that it shows if it is not bound.
        payload_data: the data, once the form is valid.
    """

    is_bound: bool
    initial: Any
    payload_data: dict[str, Any]

    def is_valid(self) -> bool: ...

    def entered(self) -> dict[str, Any]:
        """Return what the user has entered, valid or not, as `initial` for a form that is shown again."""


FindDataForm = Callable[[str], Callable[..., DataForm] | None]

_finders: list[FindDataForm] = []


def register_data_forms(find: FindDataForm) -> None:
    """Call `find(event_type)` for the class of a form with the fields of a type's data; None: it has none."""
    if find not in _finders:
        _finders.append(find)


class JSONObjectField(forms.CharField):
    """A field for JSON; an error has its line and column."""

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        try:
            return from_json(text) if text else {}
        except ValueError as error:
            raise forms.ValidationError(json_fault(error)) from None


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
        help_text="What happened, in the past tense.",
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
    expected_version = forms.IntegerField(min_value=0, max_value=MAX_BIGINT, widget=forms.HiddenInput)
    event_id = forms.UUIDField(widget=forms.HiddenInput)
    # The type whose fields the page shows, and whether the JSON is to be used in place of them.
    fields_of = forms.CharField(required=False, strip=False, widget=forms.HiddenInput)
    use_json = forms.BooleanField(required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.data_form = self._data_form()
        zone = timezone.get_current_timezone_name()
        self.fields["timestamp"].help_text = f"When it happened, in the time zone {zone}. Leave it empty for now."

    @property
    def offers_fields(self) -> bool:
        """Whether there are types with fields, so that the user may ask for them."""
        return bool(_finders)

    @property
    def uses_fields(self) -> bool:
        """Whether the data is that of the fields, and not the JSON."""
        return bool(self.data_form and self.data_form.is_bound and not self["use_json"].value())

    @property
    def _shown_type(self) -> str:
        entered: Any = self.data
        return str(entered.get("fields_of", ""))

    def shown_again(self) -> "AppendForm":
        """Return the form with what was entered, and with the fields of its type, before it is sent."""
        entered: Any = self.data
        timestamp: Any = self.fields["timestamp"].widget.value_from_datadict(entered, self.files, "timestamp")
        names = ("aggregate_id", "type", "data", "metadata", "expected_version", "event_id", "use_json")
        form = AppendForm(initial={**{name: entered.get(name, "") for name in names}, "timestamp": timestamp})
        if self.data_form and self.data_form.is_bound and form.data_form:
            form.data_form.initial = self.data_form.entered()
        return form

    def _data_form(self) -> DataForm | None:
        """Return the form with the fields of the type; None if it has none, or if the user has used the JSON.

        It is bound if the page has shown these fields, and empty if the page has shown those of another type.
        """
        event_type = str(self["type"].value() or "")
        make = next((make for find in _finders if (make := find(event_type))), None)
        if make is None or (self.is_bound and not self._shown_type):
            return None
        if self.is_bound and self._shown_type == event_type:
            return make(self.data, prefix="data")
        initial = {}
        with suppress(ValueError):
            initial = from_json(str(self["data"].value() or "{}"))
        return make(prefix="data", initial=initial if isinstance(initial, dict) else {})

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if self.uses_fields:
            assert self.data_form is not None  # noqa: S101  # `uses_fields` says so
            self.errors.pop("data", None)
            if not self.data_form.is_valid():
                self.add_error(None, "Correct the marked fields.")
                return cleaned
            cleaned["data"] = self.data_form.payload_data
        elif self._shown_type and self._shown_type != cleaned.get("type") and not self["use_json"].value():
            self.add_error(
                "type",
                f"You have changed the type; the data was that of {visible(self._shown_type)}."
                " Check the data, then append the event.",
            )
        if self.errors:
            return cleaned
        try:
            validate_events([self.new_event()])
        except InvalidEvent as error:
            field, _, path = error.field.partition(".")
            if field == "data" and self.uses_fields:
                field, path = "__all__", error.field
            self.add_error(field, f"{path}: {error.reason}" if path else error.reason)
        return cleaned

    def expect(self, version: int) -> None:
        """Set the expected version of the form when it is shown again."""
        self.data = {**self.data.dict(), "expected_version": str(version)}  # type: ignore[attr-defined,assignment]

    def new_event(self) -> NewEvent:
        """Return the event of a valid form."""
        fields = ("aggregate_id", "type", "data", "timestamp", "metadata", "event_id")
        return NewEvent(**{name: self.cleaned_data[name] for name in fields})

"""The fields of the form that appends."""

import json

import pytest
from django.core.exceptions import ValidationError

from events.admin.forms import AppendForm, JSONObjectField


@pytest.mark.parametrize("text", ['{"n": 1180591620717411303424, "f": 1.0}', "{}", ' {"a": {"b": []}} '])
def test_object_is_read_exactly(text: str) -> None:
    assert JSONObjectField(required=False).clean(text) == json.loads(text)


@pytest.mark.parametrize("text", ["{", "{'a': 1}", '{"a": NaN}', '{"a": 1, "a": 2}'])
def test_text_that_is_no_json_is_rejected(text: str) -> None:
    with pytest.raises(ValidationError):
        JSONObjectField(required=False).clean(text)


def test_form_reads_its_fields() -> None:
    form = AppendForm({"aggregate_id": "a-1", "type": "Happened", "data": "{}", "metadata": "{}"})
    missing = {name for name, field in form.fields.items() if field.required} - {"aggregate_id", "type"}
    values = {name: form[name].value() for name in form.fields}
    assert {"aggregate_id", "type", "data", "metadata"} <= values.keys()
    form.is_valid()
    assert set(form.errors) <= missing
    assert form.cleaned_data["data"] == {}

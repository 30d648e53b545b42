"""The data of CloudEvents as the data of events, and back."""

import json
from typing import Any

import pytest

from events.exceptions import InvalidEvent
from events.formats.cloudevent_data import from_body, from_object, to_object

KINDS: list[tuple[dict[str, Any], Any]] = [
    ({"datacontenttype": "application/json", "data": {"n": 1}}, {"n": 1}),
    ({"datacontenttype": "Application/VND.x+JSON ; charset=utf-8", "data": {"n": 1}}, {"n": 1}),
    ({"datacontenttype": "text/plain", "data": ""}, {"text": ""}),
    ({"datacontenttype": "text/plain", "data": '{"n": 1}'}, {"text": '{"n": 1}'}),
    ({"datacontenttype": "image/png", "data_base64": ""}, {"base64": ""}),
    ({"datacontenttype": "text/plain", "data_base64": "/w=="}, {"base64": "/w=="}),
]


@pytest.mark.parametrize(("content", "data"), KINDS)
def test_data_of_each_kind_goes_round(content: dict[str, Any], data: Any) -> None:
    assert to_object(content) == data
    assert from_object(data, content["datacontenttype"]) == content


def test_data_that_is_not_of_its_kind_is_returned_as_json() -> None:
    for data in ({}, {"text": 5}, {"text": "a", "more": 1}, {"base64": None}, None):
        assert from_object(data, "text/plain") == {"datacontenttype": "application/json", "data": data}
    assert from_object({"text": "a"}, "nothing") == {"datacontenttype": "application/json", "data": {"text": "a"}}


def test_absent_data_is_an_empty_object() -> None:
    assert to_object({}) == to_object({"datacontenttype": "text/plain"}) == {}
    assert from_body(b"", "text/plain") == {}


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({"data": {}, "data_base64": ""}, "data_base64"),
        ({"data_base64": "e30"}, "data_base64"),
        ({"data_base64": "e30=\n"}, "data_base64"),
        ({"data_base64": "é"}, "data_base64"),
        ({"data_base64": "ew=="}, "data_base64"),
        ({"datacontenttype": "text/xml", "data": {"a": 1}}, "data"),
        ({"datacontenttype": "xml"}, "datacontenttype"),
        ({"datacontenttype": ["text/xml"]}, "datacontenttype"),
    ],
)
def test_data_that_is_not_valid_is_named(content: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        to_object(content)
    assert caught.value.field == field


def test_body_is_json_text_or_bytes() -> None:
    assert from_body(json.dumps({"n": 2**70}).encode(), "") == {"data": {"n": 2**70}}
    assert from_body("é".encode("latin-1"), "text/plain; Charset=ISO-8859-1") == {"data": "é"}
    assert from_body(b"<a/>", "image/svg+xml") == {"data": "<a/>"}
    assert from_body(b"\xff", "application/octet-stream") == {"data_base64": "/w=="}


@pytest.mark.parametrize("charset", ["punycode", "IDNA", "base64", "nothing", "unicode_escape", "raw_unicode_escape"])
def test_body_in_no_charset_is_rejected(charset: str) -> None:
    with pytest.raises(InvalidEvent, match="is not text in the encoding"):
        from_body(b"a", f"text/plain; charset={charset}")

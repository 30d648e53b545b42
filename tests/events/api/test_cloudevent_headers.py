"""CloudEvents in binary mode, sent by the reference implementation."""

import json
from typing import Any

import pytest
from cloudevents.core.bindings.http import to_binary_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from rest_framework.test import APIClient

from events.formats.cloudevents import BATCH_MEDIA_TYPE, MEDIA_TYPE
from events.models import Event
from tests.support import stored

pytestmark = pytest.mark.django_db

ATTRIBUTES = {"specversion": "1.0", "id": "17", "source": "/shops/7", "type": "Placed", "subject": "order-1"}


def send(api: APIClient, headers: dict[str, str], body: bytes = b"", path: str = "/api/events/", **more: str) -> Any:
    kind = headers.pop("content-type", "")
    return api.generic("POST", path, body, kind, headers={**headers, **more})


def sent(api: APIClient, data: Any, **attributes: Any) -> Any:
    message = to_binary_event(CloudEvent({**ATTRIBUTES, **attributes}, data))
    return send(api, {"content-type": "", **message.headers}, message.body)


@pytest.mark.parametrize(
    ("kind", "data", "as_stored"),
    [
        ("application/json", {"total": 84.5, "name": "ü"}, {"total": 84.5, "name": "ü"}),
        ("application/vnd.shop+json; charset=utf-8", {"n": 1}, {"n": 1}),
        (None, {"n": 1}, {"n": 1}),
        ("text/plain", "two\nlines ü", {"text": "two\nlines ü"}),
        ("application/xml", "<a/>", {"text": "<a/>"}),
        ("image/png", b"\x89PNG\x00\xff", {"base64": "iVBORwD/"}),
        ("application/x-www-form-urlencoded", b"a=1&b=2", {"base64": "YT0xJmI9Mg=="}),
        ("multipart/form-data; boundary=x", b"--x--", {"base64": "LS14LS0="}),
    ],
)
def test_body_of_any_kind_becomes_an_object_and_is_returned_as_it_came(
    api: APIClient, kind: str | None, data: Any, as_stored: Any
) -> None:
    attributes = {"datacontenttype": kind} if kind else {}
    name = 'Größe "10%" \U0001f600'
    first = sent(api, data, **attributes, name=name)
    assert (first.status_code, sent(api, data, **attributes, name=name).status_code) == (201, 200), first.data
    event = Event.objects.get()
    assert (event.aggregate_id, event.type, event.data) == ("order-1", "Placed", as_stored)
    out = api.get(f"/api/events/{event.event_id}/", headers={"Accept": MEDIA_TYPE}).json()
    assert (out["id"], out["source"], out["name"]) == ("17", "/shops/7", name)
    assert out["datacontenttype"] == (kind or "application/json")
    read = JSONFormat().read(CloudEvent, json.dumps(out))
    assert read.get_data() == data
    batch = json.dumps([{**out, "id": "18"}])
    assert api.post("/api/events/", batch, content_type=BATCH_MEDIA_TYPE).status_code == 201
    assert Event.objects.latest("position").data == as_stored


def test_headers_that_are_not_valid_are_named(api: APIClient) -> None:
    valid = {f"ce-{name}": value for name, value in ATTRIBUTES.items()}
    kind = {"content-type": "application/json"}
    for headers, body, field in (
        ({**valid, "ce-specversion": "0.3"}, b"", "specversion"),
        ({"ce-type": "T"}, b"", "specversion"),
        ({**valid, "ce-id": "%ed%a0%80"}, b"", "Ce-Id"),
        ({**valid, "ce-id": "order-Ã©"}, b"", "Ce-Id"),
        ({**valid, "ce-id": "a%00"}, b"", "id"),
        ({**valid, "ce-data": "{}"}, b"", "Ce-Data"),
        ({**valid, "ce-two-words": "x"}, b"", "two-words"),
        ({**valid, **kind}, b"{", "body"),
        ({**valid, **kind}, b'{"a": 1, "a": 2}', "body"),
        ({**valid, **kind}, b"[1]", "data"),
        ({**valid, "content-type": "nothing"}, b"x", "datacontenttype"),
        ({**valid, "content-type": "text/plain"}, b"\xff", "body"),
        ({**valid, "content-type": "text/plain; charset=klingon"}, b"x", "body"),
        ({**valid, "content-type": "text/plain"}, b"a\x00", "data.text"),
    ):
        response = send(api, headers, body)
        assert (response.status_code, response.json()["field"]) == (400, field), (headers, response.data)
    assert stored() == []


def test_binary_mode_takes_an_expectation_and_leaves_structured_events_alone(api: APIClient) -> None:
    path = "/api/aggregates/order-1/events/"
    headers = {f"ce-{name}": value for name, value in ATTRIBUTES.items() if name != "subject"}
    assert (
        send(api, {**headers, "ce-type": '"In \\"quotes\\""'}, path=path, **{"If-None-Match": "*"}).status_code == 201
    )
    assert Event.objects.get().type == 'In "quotes"'
    assert send(api, {**headers, "ce-id": "18"}, path=path, **{"If-None-Match": "*"}).status_code == 412
    structured = json.dumps({**ATTRIBUTES, "id": "19"}).encode()
    assert send(api, {"content-type": MEDIA_TYPE, "ce-id": "20"}, structured).status_code == 201
    assert [event.metadata["cloudevent"]["id"] for event in Event.objects.order_by("position")] == ["17", "19"]

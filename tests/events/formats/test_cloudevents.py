"""CloudEvents in and out, checked with the reference implementation."""

import json
from typing import Any

import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from django.db import connection
from rest_framework.test import APIClient

from events.conf import conf
from events.exceptions import InvalidEvent
from events.formats.cloudevents import BATCH_MEDIA_TYPE, MEDIA_TYPE, from_event, to_new_event
from events.models import Event
from events.store import EventStore
from events.types import ReceivedEvent
from tests.support import new, some, stored

pytestmark = pytest.mark.django_db


GIVEN: dict[str, Any] = {
    "specversion": "1.0",
    "id": "018fd2c3-7a9e-7cc0-a7a0-1d2e3f4a5b6c",
    "source": "/shops/7",
    "type": "com.example.placed",
    "subject": "order-1",
    "time": "2030-01-31T12:00:00.5+01:00",
    "datacontenttype": "application/json",
    "dataschema": "https://example.com/schemas/placed",
    "correlationid": "c-1",
    "causationid": "e-0",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "priority": 5,
    "urgent": True,
    "data": {"total": 84.5, "big": 2**70},
}


def send(api: APIClient, content: Any, path: str = "/api/events/", kind: str = MEDIA_TYPE, **headers: str) -> Any:
    return api.post(path, json.dumps(content), content_type=kind, headers=headers)


def test_cloudevent_becomes_an_event_and_is_returned_unchanged(api: APIClient) -> None:
    assert send(api, GIVEN).status_code == 201
    event = Event.objects.get()
    assert (event.aggregate_id, event.type, event.data) == ("order-1", GIVEN["type"], GIVEN["data"])
    assert event.metadata["correlation_id"] == "c-1"
    assert event.timestamp.isoformat() == "2030-01-31T11:00:00.500000+00:00"
    out = api.get(f"/api/events/{event.event_id}/", headers={"Accept": MEDIA_TYPE})
    assert out.headers["Content-Type"] == MEDIA_TYPE
    found = out.json()
    again = send(api, GIVEN, Accept=BATCH_MEDIA_TYPE)
    assert (again.status_code, again.headers["Content-Type"], again.json()) == (200, BATCH_MEDIA_TYPE, [found])
    assert found.pop("time") == event.timestamp.isoformat()
    assert found.pop("sequence") == f"{event.position:019}"
    assert found.pop("aggregateversion") == "1"
    assert found.pop("recordedtime") == event.recorded_at.isoformat()
    assert found == {name: value for name, value in GIVEN.items() if name != "time"}


def test_events_are_cloudevents_to_the_reference_implementation(api: APIClient, store: EventStore) -> None:
    store.dispatch(new("a-1", data={"n": 1}, metadata={"correlation_id": "c", "by": {"who": "me"}}), *some(2, "b-1"))
    out = api.get("/api/events/", headers={"Accept": BATCH_MEDIA_TYPE})
    assert out.headers["Content-Type"] == BATCH_MEDIA_TYPE
    for content, event in zip(out.json(), Event.objects.order_by("position"), strict=True):
        read = JSONFormat().read(CloudEvent, json.dumps(content))
        assert (read.get_id(), read.get_type()) == (str(event.event_id), event.type)
        assert (read.get_subject(), read.get_source()) == (event.aggregate_id, "/events")
        assert (read.get_time(), read.get_data()) == (event.timestamp, event.data)
    first = out.json()[0]
    assert first["correlationid"] == "c"
    assert json.loads(first["eventmetadata"]) == {"by": {"who": "me"}}


def test_cloudevent_of_the_reference_implementation_is_taken(api: APIClient) -> None:
    event = CloudEvent({"id": "17", "source": "/x", "type": "T", "subject": "a-1", "specversion": "1.0"}, {"n": 1})
    written = json.loads(JSONFormat().write(event))
    assert send(api, written).status_code == 201
    assert Event.objects.get().data == {"n": 1}


def test_own_events_go_round(api: APIClient, store: EventStore) -> None:
    store.dispatch(new("a-1", data={"n": 1}, metadata={"correlation_id": "c", "by": [1, None]}))
    batch = api.get("/api/events/", headers={"Accept": BATCH_MEDIA_TYPE}).json()
    before = Event.objects.get()
    assert send(api, batch, kind=BATCH_MEDIA_TYPE).status_code == 200  # known by their ids
    batch[0]["id"] = str(new().event_id)
    assert send(api, batch, kind=BATCH_MEDIA_TYPE).status_code == 201
    after = Event.objects.latest("position")
    assert (after.data, after.metadata, after.timestamp) == (before.data, before.metadata, before.timestamp)


@pytest.mark.parametrize("identity", ["17", "018FD2C3-7A9E-7CC0-A7A0-1D2E3F4A5B6C", GIVEN["id"], "x" * 300])
def test_source_and_id_together_make_a_retry_safe_all_the_same(api: APIClient, identity: str) -> None:
    content = {**GIVEN, "id": identity}
    assert [send(api, content).status_code for _ in range(2)] == [201, 200]
    assert send(api, {**content, "source": "/shops/8"}).status_code == 201
    out = api.get("/api/events/", headers={"Accept": BATCH_MEDIA_TYPE}).json()
    assert [(each["id"], each["source"]) for each in out] == [(identity, "/shops/7"), (identity, "/shops/8")]


def test_batch_into_one_aggregate_with_an_expectation(api: APIClient) -> None:
    batch = [{**GIVEN, "id": str(n)} for n in range(3)]
    del batch[0]["subject"]
    path = "/api/aggregates/order-1/events/"
    assert send(api, batch, path, BATCH_MEDIA_TYPE, **{"If-None-Match": "*"}).status_code == 201
    assert [event["version"] for event in api.get(path).json()["events"]] == [1, 2, 3]
    assert send(api, {**GIVEN, "id": "9"}, path, **{"If-Match": '"2"'}).status_code == 412
    assert len(api.get(path, headers={"Accept": BATCH_MEDIA_TYPE}).json()) == 3


def test_next_page_of_a_batch_is_in_a_header(api: APIClient, store: EventStore) -> None:
    store.dispatch(*some(5))
    seen, url = [], "/api/events/?limit=2"
    while url:
        response = api.get(url, headers={"Accept": BATCH_MEDIA_TYPE})
        seen += [int(each["aggregateversion"]) for each in response.json()]
        link = response.headers.get("Link", "")
        url = link.removeprefix("<").removesuffix('>; rel="next"')
    assert seen == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"id": ""}, "id"),
        ({"id": 5}, "id"),
        ({"source": None}, "source"),
        ({"type": None}, "type"),
        ({"subject": None}, "subject"),
        ({"subject": ""}, "aggregate_id"),
        ({"time": "noon"}, "time"),
        ({"data": [1]}, "data"),
        ({"data_base64": "AA=="}, "data_base64"),
        ({"data": None, "data_base64": "AA=="}, "data_base64"),
        ({"data": None, "data_base64": "A A=", "datacontenttype": "image/png"}, "data_base64"),
        ({"data": None, "data_base64": 5, "datacontenttype": "image/png"}, "data_base64"),
        ({"datacontenttype": "text/xml"}, "data"),
        ({"datacontenttype": 5}, "datacontenttype"),
        ({"Priority": 1}, "Priority"),
        ({"priority": {"a": 1}}, "priority"),
        ({"priority": 2**31}, "priority"),
        ({"id": "\ud800"}, "id"),
        ({"id": "a\n"}, "id"),
        ({"id": "\uffff"}, "id"),
        ({"priority": "\udfff"}, "priority"),
        ({"correlationid": "\0"}, "correlationid"),
        ({"datacontenttype": "text/\ud800", "data": "x"}, "datacontenttype"),
        ({"source": "a shop"}, "source"),
        ({"source": "//[::1"}, "source"),
        ({"dataschema": "schemas/placed"}, "dataschema"),
        ({"dataschema": "\u00b2\u000en"}, "dataschema"),
        ({"dataschema": True}, "dataschema"),
        ({"eventmetadata": "[1]"}, "eventmetadata"),
        ({"eventmetadata": 5}, "eventmetadata"),
        ({"eventmetadata": '{"a": 1, "a": 2}'}, "eventmetadata"),
    ],
)
def test_invalid_cloudevent_names_the_field(api: APIClient, changes: dict[str, Any], field: str) -> None:
    response = send(api, {**GIVEN, **changes})
    assert (response.status_code, response.json()["field"], response.json()["index"]) == (400, field, 0), response.data
    assert stored() == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"data": [1]}, "is a list; it must be an object"),
        ({"data": None, "data_base64": "bnVsbA=="}, "is null; it must be an object"),
        ({"subject": True}, "is true; it must be a string"),
        ({"subject": {"a": 1}}, "is an object; it must be a string"),
        ({"specversion": None}, 'is null; it must be "1.0"'),
        ({"datacontenttype": {"a": 1}}, "is an object; it must be a media type"),
        ({"dataschema": True}, "is true; give a URI"),
        ({"source": "a b" * 1000}, f"is '{'a b' * 33}…; give a URI reference"),
    ],
)
def test_reason_is_short_and_in_the_words_of_json(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        to_new_event({**GIVEN, **changes}, "default")
    assert caught.value.reason.startswith(reason)


def test_null_attribute_counts_as_absent(api: APIClient) -> None:
    optional = (
        "time",
        "datacontenttype",
        "dataschema",
        "correlationid",
        "priority",
        "data",
        "data_base64",
        "Not a name",
    )
    nothing = dict.fromkeys((*optional, "eventmetadata"))
    required = {name: GIVEN[name] for name in ("specversion", "id", "source", "type", "subject")}
    assert send(api, {**required, **nothing}).status_code == 201
    assert send(api, {**required, "id": "2", "subject": None}, "/api/aggregates/order-1/events/").status_code == 201
    first, second = Event.objects.order_by("position")
    assert (first.data, first.metadata["cloudevent"]) == ({}, {"id": GIVEN["id"], "source": GIVEN["source"]})
    assert (second.aggregate_id, second.version) == ("order-1", 2)


def test_text_and_bytes_are_returned_as_they_came(api: APIClient) -> None:
    given = {name: value for name, value in GIVEN.items() if name != "data"}
    kinds = (
        ({"datacontenttype": "text/plain", "data": "a\nb"}, {"text": "a\nb"}),
        ({"datacontenttype": "image/png", "data_base64": "iVBORwD/"}, {"base64": "iVBORwD/"}),
    )
    for number, (content, data) in enumerate(kinds):
        assert send(api, {**given, "id": str(number), **content}).status_code == 201
        event = Event.objects.latest("position")
        assert event.data == data
        assert content.items() <= from_event(event).items()
    of_json = {"data_base64": "eyJuIjogMX0="}
    assert send(api, {**given, "id": "json", **of_json}).status_code == 201
    assert Event.objects.latest("position").data == {"n": 1}


def test_correlation_id_that_no_attribute_may_have_stays_in_the_metadata(store: EventStore) -> None:
    (event,) = store.dispatch(new("a-1", metadata={"correlation_id": "two\nlines"}))
    given_out = from_event(event)
    assert json.loads(given_out["eventmetadata"]) == {"correlation_id": "two\nlines"}
    assert "correlationid" not in given_out


@pytest.mark.parametrize(("content", "kind"), [([], MEDIA_TYPE), ({}, BATCH_MEDIA_TYPE), (5, MEDIA_TYPE)])
def test_one_where_a_batch_is_said_and_the_other_way_round(api: APIClient, content: Any, kind: str) -> None:
    assert send(api, content, kind=kind).status_code == 400


def test_metadata_cannot_forge_a_cloudevent(api: APIClient, store: EventStore) -> None:
    forged = {
        "type": "Forged",
        "subject": "b-1",
        "data": 1,
        "sequence": "0",
        "id": {"a": 1},
        "UPPER": "x",
        "source": "no uri",
        "dataschema": "no uri",
        "ok": "kept",
    }
    for metadata in ({"cloudevent": forged}, {"cloudevent": 5}, {"cloudevent": None}):
        with pytest.raises(InvalidEvent, match="cloudevent: is reserved"):
            store.dispatch(new("a-1", metadata=metadata))
        body = {"aggregate_id": "a-1", "type": "T", "metadata": metadata}
        assert api.post("/api/events/", body, format="json").json()["field"] == "metadata.cloudevent"
    # A store of an older version may have such metadata.
    (event,) = store.dispatch(ReceivedEvent("a-1", "Real", metadata={"cloudevent": forged}))
    store.dispatch(ReceivedEvent("a-2", "Real", metadata={"cloudevent": 5}))
    found = api.get("/api/events/", headers={"Accept": BATCH_MEDIA_TYPE}).json()[0]
    assert (found["type"], found["subject"], found["id"], found["ok"]) == ("Real", "a-1", str(event.event_id), "kept")
    assert (found["data"], found["sequence"]) == ({}, f"{event.position:019}")
    assert not {"UPPER", "dataschema"} & found.keys()
    assert found["source"] == "/events"


@pytest.mark.parametrize("kept", [{"source": conf.cloudevents_source}, {}], ids=["source", "no source"])
def test_event_from_sql_does_not_pretend_to_be_another_one_of_this_store(kept: dict[str, str]) -> None:
    metadata = {"cloudevent": {"id": "018fd2c3-7a9e-7cc0-a7a0-1d2e3f4a5b6c", "priority": 5, **kept}}
    with connection.cursor() as cursor:
        cursor.execute("SELECT events_append_one('a-1', 'T', '{}', %s::jsonb)", [json.dumps(metadata)])
    event = Event.objects.get()
    given_out = from_event(event)
    assert (given_out["source"], given_out["id"]) == (conf.cloudevents_source, str(event.event_id))
    assert given_out["priority"] == 5

"""Versions as entity tags, expectations as headers, and requests that may be repeated."""

import re
from typing import Any

import pytest
from rest_framework.test import APIClient

from events.api import schema
from events.formats.cloudevents import MEDIA_TYPE
from events.models import Event
from events.store import EventStore
from tests.events.api.support import HISTORY, send
from tests.support import aggregates, in_threads, new, some, stored

pytestmark = pytest.mark.django_db

KEY = re.compile(schema.IDEMPOTENCY_KEY.type["pattern"])


def test_key_in_quotes_may_have_a_comma(api: APIClient) -> None:
    for key, status in (('"a,b"', 201), ('"a,b"', 200), (r'"a\"b"', 201), ('"a"', 201), ("a", 200), ("a b", 201)):
        assert send(api, idempotency_key=key).status_code == status, key
        assert "\\" in key or KEY.search(key), key


@pytest.mark.parametrize("name", ["If-Match", "If-None-Match"])
@pytest.mark.parametrize(
    ("path", "kind", "remedy"),
    [
        ("/api/events/import/", "application/x-ndjson", "an import takes no expected versions"),
        ("/api/events/", "application/json", "send expected_version in the body"),
        ("/api/events/", MEDIA_TYPE, "append to the aggregate's own address"),
    ],
)
def test_precondition_at_an_address_without_an_aggregate_is_rejected(
    api: APIClient, path: str, kind: str, remedy: str, name: str
) -> None:
    body = b'{"aggregate_id": "a-1", "type": "A"}'
    response = api.post(path, body, content_type=kind, headers={name: "*"})
    assert (response.status_code, response.json()["field"]) == (400, name)
    assert response.json()["detail"].endswith(remedy)
    assert stored() == []


def test_version_is_the_entity_tag(api: APIClient, store: EventStore) -> None:
    assert send(api).headers["ETag"] == '"1"'
    store.dispatch(*some(4))
    for path in (HISTORY, "/api/aggregates/a-1/", HISTORY + "?limit=2"):
        response = api.get(path)
        assert response.headers["ETag"] == '"5"'
        assert send(api, if_match='"4"').status_code == 412
        for header in ('"5"', 'W/"5"', '"1", "5"', "*"):
            known = api.get(path, headers={"If-None-Match": header})
            assert (known.status_code, known.content, known.headers["ETag"]) == (304, b"", '"5"')
        assert api.get(path, headers={"If-None-Match": '"4"'}).status_code == 200
    assert api.get("/api/aggregates/nobody/events/", headers={"If-None-Match": "*"}).status_code == 200


@pytest.mark.parametrize("tag", ['"5"', "5", ' "5" ', 'W/"5"'])
def test_expectation_by_if_match(api: APIClient, store: EventStore, tag: str) -> None:
    store.dispatch(*some(5))
    response = send(api, if_match=tag)
    assert (response.status_code, response.headers["ETag"]) == (201, '"6"')
    response = send(api, if_match=tag)
    assert response.status_code == 412
    assert response.json()["conflicts"] == [{"aggregate_id": "a-1", "expected": 5, "actual": 6}]
    assert aggregates() == {"a-1": 6}


def test_expectation_that_there_is_none_yet(api: APIClient) -> None:
    assert send(api, if_none_match="*").status_code == 201
    response = send(api, if_none_match="*")
    assert (response.status_code, response.json()["expected"], response.json()["actual"]) == (412, 0, 1)


def test_any_version_by_if_match(api: APIClient) -> None:
    assert send(api, if_match="*").status_code == 412
    send(api)
    assert send(api, if_match="*").status_code == 201


def test_conflict_of_a_subscriber_on_an_aggregate_of_the_request_is_its_conflict(
    api: APIClient, store: EventStore
) -> None:
    store.subscribe("A", lambda event, **kwargs: store.dispatch(new("a-1", "B"), expected_version=7))
    response = send(api, if_match='"0"')
    assert (response.status_code, response.json()["aggregate_id"]) == (412, "a-1")
    assert send(api).status_code == 409


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        ({"if_match": '"1"', "if_none_match": "*"}, "If-None-Match"),
        ({"if_none_match": '"1"'}, "If-None-Match"),
        ({"if_match": '"x"'}, "If-Match"),
        ({"if_match": '"1", "2"'}, "If-Match"),
        ({"if_match": '"1'}, "If-Match"),
        ({"if_match": ""}, "If-Match"),
        ({"idempotency_key": ""}, "Idempotency-Key"),
        ({"idempotency_key": " x"}, "Idempotency-Key"),
        ({"idempotency_key": "x" * 256}, "Idempotency-Key"),
        ({"idempotency_key": "ü"}, "Idempotency-Key"),
        ({"idempotency_key": "a,b"}, "Idempotency-Key"),  # two headers arrive like this
        ({"idempotency_key": '"a", "b"'}, "Idempotency-Key"),
        ({"idempotency_key": '"a",b'}, "Idempotency-Key"),
        ({"if_match": '"1","1"'}, "If-Match"),
        ({"if_none_match": "*,*"}, "If-None-Match"),
    ],
)
def test_headers_are_read_strictly(api: APIClient, headers: dict[str, str], field: str) -> None:
    response = send(api, **headers)
    assert (response.status_code, response.json()["field"]) == (400, field)
    assert stored() == []
    assert not KEY.search(headers.get("idempotency_key", ""))


@pytest.mark.parametrize(
    ("query", "immutable"),
    [
        ("", False),
        ("?limit=5", False),
        ("?limit=4", True),
        ("?after_version=1&limit=2", True),
        ("?up_to_version=5", True),
        ("?up_to_version=6", False),
        ("?reverse=true&limit=2", False),
        ("?reverse=true&up_to_version=4&limit=2", True),
        ("?reverse=true&up_to_version=9", False),
        ("?limit=2&as_of=2100-01-01T00:00:00Z", False),
    ],
)
def test_page_that_cannot_change_says_so_and_does_not(
    api: APIClient, store: EventStore, query: str, immutable: bool
) -> None:
    store.dispatch(*some(5))
    before = api.get(HISTORY + query)
    assert ("immutable" in before.headers["Cache-Control"]) is immutable
    assert "private" in before.headers["Cache-Control"]
    store.dispatch(*some(3))
    assert (api.get(HISTORY + query).content == before.content) is (immutable or "as_of" in query)


def test_version_of_a_page_is_what_its_reader_has_seen(api: APIClient, store: EventStore) -> None:
    store.dispatch(*some(5))
    for query, version in {
        "": 5,
        "limit=2": 2,
        "reverse=true&limit=2": 5,
        "after_version=9": 5,
        "up_to_version=3": 3,
    }.items():
        assert api.get(f"{HISTORY}?{query}").json()["version"] == version


@pytest.mark.parametrize("key", ["4f0c", '"4f0c"'])
def test_repeated_key_gives_the_first_answer(api: APIClient, store: EventStore, key: str) -> None:
    body = {"events": [{"type": "A", "data": {"n": 1e23}}, {"type": "B", "timestamp": "2020-01-01T00:00:00Z"}]}
    first = send(api, body, idempotency_key="4f0c")
    store.dispatch(new())
    again = send(api, body, idempotency_key=key)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert first.headers["ETag"] == again.headers["ETag"] == '"2"'
    assert send(api, body, idempotency_key="another").status_code == 201
    assert send(api, body, idempotency_key="4f0c", path="/api/aggregates/b-1/events/").status_code == 201


def test_key_stays_good_though_the_expectation_is_overtaken(api: APIClient, store: EventStore) -> None:
    assert send(api, idempotency_key="k", if_none_match="*").status_code == 201
    store.dispatch(new())
    assert send(api, idempotency_key="k", if_none_match="*").status_code == 200
    assert aggregates() == {"a-1": 2}


@pytest.mark.parametrize(
    "events",
    [
        [{"type": "A", "data": {"n": 2}}, {"type": "B"}],
        [{"type": "A", "data": {"n": 1}}, {"type": "C"}],
        [{"type": "A", "data": {"n": 1}}],
        [{"type": "A", "data": {"n": 1}}, {"type": "B"}, {"type": "C"}],
        [{"type": "A", "data": {"n": 1}}, {"type": "B", "metadata": {"by": "me"}}],
        [{"type": "A", "data": {"n": 1}, "timestamp": "2020-01-01T00:00:00Z"}, {"type": "B"}],
        [{"type": "A", "data": {"n": 1}, "event_id": "6ba7b810-9dad-11d1-80b4-00c04fd430c8"}],
        [{"type": "A", "data": {"n": 1}, "event_id": "6ba7b810-9dad-11d1-80b4-00c04fd430c8"}, {"type": "B"}],
        [{"type": "A", "data": {"n": 1}}, {"type": "B", "event_id": "6ba7b810-9dad-11d1-80b4-00c04fd430c8"}],
    ],
)
def test_key_with_other_events_is_rejected(api: APIClient, events: Any) -> None:
    send(api, [{"type": "A", "data": {"n": 1}}, {"type": "B"}], idempotency_key="k")
    response = send(api, events, idempotency_key="k")
    assert (response.status_code, response.json()["type"]) == (422, "/api/problems/idempotency-key-reused/")
    assert aggregates() == {"a-1": 2}


def test_key_may_go_with_ids_of_some_events(api: APIClient) -> None:
    events = [{"type": "A"}, {"type": "B", "event_id": "6ba7b810-9dad-11d1-80b4-00c04fd430c8"}]
    first = send(api, events, idempotency_key="k").json()["events"]
    assert send(api, events, idempotency_key="k").status_code == 200
    given = [{"type": each["type"], "event_id": each["event_id"]} for each in first]
    assert send(api, given, idempotency_key="k").status_code == 200
    assert aggregates() == {"a-1": 2}


def test_key_is_its_user_s_own(api: APIClient, make_user: Any) -> None:
    send(api, idempotency_key="k")
    other = APIClient()
    other.force_authenticate(make_user("events.add_event", "events.view_event"))
    assert send(other, idempotency_key="k").status_code == 201
    assert aggregates() == {"a-1": 2}


def test_event_ids_of_the_client_win_over_the_key(api: APIClient) -> None:
    own = str(new().event_id)
    body = [{"type": "A", "event_id": own}, {"type": "B"}]
    first, again = send(api, body, idempotency_key="k"), send(api, body, idempotency_key="k")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["events"][0]["event_id"] == own


@pytest.mark.django_db(transaction=True)
def test_same_key_at_the_same_moment_stores_once(api: APIClient) -> None:
    for round_ in range(10):
        answers = in_threads(*[lambda round_=round_: send(api, idempotency_key=f"k-{round_}").status_code] * 4)
        assert sorted(answers) == [200, 200, 200, 201]
    assert Event.objects.count() == 10

"""The HTTP interface: append, read, page, filter, reject."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote

import pytest
from django.contrib.auth.models import User
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from events.models import Event
from events.signals import event_committed, event_dispatched
from events.store import EventStore
from tests.support import aggregates, new, some, stored

pytestmark = pytest.mark.django_db

STRANGE_IDS = [
    "a/b",
    "/a",
    "a//b/",
    "what?",
    "100%",
    "%41",
    "a b",
    "é-ü",
    "日本-1",
    "😀",
    "a+b&c=d;e#f",
    "x:y@z",
    "events",
    "events/events",
    "..",
    "a/../b",
]


def history_url(aggregate_id: str) -> str:
    return f"/api/aggregates/{quote(aggregate_id, safe='')}/events/"


def append(api: APIClient, body: Any, aggregate_id: str = "a-1", **headers: str) -> Any:
    return api.post(history_url(aggregate_id), body, format="json", headers=headers)


def test_one_event_is_appended_and_comes_back_as_stored(api: APIClient) -> None:
    response = append(api, {"type": "Happened", "data": {"n": [1, 2.5, None]}, "metadata": {"by": "me"}})
    event = Event.objects.get()
    assert response.status_code == 201
    assert response.json() == {
        "aggregate_id": "a-1",
        "version": 1,
        "position": event.position,
        "events": [
            {
                "position": event.position,
                "aggregate_id": "a-1",
                "version": 1,
                "event_id": str(event.event_id),
                "type": "Happened",
                "data": {"n": [1, 2.5, None]},
                "metadata": {"by": "me"},
                "timestamp": event.timestamp.isoformat(),
                "recorded_at": event.recorded_at.isoformat(),
            }
        ],
    }
    assert api.get(f"/api/events/{event.event_id}/").json() == response.json()["events"][0]


@pytest.mark.parametrize("wrap", [lambda events: events, lambda events: {"events": events}])
def test_list_of_events_is_appended_at_once(api: APIClient, wrap: Callable[[Any], Any]) -> None:
    response = append(api, wrap([{"type": "A"}, {"type": "B", "timestamp": "2020-01-01T00:00:00+02:00"}]))
    assert response.status_code == 201
    assert [event["version"] for event in response.json()["events"]] == [1, 2]
    assert Event.objects.get(version=2).timestamp == datetime(2019, 12, 31, 22, tzinfo=UTC)
    assert append(api, wrap([])).status_code == 200


@pytest.mark.parametrize("in_header", [False, True])
def test_expectation_comes_in_the_body_or_as_if_match(api: APIClient, in_header: bool) -> None:
    def attempt(expected: Any, aggregate_id: str = "a-1") -> Any:
        if in_header:
            return append(api, {"type": "A"}, aggregate_id, if_match="*" if expected == "exists" else f'"{expected}"')
        return append(api, {"type": "A", "expected_version": expected}, aggregate_id)

    assert attempt(0).status_code == 201
    assert attempt(1).status_code == 201
    assert attempt("exists").status_code == 201
    response = attempt(1)
    rejected = 412 if in_header else 409
    assert response.status_code == rejected
    conflict = {"aggregate_id": "a-1", "expected": 1, "actual": 3}
    fault = response.json()
    assert fault["conflicts"] == [conflict]
    assert fault["type"] == "/api/problems/version-conflict/"
    assert {name: fault[name] for name in conflict} == conflict
    response = attempt("exists", "b-1")
    assert (response.status_code, response.json()["expected"], response.json()["actual"]) == (rejected, "exists", 0)
    assert aggregates() == {"a-1": 3}


@pytest.mark.parametrize("debug", [False, True])
def test_request_without_the_slash_is_sent_on_as_it_is(api: APIClient, settings: Any, debug: bool) -> None:
    """Not by 301, Django's own way: clients would ask with GET, get a page, and take the event for stored."""
    settings.DEBUG = debug
    for aggregate_id in ("a-1", "a/b", "what?"):
        answer = api.post(history_url(aggregate_id)[:-1] + "?x=1", {"type": "Happened"}, format="json")
        assert (answer.status_code, unquote(answer.headers["Location"])) == (
            308,
            f"/api/aggregates/{aggregate_id}/events/?x=1",
        )
        assert api.post(answer.headers["Location"][:-4], {"type": "Happened"}, format="json").status_code == 201
    assert api.get("/api/events", follow=True).json()["events"][0]["aggregate_id"] == "a-1"
    assert api.get("/api/events/none").status_code == 404
    assert len(stored()) == 3


def test_any_version_may_be_said(api: APIClient) -> None:
    assert append(api, {"events": [{"type": "A"}], "expected_version": "any"}).status_code == 201


def test_repeated_request_stores_once(api: APIClient) -> None:
    body = {"type": "A", "event_id": "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "expected_version": 0}
    first, second = append(api, body), append(api, body)
    assert first.json() == second.json()
    assert stored() == [("a-1", 1)]
    response = append(api, body, "b-1")
    assert (response.status_code, response.json()["aggregate_id"]) == (409, "a-1")
    assert response.json()["event_id"] == body["event_id"]


@pytest.mark.parametrize(
    ("fault", "field"),
    [
        ({"type": ""}, "type"),
        ({}, "type"),
        ({"type": 5}, "type"),
        ({"type": "A", "data": [1]}, "data"),
        ({"type": "A", "data": {"a": "\0"}}, "data.a"),
        ({"type": "A", "metadata": None}, "metadata"),
        ({"type": "A", "timestamp": "2020-01-01T00:00:00"}, "timestamp"),
        ({"type": "A", "timestamp": "yesterday"}, "timestamp"),
        ({"type": "A", "timestamp": "2020-13-01T00:00:00Z"}, "timestamp"),
        ({"type": "A", "timestamp": 5}, "timestamp"),
        ({"type": "A", "event_id": "x"}, "event_id"),
        ({"type": "A", "event_id": 5}, "event_id"),
        ({"type": "A", "dta": {}}, "dta"),
        ({"type": "A", "aggregate_id": "b-1"}, "aggregate_id"),
        ({"type": "A", "version": 7}, "version"),
        ({"type": "A", "position": 7}, "position"),
        ("text", "event"),
        (None, "event"),
    ],
)
def test_bad_event_is_named_by_index_and_field_and_nothing_is_stored(api: APIClient, fault: Any, field: str) -> None:
    response = append(api, [{"type": "A"}, {"type": "B"}, fault])
    assert response.status_code == 400, response.content
    assert (response.json()["index"], response.json()["field"]) == (2, field)
    assert stored() == []


@pytest.mark.parametrize(
    ("body", "headers", "field"),
    [
        ({"type": "A", "expected_version": -1}, {}, "expected_version"),
        ({"type": "A", "expected_version": True}, {}, "expected_version"),
        ({"type": "A", "expected_version": "3"}, {}, "expected_version"),
        ({"type": "A", "expected_version": None}, {}, "expected_version"),
        ({"type": "A", "expected_version": 1.5}, {}, "expected_version"),
        ({"type": "A", "expected_version": {"b-1": 0}}, {}, "expected_version"),
        ({"type": "A", "expected_version": 0}, {"if_match": '"1"'}, "expected_version"),
        ({"type": "A"}, {"if_match": "W/1"}, "If-Match"),
        ({"events": {"type": "A"}}, {}, "events"),
        ({"events": [], "type": "A"}, {}, "events"),
        (5, {}, "events"),
    ],
)
def test_bad_request_is_named_and_nothing_is_stored(
    api: APIClient, body: Any, headers: dict[str, str], field: str
) -> None:
    response = append(api, body, **headers)
    assert (response.status_code, response.json()["field"]) == (400, field), response.content
    assert stored() == []


def test_what_is_not_json_is_rejected(api: APIClient) -> None:
    for body in ('{"type": ', '{"type": "A", "data": {"n": NaN}}', '{"type": "A", "data": ' + "[" * 50_000):
        response = api.post(history_url("a-1"), body, content_type="application/json")
        assert (response.status_code, response.json()["field"]) == (400, "body")
    assert api.post(history_url("a-1"), {"type": "A"}).status_code == 415


@pytest.mark.parametrize("aggregate_id", STRANGE_IDS)
def test_any_aggregate_id_works_when_percent_encoded(api: APIClient, aggregate_id: str) -> None:
    response = append(api, {"type": "A", "expected_version": 0}, aggregate_id)
    assert (response.status_code, response.json()["aggregate_id"]) == (201, aggregate_id)
    assert [event["aggregate_id"] for event in api.get(history_url(aggregate_id)).json()["events"]] == [aggregate_id]
    assert api.get("/api/events/", {"aggregate_id": aggregate_id}).json()["events"] == response.json()["events"]
    listed = api.get("/api/aggregates/", {"starts_with": aggregate_id}).json()["aggregates"]
    assert [aggregate["aggregate_id"] for aggregate in listed] == [aggregate_id]
    if not aggregate_id.endswith("/events"):
        detail = api.get(f"/api/aggregates/{quote(aggregate_id, safe='')}/")
        assert (detail.status_code, detail.json()["aggregate_id"]) == (200, aggregate_id)
        activity = api.get(f"/api/read-models/aggregate-activity/{quote(aggregate_id, safe='')}/").json()
        assert (activity["aggregate_id"], activity["event_count"]) == (aggregate_id, 1)


@pytest.mark.parametrize(
    ("parameters", "versions"),
    [
        ({}, [1, 2, 3, 4, 5]),
        ({"after_version": 2}, [3, 4, 5]),
        ({"up_to_version": 4}, [1, 2, 3, 4]),
        ({"after_version": 2, "up_to_version": 4}, [3, 4]),
        ({"reverse": "true", "limit": 2}, [5, 4]),
        ({"limit": 1}, [1]),
    ],
)
def test_history_can_be_narrowed(
    api: APIClient, store: EventStore, parameters: dict[str, Any], versions: list[int]
) -> None:
    store.dispatch(*some(5))
    body = api.get(history_url("a-1"), parameters).json()
    assert (body["aggregate_id"], body["version"]) == ("a-1", max(versions))
    assert [event["version"] for event in body["events"]] == versions


def test_history_as_of_a_moment(api: APIClient, store: EventStore) -> None:
    first, _ = store.dispatch(new())[0], store.dispatch(new())
    moment = first.recorded_at.astimezone(UTC).isoformat()
    for text in (moment, quote(moment)):
        url = f"{history_url('a-1')}?as_of={text}"  # the first is what people forget to escape: + arrives as a space
        assert [event["version"] for event in api.get(url).json()["events"]] == [1]


def test_history_of_an_unknown_aggregate_is_empty_and_its_version_0(api: APIClient) -> None:
    assert api.get(history_url("nobody")).json() == {"aggregate_id": "nobody", "version": 0, "events": [], "next": None}
    assert api.get("/api/aggregates/nobody/").status_code == 404
    assert api.get("/api/events/6ba7b810-9dad-11d1-80b4-00c04fd430c8/").status_code == 404


def pages(api: APIClient, url: str | None, entries: str) -> list[list[Any]]:
    found = []
    while url:
        body = api.get(url).json()
        found.append(body[entries])
        url = body["next"]
    return found


@pytest.mark.parametrize("reverse", ["false", "true"])
@pytest.mark.parametrize("name", ["a-1", "a/b? %41é"])
def test_pages_of_a_history_follow_each_other(api: APIClient, store: EventStore, reverse: str, name: str) -> None:
    store.dispatch(*some(7, name))
    found = pages(api, f"{history_url(name)}?limit=3&reverse={reverse}", "events")
    versions = [[event["version"] for event in page] for page in found]
    assert versions == ([[7, 6, 5], [4, 3, 2], [1]] if reverse == "true" else [[1, 2, 3], [4, 5, 6], [7]])


@pytest.mark.parametrize("reverse", ["false", "true"])
def test_pages_of_the_store_follow_each_other(api: APIClient, store: EventStore, reverse: str) -> None:
    events = store.dispatch(*[new(f"a-{n}", type="AB"[n % 2]) for n in range(14)])
    wanted = [event.position for event in events if event.type == "A"]
    found = pages(api, f"/api/events/?type=A&limit=3&reverse={reverse}", "events")
    assert [len(page) for page in found] == [3, 3, 1]
    positions = [event["position"] for page in found for event in page]
    assert positions == (wanted[::-1] if reverse == "true" else wanted)


def test_checkpoint_says_where_to_go_on_even_when_nothing_matched(api: APIClient, store: EventStore) -> None:
    last = store.dispatch(*some(5))[-1].position
    body = api.get("/api/events/", {"type": "Unheard"}).json()
    assert (body["events"], body["next"], body["checkpoint"]) == ([], None, last)
    body = api.get("/api/events/", {"limit": 2}).json()
    assert body["checkpoint"] == body["events"][-1]["position"]
    (later,) = store.dispatch(new())
    body = api.get("/api/events/", {"after": last}).json()
    assert [event["position"] for event in body["events"]] == [later.position] == [body["checkpoint"]]


def test_pages_of_aggregates_follow_each_other(api: APIClient, store: EventStore) -> None:
    store.dispatch(*[new(f"user-{n}") for n in range(5)], new("username-1"), new("a&b=c/d"))
    found = pages(api, "/api/aggregates/?limit=3", "aggregates")
    names = [aggregate["aggregate_id"] for page in found for aggregate in page]
    assert names == sorted(aggregates())
    assert len(pages(api, "/api/aggregates/?category=user", "aggregates")[0]) == 5
    assert len(pages(api, "/api/aggregates/?starts_with=user", "aggregates")[0]) == 6


def test_events_can_be_filtered(api: APIClient, store: EventStore) -> None:
    start = datetime(2020, 1, 1, tzinfo=UTC)
    one, two, three = store.dispatch(
        new("user-1", "Born", timestamp=start, metadata={"correlation_id": "x"}),
        new("username-1", "Born", timestamp=start + timedelta(days=1)),
        new("user-2", "Died", timestamp=start + timedelta(days=2), metadata={"correlation_id": "y"}),
    )

    def found(**parameters: Any) -> list[int]:
        return [event["position"] for event in api.get("/api/events/", parameters).json()["events"]]

    assert found(type=" Born") == []
    assert found(timestamp_after="2020-01-02T01:00:00 01:00") == [two.position, three.position]  # + not escaped
    assert found(type="Born") == [one.position, two.position]
    assert found(type=["Born", "Died"]) == [one.position, two.position, three.position]
    assert found(category="user") == [one.position, three.position]
    assert found(category=["user", "username"]) == [one.position, two.position, three.position]
    assert found(category="user-1") == []
    assert found(aggregate_id="user-1") == found(correlation_id="x") == [one.position]
    assert found(timestamp_after="2020-01-02T00:00:00Z") == [two.position, three.position]
    assert found(timestamp_before="2020-01-01T12:00:00Z") == [one.position]
    assert found(recorded_at_after=(one.recorded_at + timedelta(hours=1)).isoformat()) == []
    assert found(recorded_at_before=(one.recorded_at + timedelta(hours=1)).isoformat(), category="user") == [
        one.position,
        three.position,
    ]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/events/?typ=A", "typ"),
        ("/api/events/?limit=0", "limit"),
        ("/api/events/?limit=1001", "limit"),
        ("/api/events/?limit=x", "limit"),
        ("/api/events/?after=-1", "after"),
        ("/api/events/?after=99999999999999999999", "after"),
        ("/api/events/?reverse=maybe", "reverse"),
        ("/api/events/?timestamp_after=x", "timestamp_after"),
        ("/api/events/?timestamp_after=2020-01-01T00:00:00", "timestamp_after"),
        ("/api/events/?limit=1&limit=2", "limit"),
        ("/api/events/?type=A&type=", "type"),
        ("/api/aggregates/?category=", "category"),
        ("/api/aggregates/zz%EF%BF%BD/events/", "aggregate_id"),
        ("/api/events/?aggregate_id=a%00b", "aggregate_id"),
        ("/api/aggregates/?starts_with=%00", "starts_with"),
        ("/api/aggregates/?after=%00", "after"),
        ("/api/aggregates/a%00b/", "aggregate_id"),
        ("/api/aggregates/a%00b/events/", "aggregate_id"),
        ("/api/aggregates/a%0Ab/events/", "aggregate_id"),
        ("/api/read-models/aggregate-activity/a%00b/", "aggregate_id"),
        ("/api/read-models/aggregate-activity/?foo=1", "foo"),
        ("/api/read-models/aggregate-activity/?limit=abc", "limit"),
        ("/api/aggregates/?page=2", "page"),
        ("/api/aggregates/a-1/?x=1", "x"),
        ("/api/aggregates/a-1/events/?after_version=x", "after_version"),
        ("/api/aggregates/a-1/events/?as_of=2020-01-01", "as_of"),
        ("/api/aggregates/a-1/events/?as_of=2020-01-01T00:00:00", "as_of"),
    ],
)
def test_parameters_are_read_strictly(api: APIClient, path: str, field: str) -> None:
    response = api.get(path)
    assert response.status_code == 400, response.content
    fault = response.json()
    assert (fault["type"], fault["field"], fault["index"]) == ("/api/problems/invalid/", field, None)


def test_no_method_changes_what_is_stored(api: APIClient, store: EventStore) -> None:
    (event,) = store.dispatch(new())
    for path in (history_url("a-1"), "/api/aggregates/a-1/", f"/api/events/{event.event_id}/", "/api/events/"):
        for method in (api.put, api.patch, api.delete):
            assert method(path, {}, format="json").status_code in (403, 405)
    assert Event.objects.get() == event


READ = ["/api/events/", "/api/aggregates/", "/api/aggregates/a-1/", "/api/aggregates/a-1/events/"]


@pytest.mark.parametrize("path", [*READ, "/api/read-models/aggregate-activity/"])
def test_nobody_reads_anonymously_or_without_permission(
    store: EventStore, make_user: Callable[..., User], path: str
) -> None:
    store.dispatch(new())
    client = APIClient()
    response = client.get(path)
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Token")
    client.force_authenticate(make_user("events.add_event"))
    assert client.get(path).status_code == 403
    client.force_authenticate(
        make_user("events.view_event", "events.view_aggregate", "projections.view_aggregateactivity")
    )
    assert client.get(path).status_code == 200


def test_appending_takes_its_own_permission(make_user: Callable[..., User]) -> None:
    client = APIClient()
    assert append(client, {"type": "A"}).status_code == 401
    client.force_authenticate(make_user("events.view_event"))
    assert append(client, {"type": "A"}).status_code == 403
    client.force_authenticate(make_user("events.add_event"))
    assert append(client, {"type": "A"}).status_code == 201


def test_token_and_session_both_authenticate(make_user: Callable[..., User]) -> None:
    user = make_user("events.view_event")
    token = APIClient(headers={"Authorization": f"Token {Token.objects.create(user=user).key}"})
    assert token.get("/api/events/").status_code == 200
    session = APIClient()
    session.login(username=user.username, password="secret")
    assert session.get("/api/events/").status_code == 200


def test_appends_over_http_reach_the_signals(
    api: APIClient, store: EventStore, django_capture_on_commit_callbacks: Any
) -> None:
    seen = []

    def receiver(signal: Any, event: Event, **kwargs: Any) -> None:
        seen.append((signal, event.version))

    event_dispatched.connect(receiver)
    event_committed.connect(receiver)
    with django_capture_on_commit_callbacks(execute=True):
        append(api, {"type": "A"})
    assert seen == [(event_dispatched, 1), (event_committed, 1)]


def test_numbers_cross_http_unchanged(api: APIClient) -> None:
    data = {"big": 2**70, "float": 1e23, "small": 5e-324, "one": 1.0, "text": "😀 \u2028"}
    append(api, {"type": "A", "data": data})
    read = api.get(history_url("a-1")).json()["events"][0]["data"]
    assert read == data
    assert {name: type(value) for name, value in read.items()} == {name: type(value) for name, value in data.items()}


def test_request_that_is_too_large_is_told_the_limit(api: APIClient, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    response = append(api, {"type": "A", "data": {"text": "x" * 1000}})
    assert response.status_code == 413
    assert "DATA_UPLOAD_MAX_MEMORY_SIZE" in response.json()["detail"]


def test_parameters_of_reading_are_none_of_appending(api: APIClient) -> None:
    response = api.post(history_url("a-1") + "?limit=5", {"type": "A"}, format="json")
    assert (response.status_code, response.json()["field"]) == (400, "limit")


def test_field_that_is_no_text_is_named_all_the_same(api: APIClient) -> None:
    response = api.post(history_url("a-1"), '{"type": "A", "\\ud800": 1}', content_type="application/json")
    assert (response.status_code, response.json()["field"]) == (400, "\\ud800")


def test_endless_recursion_of_a_handler_is_not_blamed_on_the_request(api: APIClient, store: EventStore) -> None:
    def recurse(**kwargs: Any) -> None:
        recurse(**kwargs)

    store.subscribe("A", recurse)
    with pytest.raises(RecursionError):
        append(api, {"type": "A"})
    assert stored() == []

"""Aggregates over HTTP: the list, and a history with its pages."""

from datetime import UTC
from typing import Any
from urllib.parse import quote

import pytest
from rest_framework.test import APIClient

from events.store import EventStore
from tests.events.api.support import history_url, pages
from tests.support import aggregates, new, some

pytestmark = pytest.mark.django_db


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


@pytest.mark.parametrize("reverse", ["false", "true"])
@pytest.mark.parametrize("name", ["a-1", "a/b? %41é"])
def test_pages_of_a_history_follow_each_other(api: APIClient, store: EventStore, reverse: str, name: str) -> None:
    store.dispatch(*some(7, name))
    found = pages(api, f"{history_url(name)}?limit=3&reverse={reverse}", "events")
    versions = [[event["version"] for event in page] for page in found]
    assert versions == ([[7, 6, 5], [4, 3, 2], [1]] if reverse == "true" else [[1, 2, 3], [4, 5, 6], [7]])


def test_pages_of_aggregates_follow_each_other(api: APIClient, store: EventStore) -> None:
    store.dispatch(*[new(f"user-{n}") for n in range(5)], new("username-1"), new("a&b=c/d"))
    found = pages(api, "/api/aggregates/?limit=3", "aggregates")
    names = [aggregate["aggregate_id"] for page in found for aggregate in page]
    assert names == sorted(aggregates())
    assert len(pages(api, "/api/aggregates/?category=user", "aggregates")[0]) == 5
    assert len(pages(api, "/api/aggregates/?starts_with=user", "aggregates")[0]) == 6

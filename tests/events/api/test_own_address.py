"""Addresses in responses keep the aggregate id percent-encoded, so that clients return to the same aggregate."""

from urllib.parse import urljoin, urlsplit

import pytest
from django.test import RequestFactory
from rest_framework.renderers import BrowsableAPIRenderer
from rest_framework.test import APIClient

from events.api.own_address import keep_encoded
from events.api.views.aggregates import AggregateEvents
from events.formats.cloudevents import BATCH_MEDIA_TYPE
from events.store import EventStore
from tests.events.api.support import history_url
from tests.support import some

IDS = [
    "a-1",
    "a/../b",
    "../b",
    "a/..",
    "/",
    "//x",
    "/events/",
    "a/events",
    "events",
    "%2F",
    "a?b=1#c",
    "é ü",
    "a;b",
    "😀",
]


@pytest.mark.django_db
@pytest.mark.parametrize("aggregate_id", IDS)
def test_link_to_the_next_page_leads_to_the_same_aggregate(
    api: APIClient, store: EventStore, aggregate_id: str
) -> None:
    store.dispatch(*some(2, aggregate_id))
    address = history_url(aggregate_id)
    for reverse, place in (("false", "after_version=1"), ("true", "up_to_version=1")):
        url = f"http://testserver{address}?limit=1&reverse={reverse}"
        page = api.get(url).json()
        assert page["aggregate_id"] == aggregate_id
        link = urlsplit(urljoin(url, page["next"]))
        assert link.path == address
        assert set(link.query.split("&")) == {"limit=1", f"reverse={reverse}", place}
        last = api.get(urljoin(url, page["next"])).json()
        assert (last["aggregate_id"], len(last["events"]), last["next"]) == (aggregate_id, 1, None)
        batch = api.get(url, headers={"Accept": BATCH_MEDIA_TYPE})
        assert urlsplit(batch.headers["Link"].partition(">")[0].removeprefix("<")).path == address


@pytest.mark.django_db
def test_form_of_a_browsable_page_leads_to_the_same_aggregate(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AggregateEvents, "renderer_classes", [BrowsableAPIRenderer])
    page = api.get(history_url("a/../b"), headers={"Accept": "text/html"}).content.decode()
    assert f'action="{history_url("a/../b")}" method="POST"' in page


def test_address_of_a_request_without_an_aggregate_is_unchanged() -> None:
    request = RequestFactory().get("/api/events/?limit=1")
    keep_encoded(request)
    assert request.get_full_path() == "/api/events/?limit=1"

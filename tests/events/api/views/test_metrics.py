"""GET /api/metrics/: the state of the store and its projections, for those who may read it."""

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families
from rest_framework.authtoken.models import Token

from events.api import prometheus
from events.api.views import metrics as view
from events.integrity import seals
from events.store import EventStore
from projections.engine.registration import register_all
from projections.models import ParkedEvent, ProjectionState
from projections.operations import actions
from tests.hosts.support import connected_by
from tests.projections.support import catch_up
from tests.support import new, open_append

pytestmark = pytest.mark.django_db(transaction=True)
METRICS = "/api/metrics/"
TOKEN = "a-token-of-the-settings"


@pytest.fixture
def scrape(settings: Any) -> Callable[[], dict[str, dict[tuple[str, ...], float]]]:
    """The values of each metric by its labels, as Prometheus' own parser reads them."""
    settings.EVENTS_METRICS_TOKEN = TOKEN

    def scrape() -> dict[str, dict[tuple[str, ...], float]]:
        response = Client().get(METRICS, headers={"Authorization": f"Bearer {TOKEN}"})
        assert response.status_code == 200, response.content
        assert response["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        found: dict[str, dict[tuple[str, ...], float]] = {}
        for family in text_string_to_metric_families(response.content.decode()):
            for sample in family.samples:
                labels = tuple(value for _, value in sorted(sample.labels.items()))
                found.setdefault(sample.name, {})[labels] = sample.value
        return found

    return scrape


def test_values_are_those_of_the_database(store: EventStore, scrape: Callable[[], Any]) -> None:
    register_all()
    events = store.dispatch(new("a-1", "Counted"), new("a-2", "Fragile", data={"poison": 1}), new("a-3", "Counted"))
    catch_up("tally", "fragile")
    actions.pause("sharded_tally", by="x", reason="lunch")
    found = scrape()
    last = events[-1].position
    assert found["events_settled_position"] == {(): last}
    assert found["events_positions_total"] == {(): last}
    assert (found["events_open_appends"], found["events_oldest_open_append_seconds"]) == ({(): 0}, {(): 0})
    assert found["events_unsealed"] == {(): 3}
    assert found["events_relation_bytes"][("events_event",)] > 0
    assert found["events_oldest_unfrozen_transactions"][()] > 0
    assert found["projections_position"][("projection", "tally")] == last
    assert found["projections_lag_events"][("projection", "tally")] == 0
    assert found["projections_parked_events"][("projection", "fragile")] == 1
    assert 0 <= found["projections_oldest_parked_seconds"][("projection", "fragile")] < 60
    assert found["projections_status"][("projection", "sharded_tally", "paused")] == 1
    assert found["projections_status"][("projection", "sharded_tally", "running")] == 0
    assert found["projections_workers"] == {(): 0}
    assert ("reaction", "fulfilment") in found["projections_position"]


def test_open_append_is_seen(store: EventStore, scrape: Callable[[], Any]) -> None:
    with open_append(store, new("a-1")):
        found = scrape()
        assert found["events_open_appends"] == {(): 1}
        assert 0 < found["events_oldest_open_append_seconds"][()] < 60
        assert found["events_settled_position"] == {(): 0}


def test_seals_are_seen(store: EventStore, scrape: Callable[[], Any]) -> None:
    store.dispatch(new("a-1"))
    while seals.seal("default"):
        pass
    assert scrape()["events_unsealed"] == {(): 0}


def test_text_is_as_prometheus_wants_it(scrape: Callable[[], Any]) -> None:
    lines = prometheus.text("default").decode().splitlines()
    names = [line.split()[2] for line in lines if line.startswith("# TYPE ")]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"(events|projections)_[a-z_]+", name) for name in names)
    helps = [line.split(maxsplit=3)[3] for line in lines if line.startswith("# HELP ")]
    assert len(helps) == len(names)


def test_who_may_read_it(make_user: Callable[..., User], settings: Any) -> None:
    client = Client()
    assert client.get(METRICS).status_code == 401
    for token in ("", "Bearer", "Bearer ", "Bearer x", "Token x"):
        assert client.get(METRICS, headers={"Authorization": token}).status_code == 401, token
    settings.EVENTS_METRICS_TOKEN = TOKEN
    assert client.get(METRICS, headers={"Authorization": f"Bearer {TOKEN}x"}).status_code == 401
    client.force_login(make_user("events.view_event"))
    assert client.get(METRICS).status_code == 403
    client.force_login(make_user("events.view_metrics"))
    assert client.get(METRICS).status_code == 200
    assert client.get("/api/events/").status_code == 403
    token = Token.objects.create(user=make_user("events.view_metrics")).key
    assert Client().get(METRICS, headers={"Authorization": f"Token {token}"}).status_code == 200


def test_token_opens_nothing_else(settings: Any) -> None:
    settings.EVENTS_METRICS_TOKEN = TOKEN
    for path in ("/api/events/", "/api/projections/", "/api/events/export/"):
        assert Client().get(path, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 401


# What Prometheus sends, in its own order.
OF_PROMETHEUS = "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"


@pytest.mark.parametrize("accept", [OF_PROMETHEUS, "*/*", ""])
def test_prometheus_accepts_what_it_gets(settings: Any, accept: str) -> None:
    settings.EVENTS_METRICS_TOKEN = TOKEN
    headers = {"Authorization": f"Bearer {TOKEN}", **({"Accept": accept} if accept else {})}
    assert Client().get(METRICS, headers=headers).status_code == 200


def test_without_the_database_it_fails_within_two_seconds(settings: Any) -> None:
    settings.EVENTS_METRICS_TOKEN = TOKEN
    with connected_by({"HOST": "127.0.0.1", "PORT": "1"}):
        started = time.monotonic()
        response = Client().get(METRICS, headers={"Authorization": f"Bearer {TOKEN}"})
        assert time.monotonic() - started < 2
    assert response.status_code == 503


def test_without_the_package_it_says_what_to_install(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.EVENTS_METRICS_TOKEN = TOKEN
    monkeypatch.setattr(view, "prometheus", None)
    response = Client().get(METRICS, headers={"Authorization": f"Bearer {TOKEN}"})
    assert (response.status_code, "prometheus-client" in response.json()["detail"]) == (501, True)


def test_fifty_projections_take_few_queries(scrape: Callable[[], Any], django_assert_max_num_queries: Any) -> None:
    register_all()
    with django_assert_max_num_queries(200):
        scrape()
    ProjectionState.objects.bulk_create(ProjectionState(name=f"gone_{n}", mode="async", version=1) for n in range(50))
    ParkedEvent.objects.bulk_create(
        ParkedEvent(projection_id=f"gone_{n}", position=n, aggregate_id="a", type="b", error="x") for n in range(50)
    )
    with django_assert_max_num_queries(400):
        assert len(scrape()["projections_position"]) > 50

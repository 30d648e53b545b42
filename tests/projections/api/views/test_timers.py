"""Timers over HTTP."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from projections.models import Operation, Timer
from tests.projections.reactions.support import Reminds, add_timers, registered, reminders
from tests.projections.support import catch_up

pytestmark = pytest.mark.django_db(transaction=True)
NEW_YEAR = datetime(2100, 1, 1, tzinfo=UTC)
URL = "/api/timers/"


@pytest.fixture(autouse=True)
def reminds() -> Iterator[None]:
    with registered(Reminds):
        catch_up("reminds")
        yield


@pytest.fixture
def api(make_user: Callable[..., User]) -> APIClient:
    client = APIClient()
    client.force_authenticate(make_user("projections.view_timer", "projections.operate_projections"))
    return client


def test_timers_are_listed_in_pages(api: APIClient) -> None:
    add_timers(3, NEW_YEAR)
    add_timers(1, NEW_YEAR, reaction="before")
    page = api.get(URL, {"limit": 3}).json()
    assert [each["key"] for each in page["timers"]] == ["k0", "k1", "k2"]
    following = api.get(page["next"]).json()
    assert following["next"] is None
    (timer,) = following["timers"]
    row = Timer.objects.get(reaction="before")
    assert timer == {
        "id": row.pk,
        "reaction": "before",
        "is_gone": True,
        "key": "k0",
        "due_at": "2100-01-01T00:00:00+00:00",
        "scheduled_at": row.scheduled_at.isoformat(),
        "source_position": 1,
        "aggregate_id": "item-0",
        "type": "reactions-reminded",
        "attempts": 0,
        "next_attempt_at": "2100-01-01T00:00:00+00:00",
        "error": "",
    }
    assert [each["key"] for each in api.get(URL, {"reaction": "before"}).json()["timers"]] == ["k0"]
    assert api.get(URL, {"reaction": "nobody"}).json()["timers"] == []


def test_timer_is_cancelled_and_fired_for_the_record(api: APIClient) -> None:
    add_timers(2, NEW_YEAR)
    first, second = Timer.objects.order_by("pk")
    cancelled = api.delete(f"{URL}{first.pk}/?reason=a%20mistake")
    assert (cancelled.status_code, cancelled.content) == (204, b"")
    assert api.post(f"{URL}{second.pk}/fire/").status_code == 204
    assert [event.payload.number for event in reminders()] == [1]
    assert [(each.action, each.reason) for each in Operation.objects.order_by("pk")] == [
        ("cancel timers", "a mistake"),
        ("fire timers", ""),
    ]
    for gone in (api.delete(f"{URL}{first.pk}/"), api.post(f"{URL}{second.pk}/fire/")):
        assert gone.status_code == 404
        assert "it may have fired or been cancelled" in gone.json()["detail"]


def test_rejected_event_is_a_conflict(api: APIClient) -> None:
    add_timers(1, NEW_YEAR)
    Timer.objects.update(data={"number": "many"})
    answer = api.post(f"{URL}{Timer.objects.get().pk}/fire/")
    assert answer.status_code == 409
    assert "nothing has changed" in answer.json()["detail"]
    assert Timer.objects.count() == 1


def test_only_operators_cancel_and_fire(client_of: Callable[..., APIClient]) -> None:
    add_timers(1, NEW_YEAR)
    key = Timer.objects.get().pk
    nobody, reader = client_of(), client_of("projections.view_timer", "events.add_event")
    assert nobody.get(URL).status_code == 403
    assert reader.get(URL).status_code == 200
    for client in (nobody, reader):
        assert client.delete(f"{URL}{key}/").status_code == 403
        assert client.post(f"{URL}{key}/fire/").status_code == 403
    operator = client_of("projections.operate_projections")
    assert operator.post(f"{URL}{key}/fire/").status_code == 204

"""The projections in the admin: who may look, who may operate, and what is recorded."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from events.store import EventStore
from projections.models import Operation, ParkedEvent, Rebuild
from projections.testing import run_until_caught_up
from tests.readmodels.projections import Fragile
from tests.support import new

from .support import catch_up, notes

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/projections/projectionstate/"
PARKED = "/admin/projections/parkedevent/"


@pytest.fixture
def client_of(make_user: Callable[..., User]) -> Callable[..., Client]:
    def make(*permissions: str) -> Client:
        client = Client()
        client.force_login(make_user(*permissions, is_staff=True))
        return client

    return make


@pytest.fixture
def operator(client_of: Callable[..., Client]) -> Client:
    return client_of(
        "projections.view_projectionstate", "projections.view_parkedevent", "projections.operate_projections"
    )


def act(client: Client, path: str, action: str, *keys: Any, reason: str = "") -> str:
    data = {"action": action, "_selected_action": keys, "reason": reason}
    return client.post(path, data, follow=True).content.decode()


def test_list_shows_how_they_are(operator: Client, store: EventStore) -> None:
    store.dispatch(new("a-1", "Fragile", data={"poison": 1}), new("a-1", "Fragile"))
    catch_up("fragile")
    page = operator.get(LIST).content.decode()
    assert "Broken: cannot handle 1" in page
    assert f"{PARKED}?projection__name__exact=fragile" in page
    assert operator.get(f"{LIST}fragile/change/").status_code == 200
    page = operator.get(f"{PARKED}?projection__name__exact=fragile").content.decode()
    assert "waits behind an earlier one" in page
    (parked, _) = ParkedEvent.objects.all()
    assert "in check" in operator.get(f"{PARKED}{parked.pk}/change/").content.decode()


def test_operations_are_done_and_recorded(operator: Client, store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.dispatch(new("a-1", "Fragile", data={"poison": 1}), new("a-1", "Fragile"))
    catch_up("fragile")
    assert "fragile is paused." in act(operator, LIST, "pause", "fragile", reason="lunch")
    assert "fragile runs again." in act(operator, LIST, "resume", "fragile")
    assert "nothing to resume" in act(operator, LIST, "resume", "fragile")
    assert "0 parked events handled, 2 still parked" in act(operator, LIST, "retry", "fragile")
    parked = ParkedEvent.objects.in_the_way().get()
    assert "Give a reason" in act(operator, PARKED, "skip", parked.pk)
    assert ParkedEvent.objects.count() == 2
    assert "skipped; 1 behind it handled, 0 still parked" in act(operator, PARKED, "skip", parked.pk, reason="a test")
    assert notes() == [("a-1", 2)]
    assert "will be rebuilt by the next worker" in act(operator, LIST, "rebuild", "fragile")
    assert Rebuild.objects.filter(pk="fragile").exists()
    catch_up("fragile")
    user = User.objects.get()
    said = [(each.action, each.by, each.reason) for each in Operation.objects.order_by("pk")]
    assert [action for action, _, _ in said] == ["pause", "resume", "retry", "skip", "rebuild"]
    assert {by for _, by, _ in said} == {user.username}
    assert said[0][2] == "lunch"


def test_retry_from_the_list_of_parked_events(
    operator: Client, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.dispatch(*[new(f"a-{n}", "Fragile", data={"poison": 1}) for n in range(2)])
    catch_up("fragile")
    monkeypatch.setattr(Fragile, "check", lambda self, event: None)
    first = ParkedEvent.objects.earliest("position")
    assert "1 parked events of a-0 handled, 0 still parked" in act(operator, PARKED, "retry", first.pk)
    assert notes() == [("a-0", 1)]


def test_who_may_only_look_cannot_operate(client_of: Callable[..., Client], store: EventStore) -> None:
    run_until_caught_up("fragile")
    viewer = client_of("projections.view_projectionstate")
    assert viewer.get(LIST).status_code == 200
    act(viewer, LIST, "pause", "fragile")
    assert not Operation.objects.exists()
    assert viewer.get(PARKED).status_code == 403
    assert client_of().get(LIST).status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        *("projections/heartbeat", "projections/operation", "projections/aggregateactivity"),
        *("projections/eventtypeactivity", "projections/dailyactivity"),
        *("eventstore_project/order", "eventstore_project/productsales"),
    ],
)
def test_every_list_opens(path: str, admin_client: Client, store: EventStore) -> None:
    lines = [{"sku": "MUG-1", "quantity": 1, "price": 2}]
    store.dispatch(new("order-1", "OrderPlaced", data={"lines": lines}))
    run_until_caught_up()
    act(admin_client, LIST, "pause", "tally")
    catch_up("fragile")
    page = admin_client.get(f"/admin/{path}/", {"q": ""})
    assert page.status_code == 200
    assert "\0" not in page.content.decode()

"""The admin's pages of projections: each part takes its permission, and every list opens."""

from collections.abc import Callable

import pytest
from django.test import Client

from events.store import EventStore
from projections.admin import board
from projections.engine.registration import register_all
from projections.models import ProjectionState, Rebuild
from projections.operations import actions
from projections.operations.rebuild_size import RebuildSize
from projections.testing import run_until_caught_up
from tests.projections.admin.support import LIST, PARKED, act, break_some, page_of, read
from tests.projections.support import catch_up
from tests.support import new

pytestmark = pytest.mark.django_db(transaction=True)


def test_each_part_of_the_pages_takes_its_permission(client_of: Callable[..., Client], store: EventStore) -> None:
    break_some(store)
    actions.pause("fragile", by="ann", reason="lunch break")
    viewer = client_of("projections.view_projectionstate")
    assert viewer.get(PARKED).status_code == 403
    assert PARKED not in read(viewer, LIST)
    assert "No worker is running" not in read(viewer, LIST)
    page = read(viewer, page_of("fragile"))
    assert "Traceback" not in page
    assert page.count("lunch break") == 1  # the status says it; the record would again
    everything = client_of(
        *[f"projections.view_{model}" for model in ("projectionstate", "parkedevent", "heartbeat", "operation")]
    )
    assert "No worker is running" in read(everything, LIST)
    page = read(everything, page_of("fragile"))
    assert "Traceback" in page
    assert page.count("lunch break") == 2


def test_rebuild_asks_and_says_what_it_reads(operator: Client, store: EventStore) -> None:
    store.dispatch(*[new(f"a-{n}", "Counted") for n in range(3)])
    catch_up("tally")
    ProjectionState.objects.create(name="gone", mode="async", version=1)
    form = {"action": "rebuild", "_selected_action": "tally", "reason": "a <look>", "back": page_of("tally")}
    asked = operator.post(LIST, form).content.decode()
    assert not Rebuild.objects.exists()
    assert "<h1>Rebuild tally?</h1>" in asked
    assert "<strong>tally</strong>: the rebuild reads 3 events. This takes a few seconds." in asked
    assert ">a &lt;look&gt;</textarea>" in asked
    assert f'href="{page_of("tally")}"' in asked
    assert (
        "there is no code for this projection"
        in operator.post(LIST, form | {"_selected_action": "gone"}).content.decode()
    )
    assert "example.org" not in operator.post(LIST, form | {"back": "https://example.org/"}).content.decode()
    done = operator.post(LIST, form | {"confirmed": "1"})
    assert done.headers["Location"] == page_of("tally")
    assert Rebuild.objects.get().projection_id == "tally"


def test_time_of_a_long_rebuild_is_said(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    register_all()
    monkeypatch.setattr(board, "rebuild_size", lambda state: RebuildSize(310_000, is_estimate=True))
    asked = operator.post(LIST, {"action": "rebuild", "_selected_action": "tally"}).content.decode()
    assert "reads about 310,000 events. At 1,000 events a second, this takes about 5 min." in asked


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

"""The projections in the admin: who may look, who may operate, and what is recorded."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from events.store import EventStore
from projections.admin import board, operation_log, parked_aggregates
from projections.engine.registration import register_all
from projections.models import Heartbeat, Operation, ParkedEvent, ProjectionState, Rebuild
from projections.operations import actions
from projections.testing import run_until_caught_up
from tests.projections.support import catch_up, notes
from tests.readmodels.projections import Fragile
from tests.support import new

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


def act(client: Client, path: str, action: str, *keys: Any, reason: str = "", back: str = "") -> str:
    data = {"action": action, "_selected_action": keys, "reason": reason, "back": back}
    return client.post(path, data, follow=True).content.decode()


def page_of(name: str) -> str:
    return f"{LIST}{name}/change/"


def read(client: Client, path: str) -> str:
    page = client.get(path)
    assert page.status_code == 200
    return page.content.decode()


def acts_offered(page: str) -> list[str]:
    return re.findall(r'name="action" value="(\w+)"', page)


def logged() -> list[str]:
    """What the admin's log says, oldest first."""
    return [entry.get_change_message() for entry in LogEntry.objects.order_by("pk")]


def break_some(store: EventStore, aggregates: int = 1, waiting: int = 1) -> None:
    """Have `fragile` park an event of each aggregate, and the ones behind it."""
    for n in range(aggregates):
        store.dispatch(
            new(f"a-{n}", "Fragile", data={"poison": n + 1, "secret": "opensesame"}),
            *[new(f"a-{n}", "Fragile", data={"secret": "opensesame"}) for _ in range(waiting)],
        )
    catch_up("fragile")


def test_board_shows_how_they_are(operator: Client, store: EventStore) -> None:
    break_some(store)
    page = read(operator, LIST)
    assert "Broken: cannot handle 1" in page
    assert f"{PARKED}?projection__name__exact=fragile" in page
    assert page_of("fragile") in page
    assert "waits behind an earlier event" in read(operator, f"{PARKED}?projection__name__exact=fragile")
    ProjectionState.objects.create(name="gone", mode="async", version=1)
    page = read(operator, LIST)
    assert "orphaned" in page
    assert "orphaned" in read(operator, page_of("gone"))
    assert acts_offered(read(operator, page_of("gone"))) == []


def test_projection_that_the_database_does_not_know_yet_is_on_the_board(operator: Client) -> None:
    ProjectionState.objects.all().delete()
    page = read(operator, LIST)
    assert "no worker has run yet" in page
    assert page_of("fragile") not in page
    assert (
        "There is no projection &#x27;fragile&#x27;" in operator.get(page_of("fragile"), follow=True).content.decode()
    )


@pytest.mark.parametrize(
    ("change", "acts"),
    [
        ({}, ["pause", "rebuild"]),
        ({"status": "paused"}, ["resume", "rebuild"]),
        ({"status": "stopped"}, ["resume", "rebuild"]),
        ({"version": 7}, ["rebuild"]),
    ],
)
def test_acts_that_make_sense_are_offered(operator: Client, change: dict[str, Any], acts: list[str]) -> None:
    run_until_caught_up("fragile")
    ProjectionState.objects.update(**change)
    assert acts_offered(read(operator, page_of("fragile"))) == acts


def test_inline_projection_cannot_be_paused(operator: Client) -> None:
    run_until_caught_up("fragile")
    register_all()
    assert acts_offered(read(operator, page_of("aggregate_activity"))) == ["rebuild"]
    assert "it would miss events permanently" in act(operator, LIST, "pause", "aggregate_activity")
    assert logged() == []


def test_operations_are_done_and_recorded(operator: Client, store: EventStore) -> None:
    break_some(store)
    assert "fragile is paused." in act(operator, LIST, "pause", "fragile", reason=" lunch\r\nbreak ")
    assert "fragile runs again." in act(operator, LIST, "resume", "fragile")
    assert "nothing to resume" in act(operator, LIST, "resume", "fragile")
    assert "0 parked events handled, 2 still parked" in act(operator, LIST, "retry", "fragile")
    parked = ParkedEvent.objects.failed().get()
    assert "Give a reason" in act(operator, PARKED, "skip", parked.pk, reason=" ")
    assert ParkedEvent.objects.count() == 2
    assert "skipped; 1 behind it handled, 0 still parked" in act(operator, PARKED, "skip", parked.pk, reason="a test")
    assert notes() == [("a-0", 2)]
    assert "will be rebuilt by the next worker" in act(operator, LIST, "rebuild", "fragile")
    assert acts_offered(read(operator, page_of("fragile"))) == ["pause", "cancel"]
    assert "is no longer rebuilt" in act(operator, LIST, "cancel", "fragile", reason="too slow")
    assert "No rebuild of" in act(operator, LIST, "cancel", "fragile")
    assert not Rebuild.objects.exists()
    user = User.objects.get()
    said = [(each.action, each.by, each.reason) for each in Operation.objects.order_by("pk")]
    assert [action for action, _, _ in said] == ["pause", "resume", "retry", "skip", "rebuild", "cancel"]
    assert {by for _, by, _ in said} == {user.username}
    assert said[0][2] == "lunch break"
    # What was done is in the admin's log as well; what was rejected is not.
    skipped = f"Skip: Projection fragile: position {parked.position} skipped; 1 behind it handled, 0 still parked."
    assert logged() == [
        "Pause: Projection fragile is paused. Reason: lunch break",
        "Resume: Projection fragile runs again. Reason: none given",
        "Retry: Projection fragile: 0 parked events handled, 2 still parked. Reason: none given",
        f"{skipped} Reason: a test",
        "Rebuild: Projection fragile will be rebuilt by the next worker. Reason: none given",
        "Cancel: Projection fragile is no longer rebuilt; its served rows stay. Reason: too slow",
    ]
    assert {(entry.user, entry.object_id) for entry in LogEntry.objects.all()} == {(user, "fragile")}
    page = read(operator, f"{LIST}fragile/history/")
    assert "Reason: too slow" in page


def test_forms_lead_back_to_where_they_were(operator: Client) -> None:
    run_until_caught_up("fragile")

    def target(action: str, back: str) -> str:
        data = {"action": action, "_selected_action": "fragile", "back": back}
        return operator.post(LIST, data).headers["Location"]

    assert target("pause", page_of("fragile")) == page_of("fragile")
    assert target("resume", "") == LIST
    assert target("pause", "https://example.org/") == LIST
    assert target("resume", "//example.org/") == LIST


def test_form_that_is_sent_twice_does_no_harm(operator: Client, store: EventStore) -> None:
    # The one behind it fails as well: a second skip must not be taken for one of that.
    store.dispatch(new("b-1", "Fragile", data={"poison": 2}), new("b-1", "Fragile", data={"poison": 3}))
    catch_up("fragile")
    first = ParkedEvent.objects.failed().get(aggregate_id="b-1")
    back = f"{PARKED}{first.pk}/change/"
    assert "1 still parked" in act(operator, PARKED, "skip", first.pk, reason="a test")
    page = act(operator, PARKED, "skip", first.pk, reason="a test", back=back)
    assert "Nothing was done" in page
    assert "This event is no longer parked." in page
    assert "cannot handle 3" in ParkedEvent.objects.get(aggregate_id="b-1").error
    for action in ("pause", "pause", "resume", "resume", "rebuild", "rebuild", "cancel", "cancel"):
        act(operator, LIST, action, "fragile")
    assert ProjectionState.objects.get(pk="fragile").status == "running"
    assert not Rebuild.objects.exists()


@pytest.mark.parametrize("key", ["x", "0", "\0", "99999999999999999999"])
def test_key_of_nothing_is_rejected(operator: Client, key: str) -> None:
    run_until_caught_up("fragile")
    for path, action in ((LIST, "pause"), (PARKED, "retry")):
        assert "Nothing was done" in act(operator, path, action, key)


def test_retry_from_the_list_of_parked_events(
    operator: Client, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_some(store, aggregates=2, waiting=0)
    monkeypatch.setattr(Fragile, "check", lambda self, event: None)
    first = ParkedEvent.objects.earliest("position")
    assert "1 parked events of a-0 handled, 0 still parked" in act(operator, PARKED, "retry", first.pk)
    assert notes() == [("a-0", 1)]
    assert logged() == ["Retry: Projection fragile: 1 parked events of a-0 handled, 0 still parked. Reason: none given"]


def test_who_may_only_look_cannot_operate(client_of: Callable[..., Client], store: EventStore) -> None:
    break_some(store)
    parked = ParkedEvent.objects.failed().get()
    viewer = client_of("projections.view_projectionstate", "projections.view_parkedevent")
    for path in (LIST, page_of("fragile"), PARKED, f"{PARKED}{parked.pk}/change/"):
        page = read(viewer, path)
        assert acts_offered(page) == []
        assert "popover" not in page
    for path, action, key in ((LIST, "pause", "fragile"), (PARKED, "skip", parked.pk), (PARKED, "retry", parked.pk)):
        answer = viewer.post(path, {"action": action, "_selected_action": key, "reason": "so"})
        assert answer.status_code == 403
    assert not Operation.objects.exists()
    assert client_of().get(LIST).status_code == 403
    assert client_of().get(page_of("fragile")).status_code == 403


def test_each_part_of_the_pages_is_for_those_who_may_view_it(
    client_of: Callable[..., Client], store: EventStore
) -> None:
    break_some(store)
    actions.pause("fragile", by="ann", reason="lunch break")
    viewer = client_of("projections.view_projectionstate")
    assert viewer.get(PARKED).status_code == 403
    assert PARKED not in read(viewer, LIST)
    assert "run_projections" not in read(viewer, LIST)
    page = read(viewer, page_of("fragile"))
    assert "Traceback" not in page
    assert page.count("lunch break") == 1  # the status says it; the record would again
    everything = client_of(
        *[f"projections.view_{model}" for model in ("projectionstate", "parkedevent", "heartbeat", "operation")]
    )
    assert "run_projections" in read(everything, LIST)
    page = read(everything, page_of("fragile"))
    assert "Traceback" in page
    assert page.count("lunch break") == 2


def test_parked_events_are_shown_with_what_they_hold_up(client_of: Callable[..., Client], store: EventStore) -> None:
    break_some(store, aggregates=2, waiting=parked_aggregates.MAX_WAITING + 3)
    failed, waiting = ParkedEvent.objects.filter(aggregate_id="a-0").order_by("position")[:2]
    reader = client_of(
        *("projections.view_projectionstate", "projections.view_parkedevent"),
        *("events.view_event", "events.view_aggregate"),
    )
    for path in (page_of("fragile"), f"{PARKED}{failed.pk}/change/"):
        page = read(reader, path)
        assert "in check" in page  # of the traceback
        assert "and 3 more" in page
        assert page.count("Waiting behind it, because") == (2 if path == page_of("fragile") else 1)
        assert f"/admin/events/event/{failed.position}/change/" in page
        assert f"/admin/events/event/{waiting.position}/change/" in page
        assert "/admin/events/aggregate/a-0/change/" in page
        assert "opensesame" not in page
    page = read(reader, f"{PARKED}{waiting.pk}/change/")
    assert f"{PARKED}{failed.pk}/change/" in page
    assert "cannot handle 1" in page


def test_events_are_linked_for_those_who_may_read_them(
    client_of: Callable[..., Client], store: EventStore, category_permissions: None
) -> None:
    break_some(store)
    store.dispatch(new("order-1", "Fragile", data={"poison": 2, "secret": "opensesame"}))
    catch_up("fragile")
    viewer = client_of("projections.view_projectionstate", "projections.view_parkedevent", "events.view_event:order")
    page = read(viewer, page_of("fragile"))
    assert "/admin/events/aggregate/order-1/change/" in page
    assert "/admin/events/aggregate/a-0/change/" not in page
    assert len(re.findall(r"/admin/events/event/\d+/change/", page)) == 1
    assert "opensesame" not in page


def test_pages_are_bounded(operator: Client, store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parked_aggregates, "MAX_AGGREGATES", 2)
    monkeypatch.setattr(operation_log, "NEWEST", 2)
    break_some(store, aggregates=5)
    page = read(operator, page_of("fragile"))
    assert page.count("<article") == 2
    assert "and 3 more aggregates" in page


def test_queries_of_the_board_do_not_grow(client_of: Callable[..., Client], store: EventStore) -> None:
    viewer = client_of(
        *[f"projections.view_{model}" for model in ("projectionstate", "parkedevent", "heartbeat", "operation")]
    )
    break_some(store)
    register_all()

    def queries(path: str) -> int:
        with CaptureQueriesContext(connection) as seen:
            read(viewer, path)
        return len(seen)

    paths = (LIST, page_of("fragile"))
    before = [queries(path) for path in paths]
    break_some(store, aggregates=5, waiting=5)
    now = timezone.now()
    Heartbeat.objects.bulk_create(
        Heartbeat(id=uuid4(), host="host", pid=pid, started_at=now, seen_at=now, projections="all") for pid in range(9)
    )
    assert [queries(path) for path in paths] == before
    ProjectionState.objects.bulk_create(ProjectionState(name=f"gone_{n}", mode="async", version=1) for n in range(10))
    assert queries(LIST) <= before[0] + 10 * 3


@pytest.mark.parametrize(("seconds", "word"), [(1, "alive"), (60, "silent")])
def test_worker_that_is_not_heard_of_is_silent(client_of: Callable[..., Client], seconds: int, word: str) -> None:
    seen = timezone.now() - timedelta(seconds=seconds)
    Heartbeat.objects.create(id=uuid4(), host="host", pid=7, started_at=seen, seen_at=seen, projections="tally")
    viewer = client_of("projections.view_projectionstate", "projections.view_heartbeat")
    page = read(viewer, LIST)
    assert re.search(rf"host:7.*>{word}<.*\d s ago", page, re.DOTALL)
    assert ("silent" in read(viewer, "/admin/projections/heartbeat/")) == (word == "silent")


def test_refresh_leaves_messages_to_the_page_that_is_opened(operator: Client) -> None:
    run_until_caught_up("fragile")
    operator.post(LIST, {"action": "pause", "_selected_action": "fragile"})
    in_background = operator.get(LIST, headers={"X-Board-Refresh": "1"}).content.decode()
    assert "fragile is paused." not in in_background
    assert "fragile is paused." in read(operator, LIST)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (900_000, "10 d")]
)
def test_durations_are_said_in_their_unit(seconds: float, text: str) -> None:
    assert board.format_duration(seconds) == text


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

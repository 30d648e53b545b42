"""Operations in the admin: offered where they make sense, permitted, done once, recorded."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client

from events.store import EventStore
from projections.engine.registration import register_all
from projections.models import Operation, ParkedEvent, ProjectionState, Rebuild
from projections.testing import run_until_caught_up
from tests.projections.admin.support import LIST, PARKED, act, acts_offered, break_some, logged, page_of, read
from tests.projections.support import catch_up, notes
from tests.support import new

pytestmark = pytest.mark.django_db(transaction=True)


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
def test_unknown_key_is_rejected(operator: Client, key: str) -> None:
    run_until_caught_up("fragile")
    for path, action in ((LIST, "pause"), (PARKED, "retry")):
        assert "Nothing was done" in act(operator, path, action, key)


def test_users_who_may_only_view_cannot_operate(client_of: Callable[..., Client], store: EventStore) -> None:
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

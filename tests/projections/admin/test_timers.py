"""Timers in the admin."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from django.test import Client

from projections.models import Timer
from tests.projections.admin.support import act, acts_offered, logged, read
from tests.projections.reactions.support import Answers, Reminds, add_timers, registered, reminders
from tests.projections.support import catch_up

pytestmark = pytest.mark.django_db(transaction=True)
NEW_YEAR = datetime(2100, 1, 1, tzinfo=UTC)
TIMERS = "/admin/projections/timer/"


@pytest.fixture(autouse=True)
def reminds() -> Iterator[None]:
    with registered(Reminds, Answers):
        catch_up("reminds", "answers")
        yield


@pytest.fixture
def operator(client_of: Callable[..., Client]) -> Client:
    return client_of("projections.view_timer", "projections.operate_projections")


def change_page(timer: Timer) -> str:
    return f"{TIMERS}{timer.pk}/change/"


def test_timers_are_listed_oldest_first_with_their_state(client_of: Callable[..., Client]) -> None:
    add_timers(3, NEW_YEAR)
    add_timers(1, NEW_YEAR, reaction="before")
    Timer.objects.filter(key="k1").update(attempts=2, error="LookupError: no", next_attempt_at=None)
    Timer.objects.filter(key="k2").update(attempts=1, error="LookupError: not yet")
    reader = client_of("projections.view_timer")
    page = read(reader, TIMERS)
    assert re.findall(r'title="(k\d)"', page) == ["k2", "k1", "k0", "k0"]
    states = re.findall(r'field-state">(?:<[^>]*>)*([a-zA-Z: ]+)', page)
    assert states == ["retrying at ", "rejected: LookupError: no", "waiting", "waiting"]
    assert page.count(">gone</span>") == 1
    assert "LookupError: not yet" in page
    assert "?reaction__exact=before" in page or "?reaction=before" in page
    assert "k1" not in read(reader, f"{TIMERS}?reaction=before")
    assert "Fire now" not in page


def test_page_of_a_timer_shows_its_event_to_those_who_may_read_it(
    client_of: Callable[..., Client], operator: Client
) -> None:
    add_timers(1, NEW_YEAR)
    timer = Timer.objects.get()
    Timer.objects.update(data={"number": 1, "secret": "opensesame"})
    assert "opensesame" in read(client_of("projections.view_timer", "events.view_event"), change_page(timer))
    page = read(operator, change_page(timer))
    assert "opensesame" not in page
    assert acts_offered(page) == ["fire", "cancel"]
    assert ">waiting</span>" in page
    assert acts_offered(read(client_of("projections.view_timer"), change_page(timer))) == []
    Timer.objects.update(attempts=1, error="LookupError: no", next_attempt_at=None)
    page = read(operator, change_page(timer))
    assert ">rejected</span>" in page
    assert "LookupError: no" in page
    Timer.objects.update(reaction="before", error="")
    assert "its reaction is gone" in read(operator, change_page(timer))


def test_timers_are_fired_and_cancelled_with_a_reason(operator: Client) -> None:
    add_timers(3, NEW_YEAR)
    first, second, third = Timer.objects.order_by("due_at")
    page = act(operator, TIMERS, "fire", first.pk, second.pk, reason="now")
    assert "Timer k2 of reminds fired." in page
    assert [event.payload.number for event in reminders()] == [2, 1]
    assert "Timer k0 of reminds cancelled." in act(operator, TIMERS, "cancel", third.pk)
    assert "Nothing was done: the chosen row no longer exists." in act(operator, TIMERS, "cancel", third.pk)
    assert logged() == [
        "Fire Timers: Timer k2 of reminds fired. Reason: now",
        "Fire Timers: Timer k1 of reminds fired. Reason: now",
        "Cancel Timers: Timer k0 of reminds cancelled. Reason: none given",
    ]


def test_timers_of_a_reaction_that_is_gone_are_moved(operator: Client) -> None:
    add_timers(2, NEW_YEAR, reaction="before")
    one = Timer.objects.first()
    assert one
    assert "Choose the reaction to move the timers to." in act(operator, TIMERS, "move", one.pk)
    data = {"action": "move", "_selected_action": [one.pk], "to": "reminds", "reason": "renamed"}
    page = operator.post(TIMERS, data, follow=True).content.decode()
    assert "2 timers of before now belong to reminds." in page
    page = operator.post(TIMERS, data | {"to": "answers"}, follow=True).content.decode()
    assert "still in the code" in page
    assert Timer.objects.of("reminds").count() == 2


def test_users_without_the_permission_change_nothing(client_of: Callable[..., Client]) -> None:
    add_timers(1, NEW_YEAR)
    reader = client_of("projections.view_timer")
    assert reader.post(TIMERS, {"action": "fire", "_selected_action": [Timer.objects.get().pk]}).status_code == 403
    assert client_of().get(TIMERS).status_code == 403
    assert Timer.objects.count() == 1


def test_timer_that_has_fired_leads_back_to_the_list(operator: Client) -> None:
    page = operator.get(f"{TIMERS}9/change/", follow=True).content.decode()
    assert "This timer has fired, or was cancelled." in page

"""What the pages of events and flows say about reactions and timers."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client

from events.models import Event
from events.types import NewEvent
from projections.models import ParkedEvent, ProjectionState, Timer
from tests.projections.admin.support import read
from tests.projections.reactions.support import Answers, Asked, Reminds, registered, store
from tests.projections.support import catch_up

pytestmark = pytest.mark.django_db(transaction=True)
EVENT = "/admin/events/event/"


@pytest.fixture(autouse=True)
def reactions() -> Iterator[None]:
    with registered(Reminds, Answers):
        yield


@pytest.fixture
def reader(client_of: Callable[..., Client]) -> Client:
    models = ("projections.view_projectionstate", "projections.view_timer", "projections.view_parkedevent")
    return client_of("events.view_event", *models)


def notes_on(client: Client, event: Event) -> list[str]:
    html = read(client, f"{EVENT}{event.position}/change/")
    lists = re.findall(r'<ul class="event-notes">(.*?)</ul>', html, re.DOTALL)
    return [re.sub("<[^>]*>", "", each) for found in lists for each in re.findall(r"<li>(.*?)</li>", found)]


def ask() -> Event:
    (event,) = store.dispatch(NewEvent("question-1", Asked(number=1)))
    return event


def test_event_names_the_reactions_that_handle_it_and_its_timers(reader: Client) -> None:
    catch_up("answers", "reminds")
    event = ask()
    assert notes_on(reader, event) == ["answers: not handled yet", "reminds: not handled yet"]
    catch_up("answers", "reminds")
    *handled, timer = notes_on(reader, event)
    assert handled == ["answers: handled", "reminds: handled"]
    assert timer.startswith(f"reminds: timer {Timer.objects.get().key}, due ")


def test_event_that_a_reaction_stored_names_it_and_is_marked(reader: Client) -> None:
    event = ask()
    catch_up("answers")
    answer = Event.objects.get(type="reactions-answered")
    assert notes_on(reader, answer) == ["stored by the reaction answers"]
    html = read(reader, f"{EVENT}flow/?correlation_id={answer.metadata['correlation_id']}")
    assert 'data-mark="reaction"' in html
    assert re.findall(r'data-depth="(\d)">\s*<a href="[^"]*">([^<]*)', html) == [
        ("0", event.type),
        ("1", "reactions-answered"),
    ]


def test_event_that_a_timer_stored_names_it_and_is_marked(reader: Client) -> None:
    ask()
    catch_up("reminds")
    Timer.objects.update(due_at="2020-01-01T00:00:00Z", next_attempt_at="2020-01-01T00:00:00Z")
    catch_up("reminds")
    reminder = Event.objects.get(type="reactions-reminded")
    assert notes_on(reader, reminder)[0].startswith("stored by the timer ")
    html = read(reader, f"{EVENT}flow/?correlation_id={reminder.metadata['correlation_id']}")
    assert 'data-mark="timer"' in html


def test_event_that_has_stepped_aside_leads_to_its_page(reader: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    catch_up("answers", "reminds")
    event = ask()

    def fail(*given: Any) -> None:
        raise KeyError("number")

    monkeypatch.setattr(Answers, "answer", fail)
    with monkeypatch.context() as patch:
        patch.setattr(Answers, "_call_handlers", fail)
        catch_up("answers", "reminds")
    parked = ParkedEvent.objects.get(projection="answers")
    assert notes_on(reader, event)[0] == "answers: parked"
    assert f'href="/admin/projections/parkedevent/{parked.pk}/change/">parked</a>' in read(
        reader, f"{EVENT}{event.position}/change/"
    )


def test_shard_of_the_event_decides(reader: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Answers, "shards", 2)
    catch_up("answers")
    events = [store.dispatch(NewEvent(f"question-{number}", Asked(number=number)))[0] for number in range(6)]
    catch_up("answers")
    state = ProjectionState.objects.get(name="answers")
    state.checkpoints.filter(shard=1).update(position=0)
    shown = [notes_on(reader, event)[0] for event in events]
    assert set(shown) == {"answers: handled", "answers: not handled yet"}


def test_earlier_events_are_no_matter_of_a_reaction(reader: Client) -> None:
    event = ask()
    ProjectionState.objects.filter(name="answers").update(start_position=event.position)
    assert all(not note.startswith("answers:") for note in notes_on(reader, event))


def test_users_without_permission_see_only_who_stored_an_event(client_of: Callable[..., Client]) -> None:
    event = ask()
    catch_up("answers", "reminds")
    client = client_of("events.view_event")
    assert notes_on(client, event) == []
    assert notes_on(client, Event.objects.get(type="reactions-answered")) == ["stored by the reaction answers"]

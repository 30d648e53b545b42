"""The kit for users' tests works as its documentation says: in a plain TestCase, without a worker."""

from datetime import datetime, timedelta
from typing import Any

from django.test import TestCase
from django.utils import timezone

from events.exceptions import InvalidEvent
from events.models import Event
from events.store import EventStore
from events.testing import eager_events
from events.types import NewEvent
from projections.base import FIRST_EVENT, Projection, handles
from projections.exceptions import OperationRejected, UnknownProjection
from projections.models import Checkpoint, ParkedEvent, ProjectionState, Status, Timer
from projections.reactions import Actions, Reaction
from projections.testing import project, run_due_timers, run_until_caught_up
from projections.waiting import wait_for
from tests.projections.reactions.support import (
    Answered,
    Answers,
    Asked,
    Reminded,
    Reminds,
    answers,
    ask,
    cancelled,
    registered,
    reminders,
)
from tests.projections.support import tally
from tests.readmodels.projections import Broken
from tests.shop.models import Order, ProductSales
from tests.shop.projections import Orders, Sales


class KitTest(TestCase):
    def test_given_events_project_and_assert_rows(self) -> None:
        lines = [{"sku": "MUG-1", "quantity": 2, "price": 12.5}]
        (event,) = project(Sales, NewEvent("order-1", "OrderPlaced", {"lines": lines}))
        self.assertEqual(event.version, 1)
        self.assertEqual(ProductSales.objects.get().revenue, 25)

    def test_inline_one_is_not_run_twice(self) -> None:
        project(Orders, NewEvent("order-1", "OrderPlaced", {"total": 5}), NewEvent("order-1", "OrderPaid"))
        self.assertEqual(Order.objects.get().status, "paid")

    def test_eager_one_is_not_run_twice(self) -> None:
        lines = [{"sku": "MUG-1", "quantity": 2, "price": 12.5}]
        with eager_events():
            project(Sales, NewEvent("order-1", "OrderPlaced", {"lines": lines}))
        self.assertEqual(ProductSales.objects.get().revenue, 25)

    def test_projection_without_events_to_handle_moves_on(self) -> None:
        (event,) = EventStore().dispatch(NewEvent("a-1", "Unknown"))
        self.assertEqual(run_until_caught_up("tally", "sharded_tally"), 0)
        self.assertEqual(wait_for("sharded_tally", event.position, 0), event.position)

    def test_one_that_has_not_started_is_named(self) -> None:
        ProjectionState.objects.filter(name="tally").update(status=Status.UNDECIDED, status_reason="why")
        with self.assertRaisesMessage(OperationRejected, "'tally' does not start: why"):
            run_until_caught_up()

    def test_one_that_is_not_registered_works_too(self) -> None:
        seen: list[int] = []

        class Seen(Projection):
            name = "seen"

            @handles("A")
            def see(self, event: Event) -> None:
                seen.append(event.version)

        project(Seen, NewEvent("a-1", "A"), NewEvent("a-1", "B"), NewEvent("a-1", "A"))
        self.assertEqual(seen, [1, 3])

    def test_error_of_a_handler_reaches_the_test(self) -> None:
        project(Sales, NewEvent("a-1", "Fragile", {"poison": 1}))
        with self.assertRaisesMessage(Broken, "cannot handle 1"):
            run_until_caught_up("fragile")
        self.assertFalse(ParkedEvent.objects.exists())

    def test_run_until_caught_up_does_what_workers_would_do(self) -> None:
        project(Sales, *[NewEvent(f"a-{number % 3}", "Counted") for number in range(240)])
        self.assertEqual(run_until_caught_up("tally", "sharded_tally"), 480)
        self.assertEqual(tally()["all"], 240)
        self.assertEqual(run_until_caught_up("tally"), 0)
        with self.assertRaises(UnknownProjection):
            run_until_caught_up("nothing")

    def test_nothing_of_it_outlives_the_test(self) -> None:
        self.assertEqual(tally(), {})
        self.assertFalse(Checkpoint.objects.filter(position__gt=0).exists())


class Reactions(TestCase):
    """Reactions run in the test, and time moves on where the test says so."""

    def setUp(self) -> None:
        self.enterContext(registered(Reminds, Answers))
        cancelled.clear()

    def ask(self, *numbers: int, age: timedelta = timedelta(0)) -> None:
        then = timezone.now() - age
        EventStore().dispatch(*[NewEvent("question-1", Asked(number=number), timestamp=then) for number in numbers])

    def answer(self, number: int) -> None:
        EventStore().dispatch(NewEvent("question-1", Answered(number=number)))

    def test_eager_reactions_have_dispatched_when_dispatch_returns(self) -> None:
        with eager_events():
            ask(7)
            self.assertEqual([event.payload.number for event in answers()], [7])

    def test_eager_timers_that_are_due_fire_at_once_and_others_wait(self) -> None:
        with eager_events():
            self.ask(1, age=timedelta(hours=2))
            self.ask(2)
            self.assertEqual([event.payload.number for event in reminders()], [1])

    def test_time_moves_to_the_due_times_in_order(self) -> None:
        with eager_events():
            self.ask(1, age=timedelta(minutes=10))
            self.ask(2, 3)
            self.answer(2)
            self.assertEqual(cancelled.count(True), 1)
            self.assertEqual(run_due_timers(), 0)
            self.assertEqual(run_due_timers(timezone.now() + timedelta(minutes=55)), 1)
            self.assertEqual(run_due_timers(timezone.now() + timedelta(hours=2)), 1)
        self.assertEqual([event.payload.number for event in reminders()], [1, 3])
        self.assertAlmostEqual(reminders()[1].timestamp.timestamp(), timezone.now().timestamp() + 3600, delta=10)

    def test_without_eager_events_reactions_run_first(self) -> None:
        self.ask(1)
        self.assertEqual(run_due_timers(at=timezone.now() + timedelta(hours=2)), 1)
        self.assertEqual(len(answers()), 1)

    def test_timer_that_a_fired_one_cancels_does_not_fire(self) -> None:
        class Escalates(Reaction):
            name = "escalates"
            start = FIRST_EVENT

            @handles(Asked)
            def begin(self, event: Event[Asked], do: Actions) -> None:
                do.schedule(NewEvent("question-1", "First"), after=timedelta(hours=1), key="first")
                do.schedule(NewEvent("question-1", "Second"), after=timedelta(hours=2), key="second")

            @handles("First")
            def first(self, event: Event, do: Actions) -> None:
                do.cancel("second")
                do.schedule(NewEvent("question-1", "Third"), after=timedelta(hours=1), key="third")

        with registered(Escalates), eager_events():
            self.ask(1)
            run_due_timers(timezone.now() + timedelta(days=1))
            types = [event.type for event in EventStore().read_all(types=["First", "Second", "Third"])]
        self.assertEqual(types, ["First", "Third"])

    def test_rejected_event_of_a_timer_is_an_error_of_the_test(self) -> None:
        def reject(event: Event, **kwargs: Any) -> None:
            raise LookupError("no")

        with eager_events():
            self.ask(1)
            with EventStore().subscribe(Reminded, reject), self.assertRaisesMessage(LookupError, "no"):
                run_due_timers(timezone.now() + timedelta(hours=2))
        self.assertEqual(Timer.objects.get().attempts, 0)

    def test_moment_needs_a_time_zone(self) -> None:
        with self.assertRaisesMessage(InvalidEvent, "at: has no time zone"):
            run_due_timers(datetime(2030, 1, 1))

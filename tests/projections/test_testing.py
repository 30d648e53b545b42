"""The kit for users' tests works as its documentation says: in a plain TestCase, without a worker."""

from django.test import TestCase

from events.models import Event
from events.store import EventStore
from events.testing import eager_events
from events.types import NewEvent
from projections.base import Projection, handles
from projections.exceptions import OperationRejected, UnknownProjection
from projections.models import Checkpoint, ParkedEvent, ProjectionState, Status
from projections.testing import project, run_until_caught_up
from projections.waiting import wait_for
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

"""Tests as a project has them, by Django's own runner."""

from django.db import router, transaction
from django.test import TestCase, TransactionTestCase

from events.exceptions import VersionConflict
from events.models import Event
from events.store import EventStore
from events.testing import eager_events
from events.types import NewEvent
from projections.models import AggregateActivity
from projections.testing import project, run_until_caught_up
from projections.waiting import wait_for

from .models import Sale
from .projections import Sales

ALIAS = router.db_for_write(Event)
PLACED = NewEvent("order-1", "OrderPlaced")


class Behaviour:
    databases = {"default", ALIAS}

    def setUp(self):
        self.store = EventStore(ALIAS)
        self.seen = []

    def see(self, event, **kwargs):
        self.seen.append(event.version)

    def test_nothing_of_other_tests_is_there(self):
        self.assertEqual(list(self.store.read_all()), [])
        (event,) = self.store.dispatch(PLACED, expected_version=0)
        self.assertEqual(list(self.store.read_all()), [event])
        self.assertEqual(AggregateActivity.objects.get().event_count, 1)

    def test_nothing_of_it_is_there_again(self):
        self.test_nothing_of_other_tests_is_there()

    def test_subscribers_and_conflicts(self):
        with self.store.subscribe("OrderPlaced", self.see):
            self.store.dispatch(PLACED)
            with self.assertRaises(VersionConflict), transaction.atomic(ALIAS):
                self.store.dispatch(NewEvent("order-1", "OrderPlaced"), expected_version=7)
        self.assertEqual(self.seen, [1])

    def test_projections(self):
        project(Sales, NewEvent("order-1", "OrderPlaced"), NewEvent("order-1", "OrderPaid"))
        self.assertEqual(Sale.objects.get().count, 1)

    def test_eagerly(self):
        with eager_events(), self.store.subscribe("OrderPlaced", self.see, on_commit=True):
            (event,) = self.store.dispatch(PLACED)
            self.assertEqual(wait_for("sales", event.position, 0), event.position)
        self.assertEqual(self.seen, [1])
        self.assertEqual(Sale.objects.get().count, 1)

    def test_what_workers_would_do(self):
        self.store.dispatch(NewEvent("order-2", "OrderPlaced"), NewEvent("order-2", "OrderPlaced"))
        run_until_caught_up("sales")
        self.assertEqual(Sale.objects.get().count, 2)


class InOneTransaction(Behaviour, TestCase):
    def test_handlers_after_commit(self):
        with self.store.subscribe("OrderPlaced", self.see, on_commit=True):
            with self.captureOnCommitCallbacks(using=ALIAS) as callbacks:
                self.store.dispatch(PLACED)
            self.assertEqual(self.seen, [])
            for callback in callbacks:
                callback()
            self.assertEqual(self.seen, [1])
            with self.captureOnCommitCallbacks(using=ALIAS, execute=True):
                self.store.dispatch(NewEvent("order-1", "OrderPlaced"))
        self.assertEqual(self.seen, [1, 2])


class InTransactionsOfTheirOwn(Behaviour, TransactionTestCase):
    def test_handlers_after_commit(self):
        with self.store.subscribe("OrderPlaced", self.see, on_commit=True):
            with transaction.atomic(ALIAS):
                self.store.dispatch(PLACED)
                self.assertEqual(self.seen, [])
        self.assertEqual(self.seen, [1])

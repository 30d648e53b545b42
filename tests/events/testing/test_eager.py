"""Handlers and projections in tests, with pytest and with Django's own runner."""

import threading
import time
from contextlib import ExitStack
from functools import partial
from typing import Any
from unittest import defaultTestLoader

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import Atomic
from django.test import Client, SimpleTestCase, TestCase, TransactionTestCase
from django.test.runner import DiscoverRunner

from events import subscriptions
from events.exceptions import VersionConflict
from events.models import Event
from events.signals import event_committed
from events.store import EventStore, append_and_send
from events.testing import EagerEvents, FailedAfterCommit, eager, make_event
from events.testing import eager_events as eagerly
from events.validation import validate_events
from projections.exceptions import NotCaughtUp, WaitsForItself
from projections.models import ParkedEvent
from projections.operations import actions
from projections.waiting import await_for, wait_for
from tests.projections.support import tally
from tests.readmodels.models import FragileNote
from tests.readmodels.projections import Broken
from tests.support import in_threads, new, raise_first, stored

store = EventStore()


class Behaviour:
    """What must hold in tests with one transaction, and in tests that commit."""

    def setUp(self) -> None:
        self.seen: list[Any] = []
        self.stack = self.enterContext(ExitStack())
        self.subscribe("Counted", self.see)

    def see(self, event: Event, **kwargs: Any) -> None:
        self.seen.append((event.aggregate_id, event.version))

    def subscribe(self, event_type: str, handler: Any) -> None:
        self.stack.enter_context(store.subscribe(event_type, handler, on_commit=True))

    def test_handlers_and_projections_have_handled_an_event_when_dispatch_returns(self) -> None:
        event_committed.connect(self.see)
        self.stack.callback(event_committed.disconnect, self.see)
        *_, last = store.dispatch(new("a-1", "Counted"), new("a-1", "Counted"), new("b-1"))
        self.assertEqual(self.seen, [("a-1", 1), ("a-1", 1), ("a-1", 2), ("a-1", 2), ("b-1", 1)])
        self.assertEqual(tally(), {"all": 2, "a-1": 2})
        for projection in ("tally", "sharded_tally", "aggregate_activity", "event_type_activity", "fragile"):
            self.assertGreaterEqual(wait_for(projection, last.position, 0), last.position)

    def test_reads_over_http_need_not_wait(self) -> None:
        client = Client()
        client.force_login(User.objects.create_superuser("somebody"))
        with self.settings(PROJECTIONS_MAX_WAIT_SECONDS=0.01):
            body = {"type": "Counted"}
            appended = client.post("/api/aggregates/a-1/events/", body, content_type="application/json")
            path = "/api/read-models/event-type-activity/"
            answer = client.get(path, {"at_least": appended.json()["position"]})
        self.assertEqual(answer.json()["activity"][0]["event_count"], 1)
        self.assertEqual(self.seen, [("a-1", 1)])

    def test_outermost_block_of_the_code_counts_as_its_commit(self) -> None:
        with transaction.atomic():
            with transaction.atomic(durable=False):
                (event,) = store.dispatch(new("a-1", "Counted"))
            with self.assertRaises(LookupError), transaction.atomic():
                store.dispatch(new("b-1", "Counted"))
                raise LookupError
            transaction.on_commit(lambda: self.seen.append("on commit"))
            self.assertEqual((self.seen, tally()), ([], {}))
            with self.assertRaisesRegex(WaitsForItself, "Wait after the commit"):
                wait_for("tally", event.position)
        self.assertEqual((self.seen, tally()), ([("a-1", 1), "on commit"], {"all": 1, "a-1": 1}))
        with self.assertRaises(LookupError), transaction.atomic(durable=True):
            store.dispatch(new("a-1", "Counted"))
            raise LookupError
        with transaction.atomic(savepoint=False):
            transaction.on_commit(lambda: self.seen.append("without savepoint"))
        transaction.on_commit(lambda: self.seen.append("at once"))
        self.assertEqual(self.seen[2:], ["without savepoint", "at once"])
        self.assertEqual(tally(), {"all": 1, "a-1": 1})

    def test_handler_that_dispatches_and_waits_does_so_within_the_call(self) -> None:
        def follow(event: Event, **kwargs: Any) -> None:
            wait_for("tally", event.position, 0)
            (followed,) = store.dispatch(new("b-1", "Counted"))
            wait_for("tally", followed.position, 0)
            self.seen.append("followed")

        self.subscribe("Followed", follow)
        store.dispatch(new("a-1", "Followed"), new("a-1", "Counted"))
        self.assertEqual(self.seen, [("b-1", 1), "followed", ("a-1", 2)])
        self.assertEqual(tally()["all"], 2)

    async def test_coroutines_do_the_same(self) -> None:
        (event,) = await store.adispatch(new("a-1", "Counted"))
        self.assertEqual(await await_for("tally", event.position, 0), event.position)
        self.assertEqual(self.seen, [("a-1", 1)])

    def test_error_of_a_handler_is_raised_by_dispatch(self) -> None:
        def fail(event: Event, **kwargs: Any) -> None:
            raise LookupError("handler")

        self.subscribe("Failing", fail)
        self.subscribe("Conflicting", lambda event, **kwargs: store.dispatch(new("a-1"), expected_version=0))
        with self.assertRaisesRegex(LookupError, "handler"):
            store.dispatch(new("a-1", "Failing"))
        with self.assertRaisesRegex(FailedAfterCommit, "raised VersionConflict") as raised:
            store.dispatch(new("a-1", "Conflicting"))
        self.assertIsInstance(raised.exception.__cause__, VersionConflict)
        with self.assertRaisesRegex(Broken, "cannot handle 1"):
            store.dispatch(new("b-1", "Fragile", data={"poison": 1}))
        self.assertEqual(len(stored()), 3)
        self.assertFalse(ParkedEvent.objects.exists())
        self.assertEqual(FragileNote.objects.count(), 0)

    def test_database_error_of_a_handler_leaves_the_test_usable(self) -> None:
        def fail(event: Event, **kwargs: Any) -> None:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 / 0")

        self.subscribe("Failing", fail)
        with self.assertRaisesRegex(Exception, "division by zero"):
            store.dispatch(new("a-1", "Failing"))
        store.dispatch(new("a-1", "Counted"))
        self.assertEqual((stored(), self.seen), ([("a-1", 1), ("a-1", 2)], [("a-1", 2)]))

    def test_append_that_calls_no_subscribers_reaches_projections(self) -> None:
        append_and_send(validate_events([new("a-1", "Counted")]), {}, "default", call_subscribers=False)
        self.assertEqual((self.seen, tally()["all"]), ([], 1))

    def test_paused_projection_is_named(self) -> None:
        actions.pause("tally", by="x")
        (event,) = store.dispatch(new("a-1", "Counted"))
        with self.assertRaisesRegex(NotCaughtUp, "its status is paused"):
            wait_for("tally", event.position, 0.01)


class InOneTransaction(EagerEvents, Behaviour, TestCase):
    pass


class InTransactionsOfTheirOwn(EagerEvents, Behaviour, TransactionTestCase):
    def test_threads_take_turns(self) -> None:
        def dispatch(number: int) -> None:
            for _ in range(2):
                (event,) = store.dispatch(new(f"a-{number}", "Counted"))
                wait_for("tally", event.position, 0)

        raise_first(in_threads(*[partial(dispatch, number) for number in range(3)]))
        self.assertEqual((tally()["all"], len(self.seen)), (6, 6))

    def test_append_of_another_thread_that_is_about_to_commit_is_waited_for(self) -> None:
        has_appended = threading.Event()

        def commit_late() -> None:
            with transaction.atomic():
                store.dispatch(new("a-1", "Counted"))
                has_appended.set()
                time.sleep(0.3)

        def dispatch() -> None:
            has_appended.wait()
            (event,) = store.dispatch(new("a-2", "Counted"))
            wait_for("tally", event.position, 0)

        raise_first(in_threads(commit_late, dispatch))
        self.assertEqual(tally()["all"], 2)


class Prepared(EagerEvents, TestCase):
    """What is stored before the test, and after it."""

    seen: list[str] = []

    @classmethod
    def setUpTestData(cls) -> None:
        transaction.on_commit(lambda: cls.seen.append("for the class"))
        store.dispatch(new("a-1", "Counted"))
        cls.counted = tally()["all"]

    def setUp(self) -> None:  # without super().setUp()
        transaction.on_commit(lambda: self.seen.append("for the test"))
        store.dispatch(new("a-1", "Counted"))

    def test_events_of_the_class_and_of_the_test_are_handled(self) -> None:
        self.assertEqual((self.counted, tally()["all"]), (1, 2))
        self.assertEqual(self.seen.count("for the class"), 1)

    test_again = test_events_of_the_class_and_of_the_test_are_handled

    def tearDown(self) -> None:
        store.dispatch(new("a-1", "Counted"))
        assert tally()["all"] == 3


class WithoutDatabase(EagerEvents, SimpleTestCase):
    def test_nothing(self) -> None:
        pass


def results_by_django(*cases: type) -> Any:
    tests = [test for case in cases for test in defaultTestLoader.loadTestsFromTestCase(case)]
    suite = DiscoverRunner.test_suite(tests)
    return DiscoverRunner(verbosity=0, interactive=False).run_suite(suite)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("case", [InOneTransaction, InTransactionsOfTheirOwn, Prepared])
def test_case_passes_under_the_runner_of_django(case: type) -> None:
    result = results_by_django(case)
    assert (result.errors, result.failures) == ([], [])
    assert result.testsRun >= 2


@pytest.mark.django_db(transaction=True)
def test_case_that_may_not_use_the_database_is_told_so() -> None:
    ((_, error),) = results_by_django(WithoutDatabase).failures
    assert "Database queries to 'default' are not allowed" in error


for each in (InOneTransaction, InTransactionsOfTheirOwn, Prepared, WithoutDatabase):
    each.__test__ = False  # for pytest


class UnderPytest(EagerEvents, TestCase):
    def test_mixin_works_with_pytest_too(self) -> None:
        store.dispatch(new("a-1", "Counted"))
        self.assertEqual(tally()["all"], 1)


@pytest.mark.parametrize(
    "commits",
    [
        pytest.param(False, marks=pytest.mark.django_db),
        pytest.param(True, marks=pytest.mark.django_db(transaction=True)),
    ],
)
def test_fixture_of_pytest(commits: bool, eager_events: None) -> None:
    assert connection.in_atomic_block is not commits
    (event,) = store.dispatch(new("a-1", "Counted"))
    assert wait_for("tally", event.position, 0) == event.position
    assert tally()["all"] == 1


def what_it_replaces() -> tuple[Any, ...]:
    participants = list(subscriptions.PARTICIPANTS.signals_for(make_event(), "default"))
    numbers = [len(signal.receivers) for signal in participants]
    return Atomic.__exit__, BaseDatabaseWrapper.on_commit, subscriptions._send_one_committed, numbers


@pytest.mark.django_db
def test_block_handles_what_was_stored_before_and_nothing_after() -> None:
    seen: list[str] = []
    before = what_it_replaces()
    with transaction.atomic():  # not a block of TestCase
        transaction.on_commit(lambda: seen.append("registered before"))
        store.dispatch(new("a-1", "Counted"))
        with eagerly():
            assert tally()["all"] == 1
            with transaction.atomic(durable=True):
                store.dispatch(new("a-1", "Counted"), new("a-1"), new("a-1"))
                with eagerly():  # one inside another changes nothing
                    pass
                assert [entry[1] for entry in connection.run_on_commit].count(eager._handle_news) == 1
                assert tally()["all"] == 1
            assert tally()["all"] == 2
        store.dispatch(new("a-1", "Counted"))
        assert (tally()["all"], seen) == (2, [])
        with pytest.raises(RuntimeError), transaction.atomic(durable=True):
            pass
    assert what_it_replaces() == before
    for function in [entry[1] for entry in connection.run_on_commit]:
        function()
    assert seen == ["registered before"]

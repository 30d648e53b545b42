"""A pass that failed: retried, narrowed down to its event, or stopped."""

import asyncio
import time
from contextlib import suppress
from typing import Any

import pytest
from django.db import DataError, Error, connection, transaction
from django.utils import timezone

from events import summaries
from events.models import Event
from events.store import EventStore
from projections.base import STOP
from projections.engine import registration, runner
from projections.exceptions import OperationRejected, StopNow
from projections.models import Build, Checkpoint, ParkedEvent, Rebuild
from projections.operations import actions, status
from projections.workers.worker import Worker
from tests.projections.engine.support import fragile
from tests.projections.support import catch_up, checkpoint, instance, notes
from tests.readmodels.projections import Fragile
from tests.support import UNREADABLE, store_unchecked

pytestmark = pytest.mark.django_db(transaction=True)


def test_projection_that_shall_stop_retries_in_place_and_parks_nothing(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[int] = []

    def fail_once(self: Fragile, event: Event) -> None:
        if not failures:
            failures.append(event.position)
            raise TimeoutError("no answer")

    monkeypatch.setattr(Fragile, "check", fail_once)
    monkeypatch.setattr(Fragile, "retry_delays_seconds", (3600, 3600))
    monkeypatch.setattr(Fragile, "on_error", STOP)
    _, poison = store.dispatch(fragile("a-1"), fragile("b-1", 1))
    catch_up_to = store.settled_position()
    projection = instance(Fragile)
    registration.ensure_registered(projection)

    def one_pass() -> runner.PassOutcome:
        return runner.run_pass(projection, checkpoint("fragile").pk, catch_up_to).outcome

    before = timezone.now()
    assert one_pass() is runner.PassOutcome.FAILED
    assert notes() == [("a-1", 1)]  # what comes before is done
    found = status.report("fragile")
    assert (found.attempts, found.last_error) == (1, "TimeoutError: no answer")
    assert found.next_attempt_at is not None
    assert found.next_attempt_at > before
    assert checkpoint("fragile").failing_position == poison.position
    assert one_pass() is runner.PassOutcome.NOT_LOCKED  # not due yet
    Checkpoint.objects.update(next_attempt_at=before)
    assert one_pass() is runner.PassOutcome.DONE
    assert notes() == [("a-1", 1), ("b-1", 1)]
    assert not ParkedEvent.objects.exists()
    assert status.report("fragile").attempts == 0


def test_projection_that_shall_stop_stops_and_goes_on_when_it_is_resumed(
    store: EventStore, monkeypatch: pytest.MonkeyPatch, mended: Any
) -> None:
    monkeypatch.setattr(Fragile, "on_error", STOP)
    _, poison, _ = store.dispatch(fragile("a-1"), fragile("b-1", 1), fragile("a-1"))
    catch_up("fragile")
    found = status.report("fragile")
    assert found.status == "stopped"
    assert "Broken: cannot handle 1" in found.status_reason
    assert str(poison.position) in found.status_reason
    assert found.problem() == "it has stopped"
    assert (notes(), found.lag_events) == ([("a-1", 1)], 2)
    mended()
    catch_up("fragile")
    assert notes() == [("a-1", 1)]
    actions.resume("fragile", by="x")
    catch_up("fragile")
    assert notes() == [("a-1", 1), ("b-1", 1), ("a-1", 2)]
    with pytest.raises(OperationRejected, match="nothing to resume"):
        actions.resume("fragile", by="x")


def test_error_at_commit_and_swallowed_database_error_are_pinned_down_too(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def swallow(self: Fragile, event: Event) -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 / 0")
        except Exception:  # noqa: S110
            pass

    monkeypatch.setattr(Fragile, "check", swallow)
    store.dispatch(*[fragile(f"a-{n}", 1 if n == 5 else None) for n in range(9)])
    catch_up("fragile")
    assert [event.aggregate_id for event in ParkedEvent.objects.all()] == ["a-5"]
    assert len(notes()) == 8


class Unwritable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


UNWRITABLE = {
    "half a surrogate pair": (ValueError("caf\udce9"), "ValueError: caf\\udce9"),
    "NUL": (ValueError("a\0b"), "ValueError: a\\0b"),
    "no text": (Unwritable(), "Unwritable: its __str__ raised RuntimeError"),
    "long": (ValueError("x" * 3_000_000), "ValueError: xxx"),
    "exit": (SystemExit("caf\udce9"), "SystemExit: caf\\udce9"),
    "cancelled": (asyncio.CancelledError(), "CancelledError"),
}


@pytest.mark.parametrize("build", [Build.LIVE, Build.REBUILD])
@pytest.mark.parametrize("kind", UNWRITABLE)
def test_failure_is_counted_and_parked_whatever_its_text(
    store: EventStore, monkeypatch: pytest.MonkeyPatch, kind: str, build: Build
) -> None:
    error, text = UNWRITABLE[kind]

    def fail(self: Fragile, event: Event) -> None:
        raise error

    store.dispatch(fragile("a-1"), fragile("b-1", 1), fragile("a-1"))
    if build == Build.REBUILD:
        monkeypatch.setattr(Fragile, "check", lambda self, event: None)
        catch_up("fragile")
        actions.ask_for_rebuild("fragile", by="x")
    monkeypatch.setattr(Fragile, "check", fail)
    catch_up("fragile")
    (parked,) = ParkedEvent.objects.all()
    assert parked.error.startswith(text)
    assert len(parked.error) <= summaries.MAX_CHARACTERS
    assert "Traceback" in parked.traceback
    assert notes() == [("a-1", 1), ("a-1", 2)]
    assert actions.retry("fragile", by="caf\udce9", reason="\0") == (0, 1)


def test_operator_who_ends_a_worker_at_once_blames_no_event(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for stop in (KeyboardInterrupt(), StopNow(143)):

        def end(self: Fragile, event: Event, stop: BaseException = stop) -> None:
            raise stop

        monkeypatch.setattr(Fragile, "check", end)
        store.dispatch(fragile("b-1", 1))
        with pytest.raises(type(stop)):
            catch_up("fragile")
    assert not ParkedEvent.objects.exists()
    assert checkpoint("fragile").attempts == 0


def test_event_that_cannot_be_read_is_parked_and_the_others_go_on(store: EventStore, mended: Any) -> None:
    store.dispatch(fragile("a-1"))
    store_unchecked("b-1", "Fragile", **dict([UNREADABLE["digits"]]))
    store.dispatch(fragile("b-1"), fragile("a-1"))
    for build in ("live", "rebuild"):
        if build == "rebuild":
            actions.ask_for_rebuild("fragile", by="x")
        catch_up("fragile")
        unreadable, waiting = ParkedEvent.objects.all()
        assert "UnreadableEvent" in unreadable.error
        assert (unreadable.attempts, waiting.error) == (1, "")
        assert notes() == [("a-1", 1), ("a-1", 2)]
    assert actions.retry("fragile", by="x") == (0, 2)
    assert actions.skip("fragile", unreadable.position, by="x", reason="cannot be read") == (1, 0)
    assert notes() == [("a-1", 1), ("a-1", 2), ("b-1", 2)]
    actions.ask_for_rebuild("fragile", by="x")
    catch_up("fragile")
    assert sorted(notes()) == [("a-1", 1), ("a-1", 2), ("b-1", 2)]
    assert not ParkedEvent.objects.exists()


# Failures that look like an outage


def close(cursor: Any) -> None:
    connection.close()


def kill_backend(cursor: Any) -> None:
    cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")


def sleep_too_long(cursor: Any) -> None:
    cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 20")
    time.sleep(0.1)


def ask_for_too_much(cursor: Any) -> None:
    cursor.execute("DO $$ BEGIN RAISE 'out of memory' USING ERRCODE = '53200'; END $$")


def swallow(cursor: Any) -> None:
    with suppress(DataError):
        cursor.execute("SELECT 1 / 0")


def mark_for_rollback(cursor: Any) -> None:
    transaction.set_rollback(True)


LIKE_OUTAGES = pytest.mark.parametrize("break_down", [close, kill_backend, sleep_too_long, ask_for_too_much])


def breaking(break_down: Any) -> Any:
    def check(self: Fragile, event: Event) -> None:
        with connection.cursor() as cursor:
            break_down(cursor)

    return check


@LIKE_OUTAGES
@pytest.mark.parametrize("build", [Build.LIVE, Build.REBUILD])
def test_outage_that_comes_back_at_one_event_belongs_to_it(
    store: EventStore, monkeypatch: pytest.MonkeyPatch, break_down: Any, build: Build
) -> None:
    store.dispatch(*[fragile(f"a-{n}", 1 if n == 5 else None) for n in range(9)])
    if build == Build.REBUILD:
        monkeypatch.setattr(Fragile, "check", lambda self, event: None)
        catch_up("fragile")
        actions.ask_for_rebuild("fragile", by="x")
    monkeypatch.setattr(Fragile, "check", breaking(break_down))
    Worker([instance(Fragile)], should_continue=lambda: not is_done(build)).run()
    (parked,) = ParkedEvent.objects.all()
    assert (parked.aggregate_id, bool(parked.error)) == ("a-5", True)
    assert sorted(notes()) == [(f"a-{n}", 1) for n in range(9) if n != 5]


def is_done(build: Build) -> bool:
    if build == Build.REBUILD:
        return not Rebuild.objects.exists()
    return ParkedEvent.objects.exists() and len(notes()) == 8


@LIKE_OUTAGES
def test_retry_that_loses_the_connection_says_at_which_event(
    store: EventStore, monkeypatch: pytest.MonkeyPatch, break_down: Any
) -> None:
    _, poison = store.dispatch(fragile("a-1"), fragile("b-1", 1))
    catch_up("fragile")
    monkeypatch.setattr(Fragile, "check", breaking(break_down))
    with pytest.raises(OperationRejected, match=f"at the event at position {poison.position}, and nothing has changed"):
        actions.retry("fragile", by="x")
    assert ParkedEvent.objects.get().position == poison.position


@pytest.mark.parametrize(
    "break_down", [close, kill_backend, sleep_too_long, ask_for_too_much, swallow, mark_for_rollback]
)
def test_inline_projection_that_breaks_down_stores_nothing_and_says_so(
    store: EventStore, monkeypatch: pytest.MonkeyPatch, inline_fragile: None, break_down: Any
) -> None:
    """Django and PostgreSQL end such a transaction without an error."""
    monkeypatch.setattr(Fragile, "check", breaking(break_down))
    with pytest.raises(Error):
        store.dispatch(fragile("a-1"), fragile("b-1", 1))
    assert (Event.objects.count(), notes()) == (0, [])

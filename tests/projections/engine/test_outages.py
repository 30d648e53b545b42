"""Outages of the database are the fault of no event and no rebuild."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import connection

from events.store import EventStore
from projections import registry
from projections.models import ParkedEvent, Rebuild
from projections.operations import actions
from projections.workers.worker import Worker
from tests.projections.support import catch_up, tally
from tests.support import new

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def connection_cut(times: int, at: str) -> Iterator[None]:
    """The server ends this thread's session, `times` times, before it gets a statement with `at` in it. It stays up."""
    cuts = iter(range(times))

    def cut(execute: Any, sql: str, *args: Any) -> Any:
        if at in sql and next(cuts, None) is not None:
            settings = {key: value for key, value in connection.get_connection_params().items() if key in LOGIN}
            with psycopg.connect(**settings, autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.connection.info.backend_pid])
        return execute(sql, *args)

    with connection.execute_wrapper(cut):
        yield
    assert next(cuts, None) is None, "it was cut as often as it should be"


@contextmanager
def disk_full(times: int, at: str) -> Iterator[None]:
    """The server says that its disk is full, `times` times, when it gets a statement with `at` in it."""
    rejections = iter(range(times))

    def reject(execute: Any, sql: str, params: Any, *args: Any) -> Any:
        if at in sql and next(rejections, None) is not None:
            sql, params = "DO $$ BEGIN RAISE 'no space left on device' USING ERRCODE = '53100'; END $$", None
        return execute(sql, params, *args)

    with connection.execute_wrapper(reject):
        yield
    assert next(rejections, None) is None, "it was full as often as it should be"


LOGIN = ("dbname", "host", "port", "user", "password")
OUTAGES = pytest.mark.parametrize("outage", [connection_cut, disk_full])


@OUTAGES
def test_outage_inside_a_pass_is_no_event_s_fault(store: EventStore, outage: Any) -> None:
    """Django has a new connection by the time the error comes out of the transaction; it was lost all the same."""
    store.dispatch(new("a-1", "Counted"))
    with outage(1, "INSERT INTO readmodels_total"):
        Worker(registry.named(["tally"]), should_continue=lambda: not (tally() or ParkedEvent.objects.exists())).run()
    assert tally() == {"all": 1, "a-1": 1}
    assert not ParkedEvent.objects.exists()


@OUTAGES
@pytest.mark.parametrize(
    "at", ["projections_create_shadow_tables", 'DELETE FROM "projections_rebuild"'], ids=["beginning", "swap"]
)
def test_outage_inside_a_rebuild_does_not_stop_it(store: EventStore, at: str, outage: Any) -> None:
    store.dispatch(new("a-1", "Counted"))
    catch_up("tally")
    actions.ask_for_rebuild("tally", by="test")
    with outage(1, at):
        Worker(registry.named(["tally"]), should_continue=lambda: Rebuild.objects.filter(error="").exists()).run()
    assert not Rebuild.objects.exists()
    assert tally() == {"all": 1, "a-1": 1}

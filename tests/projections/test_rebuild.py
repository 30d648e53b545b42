"""Rebuilds: old rows until the new ones are there, the same result however it was made, and nothing lost on the way."""

import io
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from events.models import Event
from events.store import EventStore
from projections import registry
from projections.base import ASYNC, INLINE, Mode, handles
from projections.engine import inline, registration, runner
from projections.exceptions import OperationRejected, OutdatedCode
from projections.models import Checkpoint, ParkedEvent, ProjectionState, Rebuild
from projections.operations import actions, status
from projections.rebuild import preparation, shadow_tables, swap
from projections.workers.scheduler import plan
from tests.projections.support import RECEIPTS, cases, catch_up, instance, notes, tally
from tests.readmodels.models import Case, FragileNote, Note, Pin, Step, Total
from tests.readmodels.projections import Broken, Cases, Fragile, Tally
from tests.support import Background, Wait, manage, manage_process, new, open_append

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def inline_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    """The projection of the cases, run by the writers of this process."""
    monkeypatch.setattr(Cases, "mode", INLINE)
    ProjectionState.objects.filter(name="cases").delete()
    inline.subscribe(instance(Cases))


@contextmanager
def ending(event: threading.Event) -> Iterator[None]:
    """Let the threads in the background end, however the block does."""
    try:
        yield
    finally:
        event.set()


def import_receipts() -> None:
    if not RECEIPTS.exists():
        pytest.skip(f"the receipt log is not here: {RECEIPTS}")
    columns = {"aggregate_id": "case:concept:name", "type": "concept:name", "timestamp": "time:timestamp"}
    call_command("import_events", RECEIPTS, **columns, stdout=io.StringIO())


def expected_cases() -> tuple[list[Any], list[Any]]:
    """What the tables must hold, straight from the events."""
    last: dict[str, Event] = {}
    steps = []
    for event in Event.objects.order_by("aggregate_id", "version"):
        last[event.aggregate_id] = event
        steps.append((event.aggregate_id, event.version, event.type, event.data.get("org:resource")))
    return [(name, event.type, event.version) for name, event in sorted(last.items())], steps


def rebuild_killed_twice(**environment: str) -> None:
    """Run the real command, and kill it by SIGKILL twice on the way."""
    for _ in range(2):
        before = _rebuilt_position()
        with manage_process("rebuild_projection", "cases", "--yes", **environment) as process:
            Wait.until(lambda before=before: _rebuilt_position() > before, what="some progress")
            process.kill()
        assert process.returncode == -signal.SIGKILL
    assert Rebuild.objects.filter(pk="cases").exists()
    assert "is rebuilt" in manage("rebuild_projection", "cases", "--yes", **environment)


def _rebuilt_position() -> int:
    return max(Checkpoint.objects.of_rebuild().values_list("position", flat=True), default=0)


def test_receipt_log_projects_to_the_same_tables_inline(inline_cases: None) -> None:
    import_receipts()
    expected = expected_cases()
    assert len(expected[1]) == 8577
    assert cases() == expected
    rebuild_killed_twice(TEST_CASES_MODE="inline")
    assert cases() == expected
    assert status.report("cases").status == "running"


@pytest.mark.parametrize("shards", [1, 4])
def test_receipt_log_projects_to_the_same_tables_async(shards: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cases, "shards", shards)
    import_receipts()
    expected = expected_cases()
    manage("run_projections", "cases", "--until-caught-up", "--processes", "2", TEST_CASES_SHARDS=str(shards))
    assert Checkpoint.objects.filter(projection="cases").count() == shards
    assert cases() == expected
    Step.objects.filter(number=2).delete()  # so that a rebuild has something to mend
    Case.objects.filter(pk__in=Case.objects.values("pk")[:100]).update(steps=0)
    rebuild_killed_twice(TEST_CASES_SHARDS=str(shards))
    assert cases() == expected


def test_readers_see_old_rows_or_new_ones_while_events_flow(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def counted(number: int) -> None:
        store.dispatch(new(f"a-{number % 3}", "Counted"))

    for number in range(1500):
        counted(number)
    catch_up("tally")
    monkeypatch.setattr(Tally, "batch_events", 100)
    ended = threading.Event()
    seen: list[dict[str, int]] = []

    def read() -> None:
        while not ended.wait(0.001):
            seen.append(tally())

    def write() -> None:
        number = 0
        while not ended.is_set():
            counted(number)
            number += 1
            ended.wait(0.005)  # a projection that cannot keep up would never be rebuilt

    with Background(read), Background(write), ending(ended):
        for _ in range(3):
            actions.ask_for_rebuild("tally", by="x")
            Wait.until(lambda: catch_up("tally") or not Rebuild.objects.exists())
    catch_up("tally")
    for rows in seen:
        assert rows["all"] == sum(count for key, count in rows.items() if key != "all")
        assert rows["all"] >= 1500
    totals = [rows["all"] for rows in seen]
    assert totals == sorted(totals), "nobody sees a row go back in time"
    assert tally()["all"] == Event.objects.count()


def test_rebuild_beside_and_in_place_come_to_the_same(store: EventStore) -> None:
    store.dispatch(*[new(f"a-{n % 5}", "Counted") for n in range(300)])
    catch_up("tally")
    before = tally()
    for in_place in (False, True):
        Total.objects.update(count=0)
        actions.ask_for_rebuild("tally", by="x", in_place=in_place)
        catch_up("tally")
        assert tally() == before
        assert not Rebuild.objects.exists()


def test_grants_foreign_keys_indexes_and_numbering_survive(store: EventStore) -> None:
    store.dispatch(*[new(f"a-{n % 4}", f"Type{n}") for n in range(20)])
    catch_up("cases")
    Note.objects.create(case_id="a-1")

    def described() -> list[Any]:
        with connection.cursor() as cursor:
            found = []
            for query in (
                "SELECT oid, relacl::text FROM pg_class WHERE relname LIKE 'readmodels%' ORDER BY oid",
                """SELECT conname, convalidated, pg_get_constraintdef(oid) FROM pg_constraint
                WHERE conrelid::regclass::text LIKE 'readmodels%' ORDER BY 1""",
                "SELECT indexdef FROM pg_indexes WHERE tablename LIKE 'readmodels%' ORDER BY 1",
            ):
                cursor.execute(query)
                found.append(cursor.fetchall())
            return found

    with connection.cursor() as cursor:
        cursor.execute("GRANT SELECT ON readmodels_case TO PUBLIC")
        cursor.execute("CREATE VIEW readmodels_seen AS SELECT * FROM readmodels_step")
    try:
        before, content = described(), cases()
        actions.ask_for_rebuild("cases", by="x")
        catch_up("cases")
        assert described() == before
        assert cases() == content
        assert Note.objects.get().case.case_id == "a-1"
        store.dispatch(new("b-1"))  # new keys do not meet those of the moved rows
        catch_up("cases")
        assert Step.objects.count() == 21
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM readmodels_seen")
            assert cursor.fetchone()[0] == 21
            cursor.execute("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'projections_rebuild%'")
            assert cursor.fetchone()[0] == 0
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP VIEW readmodels_seen")
            cursor.execute("REVOKE SELECT ON readmodels_case FROM PUBLIC")


def test_rows_that_others_refer_to_by_a_generated_key_stop_the_rebuild_with_a_reason(store: EventStore) -> None:
    Case.objects.create(case_id="x", last_activity="").delete()  # takes a number
    store.dispatch(new("a-1"), new("a-2"))
    catch_up("cases")
    Pin.objects.create(case=Case.objects.get(case_id="a-2"))
    before = cases()
    actions.ask_for_rebuild("cases", by="x")
    catch_up("cases")
    found = status.report("cases")
    assert found.status == "stopped"
    assert "readmodels_pin" in found.status_reason
    assert "must be derived from the events" in found.status_reason
    assert cases() == before
    Pin.objects.all().delete()
    actions.resume("cases", by="x")
    catch_up("cases")
    assert status.report("cases").status == "running"


def test_rows_that_stay_the_same_are_not_touched(store: EventStore) -> None:
    store.dispatch(*[new(f"a-{n}", "Counted") for n in range(50)])
    catch_up("tally")
    Total.objects.filter(key="a-7").update(count=99)
    with connection.cursor() as cursor:
        cursor.execute("SELECT xmin::text, key FROM readmodels_total ORDER BY key")
        before = {key: xmin for xmin, key in cursor.fetchall()}
        actions.ask_for_rebuild("tally", by="x")
        catch_up("tally")
        cursor.execute("SELECT xmin::text, key FROM readmodels_total ORDER BY key")
        after = {key: xmin for xmin, key in cursor.fetchall()}
    assert {key for key in before if before[key] != after[key]} == {"a-7"}


def test_new_version_asks_for_a_rebuild_and_old_rows_are_served(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.dispatch(new("a-1", "Counted"))
    catch_up("tally")
    monkeypatch.setattr(Tally, "version", 2)
    store.dispatch(new("a-1", "Counted"))
    catch_up("tally")
    assert tally() == {"all": 1, "a-1": 1}, "the new code leaves the old rows alone"
    found = status.report("tally")
    assert (found.status, found.version, found.rows_version, found.lag_events) == ("outdated", 2, 1, 1)
    actions.ask_for_rebuild("tally", by="x")
    assert status.report("tally").status == "rebuilding"
    catch_up("tally")
    assert tally() == {"all": 2, "a-1": 2}
    found = status.report("tally")
    assert (found.status, found.rows_version) == ("running", 2)


def test_old_code_goes_on_with_the_old_rows_until_the_switch(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rolling deployment: workers of both versions run at the same time."""
    store.dispatch(new("a-1", "Counted"))
    catch_up("tally")
    monkeypatch.setattr(Tally, "version", 2)
    actions.ask_for_rebuild("tally", by="x")
    preparation.prepare(instance(Tally))
    monkeypatch.setattr(Tally, "version", 1)
    store.dispatch(new("a-1", "Counted"))
    (task,) = plan([instance(Tally)])
    assert task.build == "live"
    monkeypatch.setattr(Tally, "version", 2)
    catch_up("tally")
    assert tally()["all"] == 2
    monkeypatch.setattr(Tally, "version", 1)
    assert plan([instance(Tally)]) == []


def test_poison_in_a_rebuild_is_parked_with_the_new_rows(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.dispatch(new("a-1", "Fragile"), new("b-1", "Fragile", data={"poison": 1}), new("b-1", "Fragile"))
    monkeypatch.setattr(Fragile, "check", lambda self, event: None)
    catch_up("fragile")
    assert FragileNote.objects.count() == 3
    monkeypatch.undo()
    actions.ask_for_rebuild("fragile", by="x")
    catch_up("fragile")
    assert FragileNote.objects.count() == 1
    assert [event.build for event in ParkedEvent.objects.all()] == ["live", "live"]


def test_number_of_shards_can_change_at_any_time(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for shards in (3, 1, 5, 4):
        store.dispatch(*[new(f"a-{n % 9}", "Counted") for n in range(90)])
        monkeypatch.setattr(Tally, "shards", shards)
        catch_up("tally")
        assert Checkpoint.objects.filter(projection="tally").count() == shards
    store.dispatch(*[new(f"a-{n % 9}", "Counted") for n in range(90)])
    for checkpoint in Checkpoint.objects.filter(projection="tally", shard__lt=2):
        # As if some shards had been left behind when the number changed.
        runner.run_pass(instance(Tally), checkpoint.pk, store.settled_position())
    monkeypatch.setattr(Tally, "shards", 2)
    catch_up("tally")
    assert Checkpoint.objects.filter(projection="tally").count() == 2
    assert tally()["all"] == 450
    assert all(count == 50 for key, count in tally().items() if key != "all")


def test_shadow_tables_are_made_anew_when_the_tables_have_changed(store: EventStore) -> None:
    store.dispatch(new("a-1", "Counted"))
    catch_up("tally")
    actions.ask_for_rebuild("tally", by="x")
    (first,) = preparation.prepare(instance(Tally))
    assert preparation.prepare(instance(Tally)) == [first]
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE readmodels_total ADD COLUMN extra integer")
        try:
            (second,) = preparation.prepare(instance(Tally))
            assert second != first
            catch_up("tally")
        finally:
            cursor.execute("ALTER TABLE readmodels_total DROP COLUMN extra")
    assert tally() == {"all": 1, "a-1": 1}
    actions.ask_for_rebuild("tally", by="x")  # with a dropped column in the table
    catch_up("tally")
    assert tally() == {"all": 1, "a-1": 1}


def test_role_that_may_not_create_a_schema_is_told_what_to_do(store: EventStore) -> None:
    with connection.cursor() as cursor:
        cursor.execute('CREATE ROLE "rebuild_nobody"')
        try:
            cursor.execute('GRANT "rebuild_nobody" TO CURRENT_USER')
            with transaction.atomic():
                cursor.execute('SET LOCAL ROLE "rebuild_nobody"')
                with pytest.raises(OperationRejected, match="GRANT CREATE ON DATABASE"):
                    with transaction.atomic():
                        shadow_tables.create(instance(Tally))
                transaction.set_rollback(True)
        finally:
            cursor.execute('DROP ROLE "rebuild_nobody"')


def test_switch_comes_to_where_the_old_rows_are(store: EventStore) -> None:
    store.dispatch(*[new(f"a-{n % 5}", "Counted") for n in range(60)])
    catch_up("tally")
    before = tally()
    actions.ask_for_rebuild("tally", by="x")
    preparation.prepare(instance(Tally))
    assert swap.swap(instance(Tally))
    assert tally() == before
    assert catch_up("tally") is None
    assert tally() == before


def test_switch_waits_for_a_pass_over_the_old_rows(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the pass would add a row to the tables after they have been compared."""
    catch_up("tally")
    inside, may_end, worker = threading.Event(), threading.Event(), threading.Event()
    count = Tally.count

    def slowly(self: Tally, event: Event) -> None:
        count(self, event)
        if threading.current_thread() is not threading.main_thread() and not worker.is_set():
            worker.set()
            inside.set()
            may_end.wait(20)

    monkeypatch.setattr(Tally, "count", handles("Counted")(slowly))
    registry._instances.pop(Tally, None)
    actions.ask_for_rebuild("tally", by="x")
    preparation.prepare(instance(Tally))
    store.dispatch(new("z-1", "Counted"))
    with Background(lambda: runner.run_pass(instance(Tally), _live("tally"), store.settled_position())):
        assert inside.wait(20)
        with Background(lambda: swap.swap(instance(Tally))) as switching:
            Wait.until(lambda: _waits_for_a_lock() or switching.result is not None)
            may_end.set()
    assert switching.result is True
    catch_up("tally")
    assert tally() == {"all": 1, "z-1": 1}
    registry._instances.pop(Tally, None)


def _live(name: str) -> int:
    return Checkpoint.objects.live().get(projection=name).pk


def _waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


def test_numbers_go_on_behind_those_of_the_new_rows(store: EventStore) -> None:
    store.dispatch(*[new(f"a-{n}") for n in range(20)])
    catch_up("cases")
    Step.objects.all().delete()
    Case.objects.all().delete()
    with connection.cursor() as cursor:
        for table in ("readmodels_case", "readmodels_step"):
            cursor.execute(f"ALTER TABLE {table} ALTER COLUMN id RESTART WITH 1")
    actions.ask_for_rebuild("cases", by="x")
    catch_up("cases")
    store.dispatch(new("b-1"))
    catch_up("cases")
    assert cases() == expected_cases()
    assert not ParkedEvent.objects.exists()


def test_rebuild_can_be_given_up_and_leaves_nothing(store: EventStore) -> None:
    store.dispatch(*[new(f"a-{n % 5}", "Counted") for n in range(60)])
    catch_up("tally")
    before = tally()
    actions.ask_for_rebuild("tally", by="x")
    (checkpoint,) = preparation.prepare(instance(Tally))
    runner.run_pass(instance(Tally), checkpoint.pk, store.settled_position())
    with pytest.raises(OperationRejected, match="--cancel"):
        actions.ask_for_rebuild("tally", by="x", in_place=True)
    call_command("rebuild_projection", "tally", cancel=True, stdout=io.StringIO())
    with pytest.raises(OperationRejected, match="No rebuild"):
        actions.cancel_rebuild("tally", by="x")
    assert not Checkpoint.objects.of_rebuild().exists()
    assert not shadow_tables.fits(instance(Tally))
    actions.ask_for_rebuild("tally", by="x", in_place=True)
    catch_up("tally")
    assert tally() == before


@pytest.mark.parametrize("name", ["aggregate_activity", "tally"])
def test_rebuild_in_place_can_be_given_up_until_it_begins(store: EventStore, name: str) -> None:
    store.dispatch(new("a-1", "Counted"))
    catch_up(name)
    actions.ask_for_rebuild(name, by="x", in_place=True)
    actions.cancel_rebuild(name, by="x")
    assert not Rebuild.objects.exists()
    actions.ask_for_rebuild(name, by="x", in_place=True)
    preparation.prepare(registry.get(name))
    with pytest.raises(OperationRejected, match="incomplete"):
        actions.cancel_rebuild(name, by="x")
    catch_up(name)
    assert not Rebuild.objects.exists()


def test_rebuild_that_cannot_begin_stops_alone_and_says_why(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def reject(projection: Any) -> None:
        raise OperationRejected("no schema for you")

    store.dispatch(new("a-1", "Counted"))
    actions.ask_for_rebuild("sharded_tally", by="x")
    with monkeypatch.context() as rejecting:
        rejecting.setattr(shadow_tables, "create", reject)
        catch_up("sharded_tally", "tally")
        assert tally()["all"] == 1, "others go on"
        found = status.report("sharded_tally")
        assert (found.status, "no schema for you" in found.status_reason) == ("stopped", True)
        with pytest.raises(CommandError, match="no schema for you"):
            call_command("rebuild_projection", "sharded_tally", yes=True)
    call_command("rebuild_projection", "sharded_tally", yes=True, stdout=io.StringIO())
    assert status.report("sharded_tally").status == "running"


def test_pause_outlives_the_switch(store: EventStore) -> None:
    store.dispatch(new("a-1", "Counted"))
    catch_up("tally")
    actions.ask_for_rebuild("tally", by="x")
    preparation.prepare(instance(Tally))
    actions.pause("tally", by="x")
    assert swap.swap(instance(Tally))
    assert status.report("tally").status == "paused"


def test_code_that_went_back_takes_the_rebuild_over(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.dispatch(new("a-1", "Counted"))
    catch_up("tally")
    monkeypatch.setattr(Tally, "version", 2)
    actions.ask_for_rebuild("tally", by="x")
    preparation.prepare(instance(Tally))
    monkeypatch.setattr(Tally, "version", 1)
    actions.ask_for_rebuild("tally", by="x")
    catch_up("tally")
    assert status.report("tally").status == "running"
    assert tally() == {"all": 1, "a-1": 1}


def test_skipped_event_behind_a_poison_one_stays_skipped(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fragile, "check", lambda self, event: None if event.version == 1 else fail())

    def fail() -> None:
        raise Broken("no")

    store.dispatch(*[new("a-1", "Fragile", data={"poison": 1}) for _ in range(2)])
    catch_up("fragile")
    parked = ParkedEvent.objects.get()
    actions.skip("fragile", parked.position, by="x", reason="a test")
    monkeypatch.setattr(Fragile, "check", lambda self, event: fail())
    actions.ask_for_rebuild("fragile", by="x")
    catch_up("fragile")
    monkeypatch.setattr(Fragile, "check", lambda self, event: None)
    actions.retry("fragile", by="x")
    assert notes() == [("a-1", 1)]


def test_projection_without_code_can_be_forgotten(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    catch_up("tally")
    with pytest.raises(CommandError, match="is still in the code"):
        call_command("forget_projection", "tally")
    registry.unregister(Tally)
    try:
        assert status.report("tally").status == "orphaned"
        call_command("forget_projection", "tally", stdout=io.StringIO())
        assert not ProjectionState.objects.filter(pk="tally").exists()
    finally:
        registry.register(Tally)


# INLINE


def test_old_code_is_rejected_once_rows_are_of_newer_code(
    store: EventStore, inline_cases: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.dispatch(new("a-1"))
    monkeypatch.setattr(Cases, "version", 2)
    actions.ask_for_rebuild("cases", by="x")
    catch_up("cases")
    monkeypatch.setattr(Cases, "version", 1)
    with pytest.raises(OutdatedCode, match="Restart it with the new code"):
        store.dispatch(new("a-1"))
    monkeypatch.setattr(Cases, "version", 2)
    store.dispatch(new("a-1"))
    assert cases() == expected_cases()


def test_open_append_delays_the_building_of_an_inline_projection_and_nothing_else(
    store: EventStore, inline_cases: None
) -> None:
    store.dispatch(new("a-1"))
    actions.ask_for_rebuild("cases", by="x", in_place=True)
    with open_append(store, new("a-2")):
        assert plan([instance(Cases), instance(Tally)])[0].projection is instance(Tally)
    catch_up("cases")
    assert cases() == expected_cases()


def test_inline_rebuild_takes_in_what_lies_behind_an_open_append(
    store: EventStore, monkeypatch: pytest.MonkeyPatch, no_subscriber: None
) -> None:
    """An append of another type holds the settled position back; the old rows have seen what came after it."""
    monkeypatch.setattr(Fragile, "mode", INLINE)
    ProjectionState.objects.filter(name="fragile").delete()
    inline.subscribe(instance(Fragile))
    store.dispatch(new("a-1", "Fragile"))
    with open_append(store, new("b-1", "Other")):
        store.dispatch(new("a-1", "Fragile"))
        actions.ask_for_rebuild("fragile", by="x")
        preparation.prepare(instance(Fragile))
        assert swap.swap(instance(Fragile))
        assert notes() == [("a-1", 1), ("a-1", 2)]


def test_inline_rebuild_loses_nothing_while_appends_go_on(store: EventStore, inline_cases: None) -> None:
    """Writers hold transactions open, so positions commit out of order while the switch happens."""
    ended = threading.Event()

    def write(seed: int) -> None:
        number = 0
        while not ended.is_set():
            with transaction.atomic():
                store.dispatch(new(f"a-{seed}"), new(f"b-{seed}-{number % 5}"))
                if number % 3 == 0:
                    ended.wait(0.004)
                if number % 7 == 0:
                    transaction.set_rollback(True)
            number += 1

    with Background(lambda: write(1)), Background(lambda: write(2)), Background(lambda: write(3)), ending(ended):
        for _ in range(6):
            actions.ask_for_rebuild("cases", by="x")
            Wait.until(lambda: catch_up("cases") or not Rebuild.objects.exists(), timeout_seconds=60)
    assert cases() == expected_cases()


def test_switch_waits_for_a_writer_in_the_middle_and_shuts_nobody_out_for_long(
    store: EventStore, inline_cases: None
) -> None:
    store.dispatch(new("a-1"))
    actions.ask_for_rebuild("cases", by="x")
    preparation.prepare(instance(Cases))
    with open_append(store, new("a-2")):
        assert swap.swap(instance(Cases)) is False
        store.dispatch(new("a-3"))
    assert swap.swap(instance(Cases)) is True
    store.dispatch(new("a-1"))
    assert cases() == expected_cases()


def test_inline_projection_that_fails_in_a_rebuild_keeps_its_old_rows(
    store: EventStore, inline_cases: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.dispatch(new("a-1"), new("a-2"))
    before = cases()
    with monkeypatch.context() as broken:

        def fail(*args: Any, **kwargs: Any) -> None:
            raise Broken("no")

        broken.setattr(Step.objects, "create", fail)
        actions.ask_for_rebuild("cases", by="x")
        catch_up("cases")
    assert cases() == before
    found = status.report("cases")
    assert (found.status, "Broken: no" in found.status_reason) == ("stopped", True)
    store.dispatch(new("a-3"))
    actions.resume("cases", by="x")
    catch_up("cases")
    assert cases() == expected_cases()
    assert status.report("cases").status == "running"


@pytest.mark.parametrize("modes", [(ASYNC, INLINE), (INLINE, ASYNC)])
def test_mode_can_change_by_a_rebuild(
    store: EventStore, monkeypatch: pytest.MonkeyPatch, modes: tuple[Mode, Mode]
) -> None:
    before, after = modes
    monkeypatch.setattr(Cases, "mode", before)
    ProjectionState.objects.filter(name="cases").delete()
    inline.subscribe(instance(Cases))
    registration.ensure_registered(instance(Cases))
    store.dispatch(new("a-1"), new("a-2"))
    if before is ASYNC:
        catch_up("cases")
    assert len(cases()[1]) == 2
    monkeypatch.setattr(Cases, "mode", after)
    assert status.report("cases").status == "outdated"
    actions.ask_for_rebuild("cases", by="x")
    catch_up("cases")
    store.dispatch(new("a-1"))
    if after is ASYNC:
        assert len(cases()[1]) == 2
        catch_up("cases")
    assert cases() == expected_cases()


def test_command_asks_names_what_is_wrong_and_reports(store: EventStore, capsys: Any) -> None:
    store.dispatch(new("a-1", "Counted"))
    with pytest.raises(CommandError, match=r"There is no projection 'nothing'; registered projections: .*tally"):
        call_command("rebuild_projection", "nothing", yes=True)
    with pytest.raises(CommandError, match="pass --yes"):
        call_command("rebuild_projection", "tally")
    call_command("rebuild_projection", "tally", yes=True)
    assert "tally is rebuilt: version 1, up to position" in capsys.readouterr().out
    call_command("rebuild_projection", "tally", yes=True, in_place=True)
    assert tally() == {"all": 1, "a-1": 1}

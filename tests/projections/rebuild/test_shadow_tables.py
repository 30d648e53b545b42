"""Shadow tables: grants, keys, indexes and numbering survive; rows that stay the same are not touched."""

from typing import Any

import pytest
from django.db import connection, transaction

from events.store import EventStore
from projections.engine import runner
from projections.exceptions import OperationRejected
from projections.models import ParkedEvent
from projections.operations import actions, status
from projections.rebuild import preparation, shadow_tables, swap
from tests.projections.rebuild.support import expected_cases
from tests.projections.support import cases, catch_up, instance, notes, tally
from tests.readmodels.models import Case, Note, Pin, Step, Total
from tests.readmodels.projections import Fragile, Tally
from tests.support import new

pytestmark = pytest.mark.django_db(transaction=True)


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


@pytest.mark.usefixtures("running_worker")
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


def test_shadow_tables_are_created_again_when_the_tables_have_changed(store: EventStore) -> None:
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


def test_role_that_may_not_create_shadow_tables_is_told_what_to_do(store: EventStore) -> None:
    with connection.cursor() as cursor:
        cursor.execute('CREATE ROLE "rebuild_nobody"')
        try:
            cursor.execute('GRANT "rebuild_nobody" TO CURRENT_USER')
            with transaction.atomic():
                cursor.execute('SET LOCAL ROLE "rebuild_nobody"')
                with pytest.raises(
                    OperationRejected, match=r"permission denied for function .* events_grants --operator"
                ):
                    with transaction.atomic():
                        shadow_tables.create(instance(Tally))
                transaction.set_rollback(True)
        finally:
            cursor.execute('DROP ROLE "rebuild_nobody"')


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


@pytest.mark.usefixtures("running_worker")
def test_event_that_violates_a_foreign_key_to_another_table_is_parked_in_a_rebuild_too(store: EventStore) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE outside AS SELECT 'a-1' AS id")
        cursor.execute("ALTER TABLE outside ADD PRIMARY KEY (id)")
        cursor.execute(
            "ALTER TABLE readmodels_fragilenote ADD CONSTRAINT to_outside FOREIGN KEY (aggregate_id)"
            " REFERENCES outside DEFERRABLE INITIALLY DEFERRED"
        )
        try:
            store.dispatch(new("a-1", "Fragile"), new("b-1", "Fragile"), new("a-1", "Fragile"))
            catch_up("fragile")
            live = [event.aggregate_id for event in ParkedEvent.objects.all()]
            actions.ask_for_rebuild("fragile", by="x")
            catch_up("fragile")
            assert status.report("fragile").status == "running"
            assert [event.aggregate_id for event in ParkedEvent.objects.all()] == live == ["b-1"]
            assert notes() == [("a-1", 1), ("a-1", 2)]
        finally:
            cursor.execute("DROP TABLE outside CASCADE")


def test_row_that_refers_to_a_row_deleted_meanwhile_stops_the_swap_with_the_way_out(store: EventStore) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE outside AS SELECT 'a-1' AS id")
        cursor.execute("ALTER TABLE outside ADD PRIMARY KEY (id)")
        cursor.execute(
            "ALTER TABLE readmodels_fragilenote ADD CONSTRAINT to_outside FOREIGN KEY (aggregate_id) REFERENCES outside"
        )
        try:
            store.dispatch(new("a-1", "Fragile"))
            actions.ask_for_rebuild("fragile", by="x")
            (checkpoint,) = preparation.prepare(instance(Fragile))
            runner.run_pass(instance(Fragile), checkpoint.pk, store.settled_position())
            cursor.execute("DELETE FROM outside")  # a rebuild does not keep others from deleting their rows
            assert swap.swap(instance(Fragile)) is False
            assert "has been deleted since" in status.report("fragile").status_reason
        finally:
            cursor.execute("DROP TABLE outside CASCADE")

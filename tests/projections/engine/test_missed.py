"""An INLINE projection shows at once which events its writers have not passed to it, until a rebuild mends it."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client

from events.models import Event
from events.store import EventStore
from projections import registry
from projections.base import INLINE, handles
from projections.engine import inline, missed, registration
from projections.models import InlineCount, ProjectionState, Rebuild
from projections.operations import actions, doctor, lag, status
from projections.rebuild import preparation, swap
from tests.projections.rebuild.support import ending
from tests.projections.support import catch_up, instance, notes
from tests.readmodels.models import FragileNote
from tests.readmodels.projections import Broken, Fragile
from tests.support import Background, Wait, new, newest_position, open_append

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _inline(no_subscribers: None, inline_fragile: None) -> None:
    """A process that runs this INLINE projection only."""
    registration.ensure_registered(instance(Fragile))


def from_sql(event_type: str = "Fragile") -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT events_append_one('sql-1', %s, '{}')", [event_type])


def missing() -> int:
    return missed.missed_events()["fragile"]


def test_event_from_sql_is_seen_everywhere_until_a_rebuild(store: EventStore, capsys: Any, client: Client) -> None:
    store.dispatch(new("a-1", "Fragile"))
    complete = newest_position()
    missed.check()
    from_sql()
    from_sql("Other")
    for _ in range(2):  # before a worker has checked, and after it
        found = status.report("fragile")
        assert (found.status, found.missed, found.position) == ("incomplete", 1, complete)
        assert "rebuild it: 1 event after position" in found.status_reason
        assert found.problem() == "its rows miss 1 event until it is rebuilt"
        assert "fragile" in client.get("/api/health/").json()["failing"]
        findings = [each for each in doctor.projections("default") if "fragile" in each.problem]
        assert findings[0].remedy == "Run python manage.py rebuild_projection fragile."
        call_command("list_projections")
        assert "incomplete" in capsys.readouterr().out
        missed.check()
    assert lag.reached("fragile") == complete
    store.dispatch(new("a-1", "Fragile"))
    assert missing() == 1
    actions.ask_for_rebuild("fragile", by="x")
    catch_up("fragile")
    assert (status.report("fragile").status, missing()) == ("running", 0)
    assert sorted(notes()) == [("a-1", 1), ("a-1", 2), ("sql-1", 1)]


def test_older_code_that_does_not_know_a_type_is_noticed(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Version 2 of the projection handles a further type; then a process with version 1 appends one."""
    store.dispatch(new("a-1", "Fragile"))
    old = instance(Fragile)
    with monkeypatch.context() as newer:
        newer.setattr(Fragile, "version", 2)
        newer.setattr(Fragile, "note_further", handles("Further")(lambda self, event: None), raising=False)
        registry._instances.pop(Fragile)
        actions.ask_for_rebuild("fragile", by="x")
        catch_up("fragile")
        assert ProjectionState.objects.get(name="fragile").types == ["Fragile", "Further"]
    registry._instances[Fragile] = old
    store.dispatch(new("a-1", "Other"))
    assert missing() == 0
    store.dispatch(new("a-1", "Further"))
    assert missing() == 1


def test_code_that_was_away_for_a_release_has_missed_its_events(store: EventStore) -> None:
    store.dispatch(new("a-1", "Fragile"))
    inline.unsubscribe(instance(Fragile))
    registry.unregister(Fragile)
    store.dispatch(new("a-1", "Fragile"), new("a-1", "Fragile"))
    found = status.report("fragile")
    assert (found.status, found.missed) == ("orphaned", 2)
    assert "2 events after position" in found.status_reason
    registry.register(Fragile)
    inline.subscribe(instance(Fragile))
    store.dispatch(new("a-1", "Fragile"))
    assert (status.report("fragile").status, missing()) == ("incomplete", 2)


@pytest.mark.parametrize("is_checked", [False, True])
@pytest.mark.parametrize("earlier", [0, 2])
def test_handler_of_a_new_type_needs_no_new_version_unless_there_are_such_events(
    store: EventStore, monkeypatch: pytest.MonkeyPatch, earlier: int, is_checked: bool
) -> None:
    store.dispatch(new("a-1", "Fragile"), *[new("a-1", "Further") for _ in range(earlier)])
    if is_checked:
        missed.check()
    monkeypatch.setattr(Fragile, "note_further", handles("Further")(lambda self, event: None), raising=False)
    before = registry._instances.pop(Fragile)
    inline.subscribe(instance(Fragile))
    assert missing() == earlier  # before an append of this code
    store.dispatch(new("a-1", "Further"))
    assert missing() == earlier
    registry._instances[Fragile] = before


def test_appends_of_every_shape_are_counted_once(store: EventStore) -> None:
    def follow(event: Any, **kwargs: Any) -> None:
        if event.version < 3:
            store.dispatch(new(event.aggregate_id, "Fragile"), new(event.aggregate_id, "Other"))

    with store.subscribe("Fragile", follow):
        store.dispatch(new("a-1", "Fragile"), new("b-1", "Other"), new("b-1", "Fragile"))
    with transaction.atomic():
        store.dispatch(new("c-1", "Fragile"))
        with pytest.raises(Broken), transaction.atomic():
            store.dispatch(new("c-1", "Fragile", data={"poison": 1}))
        with transaction.atomic():
            store.dispatch(new("c-1", "Fragile"))
            transaction.set_rollback(True)
        store.dispatch(new("c-1", "Fragile"))
    with transaction.atomic():
        with transaction.atomic():
            store.dispatch(new("d-1", "Fragile"))
            transaction.set_rollback(True)
        store.dispatch(new("d-1", "Fragile"))
    (event,) = store.dispatch(one := new("e-1", "Fragile"))
    assert store.dispatch(one) == [event]
    assert len(notes()) == Event.objects.filter(type="Fragile").count()
    assert missing() == 0
    assert status.report("fragile").status == "running"


def test_transactions_without_autocommit_lock_and_count_on_their_own(store: EventStore) -> None:
    """Django keeps the on-commit functions of a committed transaction until autocommit is on again."""
    transaction.set_autocommit(False)
    try:
        for number in range(3):
            for _ in range(2):
                store.dispatch(new("a-1", "Fragile"))
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT count(*) FROM pg_locks WHERE relation = 'projections_inline_lock'::regclass"
                    " AND pid = pg_backend_pid()"
                )
                assert cursor.fetchone() == (1,), number
            transaction.commit()
            assert missing() == 0
    finally:
        transaction.rollback()
        transaction.set_autocommit(True)
    assert missing() == 0
    from_sql()
    assert missing() == 1


def test_count_agrees_at_every_moment_while_writers_checks_and_rebuilds_go_on(store: EventStore) -> None:
    ended = threading.Event()
    seen: set[int] = set()

    def write(seed: int) -> None:
        number = 0
        while not ended.is_set():
            with transaction.atomic():
                store.dispatch(new(f"a-{seed}", "Fragile"))
                store.dispatch(new(f"b-{seed}", "Fragile"), new("b-0", "Other"))
                if number % 5 == 0:
                    ended.wait(0.003)
                transaction.set_rollback(number % 4 == 0)
            number += 1
            if number % 10 == 0:
                connection.close()  # another session goes on

    def repeat(function: Callable[[], Any]) -> Callable[[], None]:
        def run() -> None:
            while not ended.is_set():
                function()

        return run

    def look() -> None:
        if (found := missed.missed_events().get("fragile")) is not None:
            seen.add(found)

    backgrounds = [lambda: write(1), lambda: write(2), repeat(look), repeat(missed.check)]
    with Background(backgrounds[0]), Background(backgrounds[1]), Background(backgrounds[2]), Background(backgrounds[3]):
        with ending(ended):
            for _ in range(2):
                actions.ask_for_rebuild("fragile", by="x")
                Wait.until(lambda: catch_up("fragile") or not Rebuild.objects.exists(), timeout_seconds=60)
    assert seen == {0}
    missed.check()
    assert ProjectionState.objects.get(name="fragile").checked_position == newest_position()
    assert FragileNote.objects.count() > 0


def test_event_that_is_open_during_the_swap_counts_when_it_commits(store: EventStore) -> None:
    """Its position is below those that the swap handles."""
    with open_append_from_sql():
        store.dispatch(new("a-1", "Fragile"))
        actions.ask_for_rebuild("fragile", by="x")
        preparation.prepare(instance(Fragile))
        assert swap.swap(instance(Fragile))
        assert missing() == 0
    assert missing() == 1


def open_append_from_sql() -> Any:
    inline.unsubscribe(instance(Fragile))
    block = open_append(EventStore(), new("open-1", "Fragile"))

    class Open:
        def __enter__(self) -> None:
            block.__enter__()
            inline.subscribe(instance(Fragile))

        def __exit__(self, *exc_info: object) -> None:
            block.__exit__(None, None, None)

    return Open()


def test_counts_of_ended_sessions_are_collected(store: EventStore) -> None:
    for _ in range(3):
        with Background(lambda: store.dispatch(new("a-1", "Fragile"))):
            pass
    Wait.until(lambda: missed.check() or not InlineCount.objects.filter(projection="fragile").exists())
    assert missing() == 0


def test_process_without_inline_projections_pays_nothing(
    store: EventStore, django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    inline.unsubscribe(instance(Fragile))
    with django_assert_num_queries(1):
        store.dispatch(new("a-1", "Fragile"))
    inline.subscribe(instance(Fragile))
    with django_assert_num_queries(5):  # BEGIN, append, the lock with the count, the row, COMMIT
        store.dispatch(new("a-1", "Fragile"))
    assert (INLINE, missing()) == (Fragile.mode, 1)

"""What is reported as stored is committed, or the call is rejected."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import Client

from events.checks import check_autocommit
from events.integrity import seals
from events.models import Event, Seal
from events.storage import autocommit
from events.store import EventStore
from projections.models import EventTypeActivity, Operation
from projections.operations import actions
from projections.workers.worker import Until, Worker
from tests.support import in_threads, new, raise_first, some

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def autocommit_off() -> Iterator[None]:
    connection.close()
    connection.settings_dict["AUTOCOMMIT"] = False
    yield
    connection.close()
    connection.settings_dict["AUTOCOMMIT"] = True


def committed(count: Callable[[], int]) -> int:
    """What another session sees."""
    (result,) = in_threads(count)
    raise_first([result])
    return result


def test_is_an_error_of_the_checks(autocommit_off: None) -> None:
    assert [error.id for error in check_autocommit()] == ["events.E011"]


def test_commands_commit(store: EventStore, autocommit_off: None, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"aggregate_id": "a-1", "type": "T", "data": {}}\n' * 3, encoding="utf-8")
    call_command("import_events", str(path), verbosity=0)
    call_command("seal_events", verbosity=0)
    call_command("rebuild_projection", "event_type_activity", yes=True, verbosity=0)
    assert [committed(each.objects.count) for each in (Event, Seal, EventTypeActivity, Operation)] == [3, 1, 1, 1]


def test_workers_commit(store: EventStore, autocommit_off: None) -> None:
    raise_first(in_threads(lambda: autocommit.turn_on("default") or store.dispatch(*some(3))))
    connection.settings_dict["AUTOCOMMIT"] = False
    Worker(until=Until.CAUGHT_UP).run()
    assert committed(EventTypeActivity.objects.count) == 1


@pytest.mark.parametrize(
    "write",
    [
        lambda store: store.dispatch(new()),
        lambda store: seals.seal("default"),
        lambda store: actions.pause("event_type_activity", by="x"),
        lambda store: actions.forget("nothing"),
    ],
    ids=["append", "seal", "pause", "forget"],
)
def test_without_a_command_writes_are_rejected(store: EventStore, autocommit_off: None, write: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"DATABASES\['default'\]\['AUTOCOMMIT'\] is False"):
        write(store)


def test_http_does_not_say_stored(
    autocommit_off: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("events.api.base.StoreView.permission_classes", [])
    monkeypatch.setattr("events.api.base.StoreView.check_appendable", lambda *args: None)
    client = Client(raise_request_exception=False)
    answer = client.post("/api/events/", '{"aggregate_id": "a-1", "type": "T"}', content_type="application/json")
    assert answer.status_code == 500
    assert "AUTOCOMMIT" in caplog.text
    connection.close()
    assert committed(Event.objects.count) == 0


def test_command_does_not_commit_for_its_caller(store: EventStore, tmp_path: Path) -> None:
    transaction.set_autocommit(False)
    try:
        store.dispatch(new())
        for name in ("seal_events", "pause_projection"):
            arguments = ["event_type_activity"] if name == "pause_projection" else []
            with pytest.raises(CommandError, match="autocommit off and an open transaction"):
                call_command(name, *arguments)
        transaction.commit()
        call_command("seal_events", verbosity=0)
        assert transaction.get_autocommit()
    finally:
        transaction.set_autocommit(True)
    assert committed(Seal.objects.count) == 1

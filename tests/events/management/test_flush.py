"""`flush` empties test databases only, and no other command empties a store by the way."""

from collections.abc import Callable
from io import StringIO

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.test.utils import _TestState

from events.models import Event
from events.store import EventStore
from projections.operations import actions
from tests.support import some

pytestmark = pytest.mark.django_db


def outside_of_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has sent a mail with the backend `locmem`."""
    monkeypatch.delattr(_TestState, "saved_data")
    EmailBackend().send_messages([mail.EmailMessage("s", "m", "a@example.com", ["b@example.com"])])
    assert hasattr(mail, "outbox")


def in_a_shell_of_the_tutorial(monkeypatch: pytest.MonkeyPatch) -> None:
    """`setup_test_environment()` on the database of the project."""
    monkeypatch.setitem(connection.settings_dict, "NAME", "shop")


def with_another_test_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "TEST", connection.settings_dict["TEST"] | {"NAME": "other"})


@pytest.mark.parametrize("where", [outside_of_tests, in_a_shell_of_the_tutorial, with_another_test_name])
def test_flush_is_rejected(event: Event, monkeypatch: pytest.MonkeyPatch, where: Callable[..., None]) -> None:
    with monkeypatch.context() as patch:
        where(patch)
        with pytest.raises(CommandError, match="Rejected: flush would remove every event"):
            call_command("flush", interactive=False, verbosity=0)
    assert Event.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("name", "test_name"), [("test_shop", None), ("test_shop_gw0", None), ("mine", "mine"), ("mine_2", "mine")]
)
def test_flush_empties_the_databases_of_tests(
    event: Event, monkeypatch: pytest.MonkeyPatch, name: str, test_name: str | None
) -> None:
    monkeypatch.setitem(connection.settings_dict, "TEST", connection.settings_dict["TEST"] | {"NAME": test_name})
    monkeypatch.setitem(connection.settings_dict, "NAME", name)
    call_command("flush", interactive=False, verbosity=0)
    assert Event.objects.count() == 0


@pytest.mark.parametrize("arguments", [("events", "zero"), ("events", "0001"), ("projections", "zero")])
def test_migrating_back_is_rejected(store: EventStore, arguments: tuple[str, ...]) -> None:
    store.dispatch(*some(2))
    actions.pause("event_type_activity", by="x")
    with pytest.raises(CommandError, match="Rejected: this step back would remove"), transaction.atomic():
        call_command("migrate", *arguments, verbosity=0)
    assert Event.objects.count() == 2
    with transaction.atomic():
        connection.cursor().execute("SET LOCAL events.maintenance = 'on'")
        call_command("migrate", *arguments, verbosity=0)
        transaction.set_rollback(True)


def test_sql_of_sqlflush_is_rejected(event: Event) -> None:
    printed = StringIO()
    call_command("sqlflush", stdout=printed)
    with pytest.raises(DatabaseError, match="TRUNCATE rejected"), transaction.atomic():
        connection.cursor().execute(printed.getvalue().replace("BEGIN;", "").replace("COMMIT;", ""))
    assert Event.objects.count() == 1


def test_seals_are_written_by_their_function_only(store: EventStore) -> None:
    store.dispatch(*some(2))
    with pytest.raises(DatabaseError, match="INSERT rejected: only the functions of the store may write events_seal"):
        with transaction.atomic():
            connection.cursor().execute(
                "INSERT INTO events_seal VALUES (9223372036854775807, 0, 1, sha256(''), sha256(''), sha256(''), now())"
            )

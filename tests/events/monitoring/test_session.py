"""The doctor survives the settings that it diagnoses, and reports each of them in a line of its own."""

import io

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from events.monitoring import diagnostics
from events.monitoring.session import diagnosis
from events.storage.query_files import fetch_tuples
from events.store import EventStore
from tests.hosts.support import connected_by
from tests.support import some

pytestmark = pytest.mark.django_db(transaction=True)

# Settings of the connection, and what the doctor reports of them.
SETTINGS = {
    "-c default_transaction_isolation=serializable -c default_transaction_read_only=on -c lock_timeout=1": [
        "transactions are serializable by default",
        "transactions are read-only by default",
        "lock_timeout is 1 ms",
    ],
    "-c default_transaction_isolation=repeatable\\ read -c statement_timeout=20": [
        "transactions are repeatable read by default",
        "statement_timeout is 20 ms",
    ],
    "-c events.maintenance=on -c quote_all_identifiers=on -c DateStyle=German": [
        "events.maintenance = on on this connection",
        "DateStyle is 'German, DMY'",
    ],
    "-c session_replication_role=replica": ["session_replication_role = replica on this connection"],
    "-c search_path=pg_catalog": ["is in the schema 'public', which the role"],
}


def lines() -> list[str]:
    output = io.StringIO()
    with pytest.raises(CommandError, match="finding"):
        call_command("events_doctor", stdout=output)
    return output.getvalue().splitlines()


def test_doctor_survives_what_it_diagnoses() -> None:
    EventStore().dispatch(*some(3))
    for options, reported in SETTINGS.items():
        with connected_by({"OPTIONS": {"options": options}}):
            found = lines()
        for each in reported:
            assert any(each in line for line in found), (each, found)
        assert not [line for line in found if line.startswith(("error    the function", "error    functions"))]
        if "search_path" not in options:  # else nothing can be
            assert not [line for line in found if "could not be checked" in line], found


def test_diagnosis_changes_nothing() -> None:
    with pytest.raises(Exception, match="read-only transaction"), diagnosis("default"):
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE never (n int)")


def test_first_look_for_the_store_has_the_timeouts_of_a_diagnosis(monkeypatch: pytest.MonkeyPatch) -> None:
    timeouts = []

    def looked(using: str) -> bool:
        timeouts.extend(fetch_tuples(using, "SELECT current_setting('statement_timeout')"))
        return False

    monkeypatch.setattr(diagnostics, "has_store", looked)
    diagnostics.diagnostics("default")
    assert timeouts == [("1min",)]

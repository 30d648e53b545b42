"""Diagnostics: a check that fails is a finding, and warnings may pass."""

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from events.store import EventStore

pytestmark = pytest.mark.django_db


def test_warnings_may_pass(healthy: None, capsys: pytest.CaptureFixture[str]) -> None:
    connection.cursor().execute("SET LOCAL default_transaction_isolation = 'serializable'")
    with pytest.raises(CommandError) as ended:
        call_command("events_doctor")
    assert ended.value.returncode == 1
    call_command("events_doctor", fail_level="error")
    assert "warning  transactions are serializable by default" in capsys.readouterr().out
    with pytest.raises(CommandError, match="there is no 'other' in DATABASES"):
        call_command("events_doctor", database="other")


@pytest.mark.django_db(transaction=True)
def test_failing_diagnostic_is_a_finding(store: EventStore, capsys: pytest.CaptureFixture[str]) -> None:
    connection.cursor().execute("ALTER TABLE events_seal RENAME TO elsewhere")
    try:
        with pytest.raises(CommandError):
            call_command("events_doctor")
    finally:
        connection.cursor().execute("ALTER TABLE elsewhere RENAME TO events_seal")
    assert "could not be checked: Events are sealed regularly, if the store has seals" in capsys.readouterr().out

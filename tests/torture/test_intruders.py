"""The intruders of the crash tests are rejected, and would say so if they were not."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection

from tests.events.monitoring.attacks import ROLES
from tests.torture import intruders
from tests.torture.intruders import Intruders


class ServerOfTests:
    def connect(self) -> "psycopg.Connection[Any]":
        return psycopg.connect(
            **connection.get_connection_params() | {"cursor_factory": psycopg.Cursor}, autocommit=True
        )


@pytest.fixture
def attacking(transactional_db: None) -> Iterator[Intruders]:
    connection.ensure_connection()
    yield Intruders(ServerOfTests(), 1)  # type: ignore[arg-type]
    with connection.cursor() as cursor:
        for kind in ROLES:
            cursor.execute(f"DROP OWNED BY intruder_{kind}; DROP ROLE intruder_{kind}")


def test_roles_are_rejected(attacking: Intruders, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ROLES:
        with attacking._server.connect() as session:
            attacking._attack(session, kind)
    assert attacking.rejected > 100
    assert attacking.findings == []
    monkeypatch.setattr(intruders, "FORBIDDEN_TO_ALL", {"read": "SELECT FROM events_event"})
    with attacking._server.connect() as session:
        attacking._attack(session, "reader")
    assert attacking.findings == ["intruded: reader, read"]

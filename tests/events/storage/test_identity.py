"""Event ids that the store derives, and the row of the database that they depend on."""

from uuid import RFC_4122

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction

from events.storage import identity
from events.storage.query_files import fetch_tuples

pytestmark = pytest.mark.django_db


def test_derived_ids_depend_on_every_part_and_on_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    first = identity.derived_id("default", "kind", "a", 1)
    assert (first.version, first.variant) == (8, RFC_4122)
    assert identity.derived_id("default", "kind", "a", 1) == first
    others = {identity.derived_id("default", *parts) for parts in (("kind", "a", 2), ("kind", "a1"), ("other", "a", 1))}
    assert len(others | {first}) == 4
    monkeypatch.setattr(identity, "secret", lambda using: bytes(32))
    assert identity.derived_id("default", "kind", "a", 1) != first


def test_secret_is_that_of_the_database_and_cannot_be_changed_or_lost() -> None:
    ((stored,),) = fetch_tuples("default", "SELECT secret FROM events_store")
    assert (identity.secret("default"), len(stored)) == (bytes(stored), 32)
    for statement in (
        "UPDATE events_store SET secret = decode(repeat('00', 32), 'hex')",
        "DELETE FROM events_store",
        "TRUNCATE events_store",
    ):
        with pytest.raises(DatabaseError, match="cannot be changed or removed"), transaction.atomic():
            connection.cursor().execute(statement)


def test_migrate_tells_the_database_the_limit_on_the_size_of_an_event(settings: object) -> None:
    settings.EVENTS_MAX_EVENT_BYTES = 4321  # type: ignore[attr-defined]
    call_command("migrate", verbosity=0)
    assert fetch_tuples("default", "SELECT max_event_bytes FROM events_store") == [(4321,)]

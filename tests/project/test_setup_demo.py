"""`manage.py setup_demo` says what to do about a database that another version of the project has set up."""

import pytest
from django.core.management import CommandError
from django.db import connection

from eventstore_project import postgres
from eventstore_project.management.commands.setup_demo import migrate


@pytest.mark.django_db
def test_database_of_this_version_fits() -> None:
    migrate()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change",
    {
        "a function of other code": "ALTER FUNCTION events_hold_floor RENAME TO events_hold_the_floor",
        "a column of another name": "ALTER TABLE projections_heartbeat RENAME COLUMN doing TO does",
        "a table that is missing": "DROP TABLE eventstore_project_order",
        "a history that cannot be": "DELETE FROM django_migrations WHERE app = 'events' AND name = '0001_initial'",
    }.values(),
)
def test_database_of_another_version_is_named_with_the_remedy(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with connection.cursor() as cursor:
        cursor.execute(change)
    monkeypatch.setenv("DATABASE_URL", "")
    with pytest.raises(CommandError, match="was set up by another version of this project") as error:
        migrate()
    assert str(error.value).endswith(f"rm -r {postgres.private_cluster().home}")
    monkeypatch.setenv("DATABASE_URL", "postgres://user@host/name")
    assert postgres.reset_instructions() == "Set DATABASE_URL to an empty database."

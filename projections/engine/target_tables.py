"""Choose the tables that the handlers of a pass write to: the served tables, or the shadow tables of a rebuild."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections

from events.routing import database
from projections.base import Projection, with_links
from projections.models import Build, Checkpoint, ParkedEvent, Rebuild


def tables(projection: Projection) -> list[str]:
    """Return the tables of its models and of their many-to-many fields; referenced tables first."""
    return [model._meta.db_table for model in with_links(projection.models)]


def has_rows(projection: Projection) -> bool:
    """Return whether one of its tables holds a row; a table that does not exist yet holds none."""
    connection = connections[database()]
    with connection.cursor() as cursor:
        for table in tables(projection):
            quoted = connection.ops.quote_name(table)
            cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [quoted])
            if not cursor.fetchone()[0]:
                continue
            cursor.execute(f"SELECT EXISTS (SELECT FROM {quoted})")  # noqa: S608  # a quoted name
            if cursor.fetchone()[0]:
                return True
    return False


def shadow_schema(name: str) -> str:
    """Return the database schema that holds the shadow tables of a projection."""
    return f"projections_rebuild_{name}"


@contextmanager
def tables_of(row: Checkpoint | ParkedEvent) -> Iterator[None]:
    """Resolve unqualified table names to the tables of a checkpoint or a parked event, inside the block."""
    if row.build == Build.LIVE:
        yield
        return
    rebuild = Rebuild.objects.using(database()).get(pk=row.projection_id)
    if rebuild.in_place:
        yield
        return
    with first_in_search_path(shadow_schema(rebuild.projection_id)):
        yield


@contextmanager
def first_in_search_path(schema: str) -> Iterator[None]:
    """Put a schema first in the transaction's search_path, inside the block."""
    connection = connections[database()]
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('search_path')")
        (before,) = cursor.fetchone()
        set_path = "SELECT set_config('search_path', %s, true)"
        cursor.execute(set_path, [f"{connection.ops.quote_name(schema)}, {before}"])
        yield
        # After an error, the rollback of the transaction or of its savepoint restores the setting.
        cursor.execute(set_path, [before])

"""Shadow tables: copies of a projection's tables in another schema, which a rebuild fills.

The swap copies the rows into the served tables in one transaction. It does not exchange the tables, so their grants,
foreign keys, indexes, triggers, views and publications stay, and readers do not wait.
"""

from django.db import ProgrammingError

from projections.base import Projection
from projections.engine.target_tables import shadow_schema, tables
from projections.exceptions import OperationRejected

from .catalog import columns, execute, quoted, row


def create(projection: Projection) -> None:
    """Create empty shadow tables, and drop those of an earlier rebuild."""
    drop(projection.name)
    try:
        row(
            "SELECT projections_create_shadow_tables(%s, %s::regclass[])",
            projection.name,
            [quoted(table) for table in tables(projection)],
        )
        row(
            "SELECT projections_check_references(%s, %s::regclass[])",
            projection.name,
            [quoted(table) for table in tables(projection)],
        )
    except ProgrammingError as error:
        if getattr(error.__cause__, "sqlstate", None) != "42501":
            raise
        raise OperationRejected(
            f"Projection {projection.name!r} cannot be rebuilt in shadow tables:"
            f" {str(error.__cause__).splitlines()[0]}. This role needs what events_grants --operator prints, and the"
            " tables' owner needs CREATE on the database; or rebuild with --in-place"
        ) from error


def fits(projection: Projection) -> bool:
    """Return whether the shadow tables exist, with the same columns as the served tables."""
    schema = shadow_schema(projection.name)
    return all(
        (copied := columns(f"{quoted(schema)}.{quoted(table)}")) and copied == columns(quoted(table))
        for table in tables(projection)
    )


def empty(projection: Projection) -> None:
    """Delete all rows of the served tables."""
    for table in reversed(tables(projection)):
        execute(f"DELETE FROM {quoted(table)}")


def drop(name: str) -> None:
    """Drop the shadow tables if they exist."""
    if row("SELECT to_regnamespace(%s)::text", quoted(shadow_schema(name)))[0]:
        row("SELECT projections_drop_shadow_tables(%s)", name)

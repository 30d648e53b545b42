"""Shadow tables: copies of a projection's tables in another schema, which a rebuild fills.

The swap copies the rows into the served tables in one transaction. It does not exchange the tables, so their grants,
foreign keys, indexes, triggers, views and publications stay, and readers do not wait.
"""

from collections.abc import Sequence
from typing import Any

from django.db import ProgrammingError, connections
from django.db.models import Model

from events.routing import database
from projections.base import Projection
from projections.engine.target_tables import shadow_schema
from projections.exceptions import OperationRejected


def tables(projection: Projection) -> list[str]:
    """Return the tables of its models and of their many-to-many fields; referenced tables first."""
    models: list[type[Model]] = []
    for model in projection.models:
        models.append(model)
        through = [field.remote_field.through for field in model._meta.local_many_to_many]
        models += [link for link in through if link and link._meta.auto_created]
    return [model._meta.db_table for model in models]


def create(projection: Projection) -> None:
    """Create empty shadow tables, and drop those of an earlier rebuild."""
    drop(projection.name)
    try:
        _row(
            "SELECT projections_create_shadow_tables(%s, %s::regclass[])",
            projection.name,
            [_quoted(table) for table in tables(projection)],
        )
    except ProgrammingError as error:
        if getattr(error.__cause__, "sqlstate", None) != "42501":
            raise
        raise OperationRejected(
            f"Projection {projection.name!r} cannot be rebuilt in shadow tables: {str(error.__cause__).splitlines()[0]}."
            " This role needs what events_grants --operator prints, and the tables' owner needs CREATE on the database;"
            " or rebuild with --in-place"
        ) from error


def fits(projection: Projection) -> bool:
    """Return whether the shadow tables exist, with the same columns as the served tables."""
    schema = shadow_schema(projection.name)
    return all(
        (columns := _columns(f"{_quoted(schema)}.{_quoted(table)}")) is not None and columns == _columns(_quoted(table))
        for table in tables(projection)
    )


def move_rows(projection: Projection) -> None:
    """Make the rows of the served tables equal to those of the shadow tables.

    Equal rows are not touched. Rows that differ are deleted first, from all tables, referencing tables first; then the
    missing rows are inserted. So an inserted row cannot violate a unique key of the row that it replaces.
    """
    schema, owned = _quoted(shadow_schema(projection.name)), tables(projection)
    # A shadow table cannot be dropped while it has deferred constraint checks, so the caller has run them. Those of the
    # served tables run at the end of the transaction, when all rows that refer to each other exist.
    _row("SELECT projections_analyze_shadow_tables(%s)", projection.name)
    for table in reversed(owned):
        key, columns = _key(table), _names(table)
        same_key = _equal(key)
        # *= compares the binary form: not every type has =, and = holds for some values that differ.
        _execute(
            f"DELETE FROM {_quoted(table)} AS a WHERE NOT EXISTS ("
            f"SELECT FROM {schema}.{_quoted(table)} AS b WHERE {same_key} AND ROW({_list(columns, 'a')})::record *= "
            f"ROW({_list(columns, 'b')})::record)"
        )
    for table in owned:
        key, columns = _key(table), _names(table)
        _execute(
            f"INSERT INTO {_quoted(table)} ({_list(columns)}) OVERRIDING SYSTEM VALUE "
            f"SELECT {_list(columns)} FROM {schema}.{_quoted(table)} AS b "
            f"WHERE NOT EXISTS (SELECT FROM {_quoted(table)} AS a WHERE {_equal(key)})"
        )
        _row("SELECT projections_move_sequences(%s, %s)", projection.name, _quoted(table))


def empty(projection: Projection) -> None:
    """Delete all rows of the served tables."""
    for table in reversed(tables(projection)):
        _execute(f"DELETE FROM {_quoted(table)}")


def drop(name: str) -> None:
    """Drop the shadow tables if they exist."""
    if _row("SELECT to_regnamespace(%s)::text", _quoted(shadow_schema(name)))[0]:
        _row("SELECT projections_drop_shadow_tables(%s)", name)


_DESCRIBED = """
    SELECT attname, format_type(atttypid, atttypmod), attnotnull, attgenerated FROM pg_attribute
    WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attname
"""


def _columns(table: str) -> list[tuple[Any, ...]] | None:
    return _rows(_DESCRIBED, table) or None


def _names(table: str) -> list[str]:
    """Return the columns that are written: all that are not generated."""
    return [name for name, _, _, generated in _columns(_quoted(table)) or () if not generated]


def _key(table: str) -> list[str]:
    query = """
        SELECT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
        WHERE indisprimary AND indrelid = to_regclass(%s)
    """
    return [name for (name,) in _rows(query, _quoted(table))]


def _equal(key: Sequence[str]) -> str:
    return " AND ".join(f"a.{_quoted(name)} = b.{_quoted(name)}" for name in key)


def _list(names: Sequence[str], alias: str = "") -> str:
    return ", ".join(f"{alias}.{_quoted(name)}" if alias else _quoted(name) for name in names)


def _quoted(name: str) -> str:
    return connections[database()].ops.quote_name(name)


def _execute(statement: str) -> None:
    with connections[database()].cursor() as cursor:
        cursor.execute(statement)


def _rows(query: str, *arguments: Any) -> list[tuple[Any, ...]]:
    with connections[database()].cursor() as cursor:
        cursor.execute(query, arguments)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def _row(query: str, *arguments: Any) -> tuple[Any, ...]:
    return _rows(query, *arguments)[0]

"""Shadow tables: copies of a projection's tables in a schema of their own, which a rebuild fills and then moves over.

The rows are moved into the tables that are served, in one transaction, instead of exchanging the tables: what hangs on
those (grants, foreign keys, indexes, triggers, views, publications) stays as it is, and nobody who reads has to wait.
"""

from collections.abc import Sequence
from typing import Any

from django.db import ProgrammingError, connections
from django.db.models import Model

from events.routing import database
from projections.base import Projection
from projections.engine.target_tables import first_in_search_path, shadow_schema
from projections.exceptions import OperationRejected


def tables(projection: Projection) -> list[str]:
    """Return the tables it owns, those of its models' many-to-many fields included; parents before children."""
    models: list[type[Model]] = []
    for model in projection.models:
        models.append(model)
        through = [field.remote_field.through for field in model._meta.local_many_to_many]
        models += [link for link in through if link and link._meta.auto_created]
    return [model._meta.db_table for model in models]


def create(projection: Projection) -> None:
    """Make empty shadow tables, instead of those of an earlier rebuild, if there are any."""
    drop(projection.name)
    schema = _quoted(shadow_schema(projection.name))
    try:
        _execute(f"CREATE SCHEMA {schema}")
    except ProgrammingError as error:
        if getattr(error.__cause__, "sqlstate", None) != "42501":
            raise
        raise OperationRejected(
            f"Projection {projection.name!r} cannot be rebuilt beside the rows that are served, because this database"
            " role may not create a schema. GRANT CREATE ON DATABASE … TO it, or rebuild with --in-place"
        ) from error
    for table in tables(projection):
        _execute(f"CREATE TABLE {schema}.{_quoted(table)} (LIKE {_quoted(table)} INCLUDING ALL)")
    # Foreign keys among them are copied as well, for what they cascade. Those to other tables hold when rows are moved.
    foreign_keys = _foreign_keys(tables(projection))
    with first_in_search_path(shadow_schema(projection.name)):
        for table, name, definition in foreign_keys:
            _execute(f"ALTER TABLE {_quoted(table)} ADD CONSTRAINT {_quoted(name)} {definition}")


def fits(projection: Projection) -> bool:
    """Say whether the shadow tables are there, with the same columns as the tables that are served."""
    schema = shadow_schema(projection.name)
    return all(
        (columns := _columns(f"{_quoted(schema)}.{_quoted(table)}")) is not None and columns == _columns(_quoted(table))
        for table in tables(projection)
    )


def move_rows(projection: Projection) -> None:
    """Make the tables that are served equal to their shadows.

    Rows that are equal already stay untouched. Those that are not are removed first, in all tables, children before
    parents; then what is missing is added. So no unique key meets the row that it replaces.
    """
    schema, owned = _quoted(shadow_schema(projection.name)), tables(projection)
    # Shadows cannot be dropped with a check to come, so the caller has had them checked. The tables that are served are
    # checked at the end, when rows that refer to each other are all there.
    for table in reversed(owned):
        _execute(f"ANALYZE {schema}.{_quoted(table)}")
        key, columns = _key(table), _names(table)
        same_key = _equal(key)
        # *= compares the stored form: it works for every type, and can tell apart what = cannot.
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
        _move_sequence(table, schema)


def empty(projection: Projection) -> None:
    """Remove all rows of the tables that are served."""
    for table in reversed(tables(projection)):
        _execute(f"DELETE FROM {_quoted(table)}")


def drop(name: str) -> None:
    """Remove the shadow tables, if there are any."""
    if _row("SELECT to_regnamespace(%s)::text", _quoted(shadow_schema(name)))[0]:
        _execute(f"DROP SCHEMA {_quoted(shadow_schema(name))} CASCADE")


def _move_sequence(table: str, schema: str) -> None:
    """Let the numbers of new rows go on behind those of the moved ones."""
    query = "SELECT pg_get_serial_sequence(%s, column_name) FROM unnest(%s::text[]) AS column_name"
    for (served,), (shadow,) in zip(
        _rows(query, _quoted(table), _names(table)),
        _rows(query, f"{schema}.{_quoted(table)}", _names(table)),
        strict=True,
    ):
        if served and shadow:
            _row(
                f"SELECT setval(%s, greatest(a.last_value, b.last_value), a.is_called OR b.is_called)"
                f" FROM {served} AS a, {shadow} AS b",
                served,
            )


_DESCRIBED = """
    SELECT attname, format_type(atttypid, atttypmod), attnotnull, attgenerated FROM pg_attribute
    WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attname
"""


def _columns(table: str) -> list[tuple[Any, ...]] | None:
    return _rows(_DESCRIBED, table) or None


def _names(table: str) -> list[str]:
    """Return the columns that are written; a generated one follows from them."""
    return [name for name, _, _, generated in _columns(_quoted(table)) or () if not generated]


def _key(table: str) -> list[str]:
    query = """
        SELECT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
        WHERE indisprimary AND indrelid = to_regclass(%s)
    """
    return [name for (name,) in _rows(query, _quoted(table))]


def _foreign_keys(owned: Sequence[str]) -> list[tuple[Any, ...]]:
    query = """
        SELECT c.relname, conname, pg_get_constraintdef(k.oid)
        FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = conrelid
        WHERE contype = 'f' AND conrelid = ANY (%s::regclass[]) AND confrelid = ANY (%s::regclass[])
    """
    names = [_quoted(table) for table in owned]
    return _rows(query, names, names)


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

"""What PostgreSQL's catalogue says about tables, and statements on tables whose names are known at run time only."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import connections

from events.routing import database


@dataclass(frozen=True)
class Rule:
    """A rule that two rows of a table must not violate together: a unique index or an exclusion constraint.

    Attributes:
        index: the name of its index, in quotes and with its schema.
        parts: an expression and an operator each; two rows violate the rule if each operator is true for them.
        condition: which rows the rule is about.
        drop, create: the statements that remove the rule, and make it again.
    """

    index: str
    parts: tuple[tuple[str, str], ...]
    condition: str
    drop: str
    create: str


def columns(table: str) -> list[tuple[Any, ...]]:
    """Return name, type, NOT NULL, and kind of generation of each column; nothing if there is no such table."""
    query = """
        SELECT attname, format_type(atttypid, atttypmod), attnotnull, attgenerated FROM pg_attribute
        WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attname
    """
    return rows(query, table)


def written_columns(table: str) -> list[str]:
    """Return the columns that an INSERT can write: all that are not generated from others."""
    return [name for name, _, _, generated in columns(table) if not generated]


def fixed_columns(table: str) -> set[str]:
    """Return the columns that an UPDATE cannot set: those that are GENERATED ALWAYS AS IDENTITY."""
    query = "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attidentity = 'a'"
    return {name for (name,) in rows(query, table)}


def key_columns(table: str) -> list[str]:
    """Return the columns of the key by which other tables know a row, mostly the primary key; none without a key."""
    query = """
        SELECT array(SELECT attname::text FROM unnest(indkey[0:indnkeyatts - 1]) AS k
                     JOIN pg_attribute ON attrelid = indrelid AND attnum = k)
        FROM pg_index
        WHERE indrelid = to_regclass(%s) AND indisunique AND indisvalid AND indpred IS NULL
          AND indexprs IS NULL AND NOT EXISTS (
              SELECT FROM unnest(indkey[0:indnkeyatts - 1]) AS k
              JOIN pg_attribute ON attrelid = indrelid AND attnum = k WHERE NOT attnotnull)
        -- Foreign keys that act on a deletion may refer to another unique key than the primary key.
        ORDER BY EXISTS (SELECT FROM pg_constraint AS c WHERE c.conindid = indexrelid AND contype = 'f'
                         AND confdeltype <> 'a') DESC, indisprimary DESC, indexrelid
        LIMIT 1
    """
    found = rows(query, table)
    return list(found[0][0]) if found else []


def rules(table: str) -> list[Rule]:
    """Return the rules that PostgreSQL checks for each row of a statement, apart from the key.

    The rules that are DEFERRABLE are left out: it can check them at the end of the transaction.
    """
    query = """
        SELECT i.indexrelid::regclass::text,
               array(SELECT ARRAY[pg_get_indexdef(i.indexrelid, n, true),
                                  coalesce((SELECT format('OPERATOR(%%I.%%s)', nspname, oprname) FROM pg_operator AS o
                                            JOIN pg_namespace AS s ON s.oid = o.oprnamespace
                                            WHERE o.oid = c.conexclop[n]),
                                           CASE WHEN i.indnullsnotdistinct THEN 'IS NOT DISTINCT FROM' ELSE '=' END)]
                     FROM generate_series(1, i.indnkeyatts) AS n ORDER BY n),
               coalesce(pg_get_expr(i.indpred, i.indrelid), 'true'),
               c.conname,
               -- Of a partitioned table, ONLY would leave out the partitions.
               coalesce(pg_get_constraintdef(c.oid), replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON '))
        FROM pg_index AS i
        LEFT JOIN pg_constraint AS c
               ON c.conindid = i.indexrelid AND c.conrelid = i.indrelid AND c.contype IN ('p', 'u', 'x')
        WHERE i.indrelid = to_regclass(%s) AND i.indimmediate AND (i.indisunique OR c.contype = 'x')
        ORDER BY i.indexrelid
    """
    key, found = set(key_columns(table)), []
    for index, parts, condition, constraint, definition in rows(query, table):
        if {expression.strip('"') for expression, _ in parts} == key and condition == "true":
            continue
        drop, create = f"DROP INDEX {index}", definition
        if constraint:
            drop = f"ALTER TABLE {table} DROP CONSTRAINT {quoted(constraint)}"
            create = f"ALTER TABLE {table} ADD CONSTRAINT {quoted(constraint)} {definition}"
        found.append(Rule(index, tuple(map(tuple, parts)), condition, drop, create))
    return found


def is_deleted_quietly(table: str) -> bool:
    """Return whether rows can be deleted and inserted again in one transaction without an effect on other tables.

    It is so if every foreign key to the table does nothing on a deletion and is checked at the end of the transaction,
    and the project has no trigger or rule on the table for deletions.
    """
    query = """
        SELECT EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND confrelid = to_regclass(%s)
                       AND NOT (confdeltype = 'a' AND condeferrable))
            OR EXISTS (SELECT FROM pg_trigger WHERE tgrelid = to_regclass(%s) AND NOT tgisinternal
                       AND tgenabled <> 'D' AND tgtype & 8 <> 0)  -- TRIGGER_TYPE_DELETE
            OR EXISTS (SELECT FROM pg_rewrite WHERE ev_class = to_regclass(%s) AND ev_type = '4')  -- ON DELETE
    """
    return not row(query, table, table, table)[0]


def names(columns: Iterable[str], alias: str = "") -> str:
    return ", ".join(f"{alias}.{quoted(name)}" if alias else quoted(name) for name in columns)


def quoted(name: str) -> str:
    return connections[database()].ops.quote_name(name)


def execute(statement: str) -> None:
    with connections[database()].cursor() as cursor:
        cursor.execute(statement)


def rows(query: str, *arguments: Any) -> list[tuple[Any, ...]]:
    with connections[database()].cursor() as cursor:
        cursor.execute(query, arguments or None)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


def row(query: str, *arguments: Any) -> tuple[Any, ...]:
    return rows(query, *arguments)[0]

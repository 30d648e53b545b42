"""Empty the tests' database after a test that commits, without Django's `flush`.

`flush` truncates every table and sends `post_migrate`, which makes every content type and permission again: a large
part of the time of all tests. This keeps those two tables, restores the registered projections from a copy, and touches
only tables that have rows. `flush` itself has
its tests in tests/events/management/test_flush.py and in tests/hosts.
"""

from functools import cache

from django.apps import apps
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import connections, transaction
from django.test import TransactionTestCase

from projections.models import Checkpoint, ProjectionState

KEPT = (ContentType, Permission)
RESTORED = (ProjectionState, Checkpoint)

# Most tests leave a few rows, which are deleted faster than the files of their tables are replaced.
FEW_ROWS = 200

EMPTY = """
DO $$
DECLARE
    candidate text;
    found bigint;
    full_tables text[] := '{{}}';
    other_tables text[] := '{{}}';
BEGIN
    SET LOCAL events.maintenance = 'on';
    FOREACH candidate IN ARRAY '{{{tables}}}'::text[] LOOP
        CONTINUE WHEN to_regclass(quote_ident(candidate)) IS NULL;
        EXECUTE format('SELECT count(*) FROM (SELECT FROM %I LIMIT {few} + 1) AS first_rows', candidate) INTO found;
        IF found > {few} THEN
            full_tables := full_tables || quote_ident(candidate);
        ELSIF found > 0 THEN
            other_tables := other_tables || quote_ident(candidate);
        END IF;
    END LOOP;
    IF cardinality(full_tables) > 0 THEN
        EXECUTE 'TRUNCATE ' || array_to_string(full_tables, ', ') || ' CASCADE';
    END IF;
    FOREACH candidate IN ARRAY other_tables LOOP
        EXECUTE 'DELETE FROM ' || candidate;
    END LOOP;
    DELETE FROM auth_permission WHERE id > {last_permission};
    DELETE FROM django_content_type WHERE id > {last_content_type};
{restore}
END
$$
"""
RESTORE = """
    INSERT INTO {table} SELECT * FROM jsonb_populate_recordset(NULL::{table}, {rows});
"""


def empty(alias: str) -> None:
    """Remove all rows but those of `migrate`. It commits."""
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        cursor.execute(_statement(alias))


@cache
def _statement(alias: str) -> str:
    """Return the statement that restores the present rows of the tables that `migrate` fills."""
    tables = [model._meta.db_table for model in apps.get_models(include_auto_created=True) if model not in KEPT]
    last = [model.objects.using(alias).order_by("pk").values_list("pk", flat=True).last() for model in KEPT]
    restore = ""
    with connections[alias].cursor() as cursor:
        for table in (model._meta.db_table for model in RESTORED):
            cursor.execute(f"SELECT quote_literal(jsonb_agg(to_jsonb({table}))::text) FROM {table}")
            restore += RESTORE.format(table=table, rows=cursor.fetchone()[0])
    return EMPTY.format(
        tables=",".join(tables),
        few=FEW_ROWS,
        last_content_type=last[0],
        last_permission=last[1],
        restore=restore,
    )


def replace_flush() -> None:
    """Empty the database after every `TransactionTestCase` of this process; call it when the database is migrated."""
    _statement("default")  # before a test changes anything

    def empty_all(test: TransactionTestCase) -> None:
        for alias in test._databases_names(include_mirrors=False):
            empty(alias)

    TransactionTestCase._fixture_teardown = empty_all

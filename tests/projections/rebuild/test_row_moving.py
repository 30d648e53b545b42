"""The rows of a rebuild take the place of the served ones, and other tables notice only what has really changed."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from projections.engine import target_tables
from projections.rebuild import row_moving, shadow_tables
from tests.projections.support import instance
from tests.readmodels.projections import Tally

pytestmark = pytest.mark.django_db(transaction=True)

# name: (the table, the served rows, the rebuilt rows)
KINDS = {
    "changed, new, gone": ("id int PRIMARY KEY, v text", "(1, 'a'), (2, 'b')", "(1, 'c'), (3, 'd')"),
    "exchange": ("id int PRIMARY KEY, v text UNIQUE", "(1, 'a'), (2, 'b')", "(1, 'b'), (2, 'a')"),
    "chain": ("id int PRIMARY KEY, v int UNIQUE NOT NULL", "(1, 1), (2, 2), (3, 3)", "(1, 2), (2, 3), (3, 4)"),
    "exchange of a pair": (
        "id int PRIMARY KEY, a int, b int, UNIQUE (a, b)",
        "(1, 1, 1), (2, 2, 2)",
        "(1, 2, 2), (2, 1, 1)",
    ),
    "taken from a gone row": ("id int PRIMARY KEY, v int UNIQUE", "(1, 1), (2, 2)", "(1, 2), (3, 1)"),
    "partial index": (
        "id int PRIMARY KEY, v int, live bool; CREATE UNIQUE INDEX ON moved_row (v) WHERE live",
        "(1, 7, true), (2, 7, false)",
        "(1, 7, false), (2, 7, true)",
    ),
    "index of an expression": (
        "id int PRIMARY KEY, v text; CREATE UNIQUE INDEX ON moved_row (lower(v) text_pattern_ops) WHERE v LIKE '%a%'",
        "(1, 'A-a'), (2, 'a-b')",
        "(1, 'A-b'), (2, 'a-A')",
    ),
    "nulls not distinct": (
        "id int PRIMARY KEY, v int UNIQUE NULLS NOT DISTINCT",
        "(1, NULL), (2, 2)",
        "(1, 2), (2, NULL)",
    ),
    "exclusion": (
        "id int PRIMARY KEY, v int4range, EXCLUDE USING gist (v WITH &&)",
        "(1, '[1,5)'), (2, '[5,9)')",
        "(1, '[4,9)'), (2, '[1,3)')",
    ),
    "deferrable unique": (
        "id int PRIMARY KEY, v int UNIQUE DEFERRABLE",
        "(1, 1), (2, 2)",
        "(1, 2), (2, 1)",
    ),
    "generated column": (
        "id int PRIMARY KEY, v int, w int GENERATED ALWAYS AS (v * 2) STORED UNIQUE",
        "(1, 1), (2, 2)",
        "(1, 2), (2, 1)",
    ),
    "key of two columns": (
        "a int, b int, v int UNIQUE, PRIMARY KEY (b, a) INCLUDE (v)",
        "(1, 2, 1), (2, 1, 2)",
        "(1, 2, 2), (2, 1, 1)",
    ),
    "unique key without a primary key": ("id int NOT NULL UNIQUE, v int", "(1, 1), (2, 2)", "(1, 2), (3, 1)"),
    "equal, but another value": ("id numeric PRIMARY KEY, v numeric", "(1.0, 1.0), (2, 2)", "(1.00, 1.00), (2, 2)"),
    "partitions": (
        (
            "id int, p int, v int, PRIMARY KEY (id, p)) PARTITION BY LIST (p;"  # the last parenthesis follows
            " CREATE TABLE moved_p PARTITION OF moved_row DEFAULT; CREATE UNIQUE INDEX ON moved_row (v, p)"
        ),
        "(1, 1, 1), (2, 1, 2), (3, 1, 3)",
        "(1, 1, 2), (2, 1, 1), (4, 1, 4)",
    ),
    "quoted names": ('"a b" int PRIMARY KEY, "V%s" int UNIQUE', "(1, 1), (2, 2)", "(1, 2), (2, 1)"),
}


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Makes a served table with rows, and a shadow table with others."""
    for module in (target_tables, shadow_tables):
        monkeypatch.setattr(module, "tables", lambda projection: ["moved_row"])

    def make(columns: str, served: str, rebuilt: str, outside: str = "") -> None:
        table, _, index = columns.partition(";")
        run(
            f"CREATE TABLE moved_row ({table})", index, f"INSERT INTO moved_row OVERRIDING SYSTEM VALUE VALUES {served}"
        )
        run(outside)
        with transaction.atomic():
            shadow_tables.create(instance(Tally))
        run(f"INSERT INTO projections_rebuild_tally.moved_row OVERRIDING SYSTEM VALUE VALUES {rebuilt}")

    yield make
    run("DROP TABLE IF EXISTS outside, moved_row CASCADE", "DROP SCHEMA IF EXISTS projections_rebuild_tally CASCADE")


def run(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in filter(str.strip, statements):
            cursor.execute(statement)


def read(query: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def indexes() -> list[Any]:
    return read("SELECT indexname, indexdef FROM pg_indexes WHERE tablename IN ('moved_row', 'moved_p') ORDER BY 1")


def move() -> None:
    with transaction.atomic():
        row_moving.move_rows(instance(Tally))


def is_moved() -> bool:
    served, rebuilt = (read(f"SELECT a::text FROM {schema}.moved_row AS a ORDER BY 1") for schema in SCHEMAS)
    return served == rebuilt


SCHEMAS = ("public", "projections_rebuild_tally")


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_those_of_the_rebuild(table: Any, kind: str) -> None:
    table(*KINDS[kind])
    before = indexes()
    move()
    assert is_moved()
    assert indexes() == before


@pytest.mark.parametrize("kind", KINDS)
def test_cascade_of_another_table_reaches_only_rows_whose_key_is_gone(table: Any, kind: str) -> None:
    if kind == "equal, but another value":
        pytest.skip("a key that changes its value changes for those who refer to it, too")
    columns, served, rebuilt = KINDS[kind]
    key = {"key of two columns": "a, b", "partitions": "id, p", "quoted names": '"a b"'}.get(kind, "id")
    outside = (
        f"CREATE TABLE outside AS SELECT {key} FROM moved_row;"
        f" ALTER TABLE outside ADD FOREIGN KEY ({key}) REFERENCES moved_row ({key}) ON DELETE CASCADE"
    )
    table(columns, served, rebuilt, outside)
    before = indexes()
    move()
    assert is_moved()
    assert indexes() == before
    kept = read(f"SELECT {key} FROM projections_rebuild_tally.moved_row INTERSECT SELECT {key} FROM outside")
    assert sorted(read(f"SELECT {key} FROM outside")) == sorted(kept)
    assert kept


ON_DELETION = {
    "trigger": """
        CREATE OR REPLACE FUNCTION pg_temp.reach() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN DELETE FROM outside AS o WHERE o.id = OLD.id; RETURN OLD; END $$;
        CREATE TRIGGER reach BEFORE DELETE ON moved_row FOR EACH ROW EXECUTE FUNCTION pg_temp.reach()
    """,
    "rule": "CREATE RULE reach AS ON DELETE TO moved_row DO ALSO DELETE FROM outside AS o WHERE o.id = OLD.id",
}


@pytest.mark.parametrize("kind", ON_DELETION)
def test_trigger_and_rule_of_the_project_reach_only_rows_whose_key_is_gone(table: Any, kind: str) -> None:
    outside = f"CREATE TABLE outside AS SELECT id FROM moved_row; {ON_DELETION[kind]}"
    table("id int PRIMARY KEY, v text UNIQUE", "(1, 'a'), (2, 'b'), (3, 'c')", "(1, 'b'), (2, 'a')", outside)
    move()
    assert is_moved()
    assert read("SELECT id FROM outside ORDER BY 1") == [(1,), (2,)]


def test_rows_of_a_table_without_a_key_are_all_replaced(table: Any) -> None:
    table("v int", "(1), (1), (2)", "(1), (3), (3)")
    move()
    assert read("SELECT v FROM moved_row ORDER BY 1") == [(1,), (3,), (3,)]


def test_identity_that_nobody_may_set_stays_and_counts_on(table: Any) -> None:
    identity = "id int PRIMARY KEY, n int GENERATED ALWAYS AS IDENTITY UNIQUE, v int"
    table(identity, "(1, 1, 1), (2, 2, 2)", "(1, 5, 1), (2, 6, 4), (3, 7, 3)")
    run("SELECT setval(pg_get_serial_sequence('projections_rebuild_tally.moved_row', 'n'), 7)")
    move()
    assert read("SELECT * FROM moved_row ORDER BY id") == [(1, 1, 1), (2, 2, 4), (3, 7, 3)]
    run("INSERT INTO moved_row (id, v) VALUES (4, 4)")
    assert read("SELECT n FROM moved_row WHERE id = 4") == [(8,)]


def test_foreign_key_to_another_table_is_checked_when_a_row_is_rebuilt(table: Any) -> None:
    outside = "CREATE TABLE outside (a int, b int, PRIMARY KEY (a, b)); INSERT INTO outside VALUES (1, 1)"
    refers = "id int PRIMARY KEY, a int, b int"
    key = "; ALTER TABLE moved_row ADD FOREIGN KEY (b, a) REFERENCES outside (b, a) DEFERRABLE INITIALLY DEFERRED"
    table(refers, "(1, 1, 1)", "(1, 1, 1)", f"{outside}; ALTER TABLE outside ADD UNIQUE (b, a){key}")
    run("INSERT INTO projections_rebuild_tally.moved_row VALUES (2, NULL, 5)")
    with transaction.atomic():
        run("INSERT INTO projections_rebuild_tally.moved_row VALUES (3, 9, 9)")
        run("UPDATE projections_rebuild_tally.moved_row SET a = 1, b = 1 WHERE id = 3")  # right before the end
    with pytest.raises(IntegrityError, match="violates the foreign key"), transaction.atomic():
        run("INSERT INTO projections_rebuild_tally.moved_row VALUES (4, 1, 2)")
    with pytest.raises(IntegrityError, match="violates the foreign key"):
        run("UPDATE projections_rebuild_tally.moved_row SET b = 7 WHERE id = 3")
    run("DELETE FROM projections_rebuild_tally.moved_row WHERE id = 3")
    move()
    assert is_moved()


def test_foreign_key_that_is_not_enforced_is_not_checked_when_a_row_is_rebuilt(table: Any) -> None:
    if connection.cursor().connection.info.server_version < 180000:
        pytest.skip("PostgreSQL enforces every foreign key before version 18")
    outside = "CREATE TABLE outside (a int PRIMARY KEY)"
    key = "ALTER TABLE moved_row ADD FOREIGN KEY (a) REFERENCES outside NOT ENFORCED"
    table("id int PRIMARY KEY, a int", "(1, 1)", "(1, 2)", f"{outside}; {key}")
    move()
    assert is_moved()

"""What the catalogue says about the tables of a projection."""

import pytest

from projections.rebuild import catalog

pytestmark = pytest.mark.django_db


def test_key_is_the_one_that_foreign_keys_act_on() -> None:
    catalog.execute("CREATE TABLE a_row (id int PRIMARY KEY, k int NOT NULL UNIQUE, v int UNIQUE)")
    assert catalog.key_columns("a_row") == ["id"]
    assert catalog.is_deleted_quietly("a_row")
    catalog.execute("CREATE TABLE referring (k int REFERENCES a_row (k) ON DELETE CASCADE)")
    assert catalog.key_columns("a_row") == ["k"]
    assert not catalog.is_deleted_quietly("a_row")


def test_table_without_a_key_has_none() -> None:
    catalog.execute("CREATE TABLE a_row (v int UNIQUE, w int GENERATED ALWAYS AS (v + 1) STORED)")
    assert catalog.key_columns("a_row") == []
    assert catalog.written_columns("a_row") == ["v"]
    assert catalog.columns("no_row") == []


def test_rules_are_those_that_are_checked_row_by_row() -> None:
    catalog.execute("CREATE TABLE a_row (id int PRIMARY KEY, v int UNIQUE, w int UNIQUE DEFERRABLE)")
    (rule,) = catalog.rules("a_row")
    assert (rule.parts, rule.condition) == ((("v", "="),), "true")
    assert rule.create == 'ALTER TABLE a_row ADD CONSTRAINT "a_row_v_key" UNIQUE (v)'

"""Move the rows of a rebuild into the served tables, so that other tables notice only what has really changed.

A row whose key remains is updated. Only rows whose key is gone are deleted. So a foreign key of another table acts, for
example with ON DELETE CASCADE, only where a row really goes. Rows that are equal are not touched.
"""

from dataclasses import dataclass

from projections.base import Projection
from projections.engine import target_tables
from projections.engine.target_tables import shadow_schema

from . import locking
from .catalog import (
    Rule,
    execute,
    fixed_columns,
    is_deleted_quietly,
    key_columns,
    names,
    quoted,
    row,
    rules,
    written_columns,
)


def move_rows(projection: Projection) -> None:
    """Make the rows of the served tables equal to those of the shadow tables.

    Referenced tables get their new rows first and lose old rows last, for foreign keys that are checked at once. A
    shadow table cannot be dropped while it has deferred constraint checks, so the caller has run them. Those of
    the served tables run at the end of the transaction.
    """
    row("SELECT projections_analyze_shadow_tables(%s)", projection.name)
    schema = quoted(shadow_schema(projection.name))
    moves = [_Move.of(quoted(name), f"{schema}.{quoted(name)}") for name in target_tables.tables(projection)]
    execute("SET CONSTRAINTS ALL DEFERRED")
    dropped = [rule for move in moves for rule in move.make_room()]
    for move in moves:
        move.update()
        move.insert()
        row("SELECT projections_move_sequences(%s, %s)", projection.name, move.served)
    for move in reversed(moves):
        move.delete()
    _create_again(dropped)


def _create_again(dropped: list[Rule]) -> None:
    if dropped:
        execute("SET CONSTRAINTS ALL IMMEDIATE")  # an index cannot be created while checks of its table are pending
    for rule in dropped:
        execute(rule.create)


@dataclass(frozen=True)
class _Move:
    """The move of one table's rows: from `copy` to `served`."""

    served: str
    copy: str
    key: list[str]
    columns: list[str]
    updated: list[str]

    @classmethod
    def of(cls, served: str, copy: str) -> "_Move":
        columns = written_columns(served)
        fixed = fixed_columns(served)
        return cls(served, copy, key_columns(served), columns, [name for name in columns if name not in fixed])

    def make_room(self) -> list[Rule]:
        """Remove what would violate a rule in between, as when two rows exchange a unique value; return dropped rules.

        PostgreSQL checks a unique index for each row of a statement. So a value that another row gets must be given up
        first. The row that holds it is deleted and inserted again. If this deletion would act on other tables, the
        index is dropped until the rows have moved. Then readers wait meanwhile, but no other table loses rows.
        """
        held = [rule for rule in rules(self.served) if row(f"SELECT EXISTS (SELECT {self._holders(rule)})")[0]]
        if not is_deleted_quietly(self.served):
            with locking.short_wait(key=self.served):
                for rule in held:
                    execute(rule.drop)
            return held
        for rule in held:
            keys = names(self.key, "a")
            execute(f"DELETE FROM {self.served} AS a WHERE ROW({keys}) IN (SELECT {keys} {self._holders(rule)})")
        return []

    def update(self) -> None:
        """Update the rows whose key remains, if they differ.

        `*=` compares the binary form: not every type has `=`, and `=` holds for some values that differ.
        """
        updated = self.updated
        if not self.key or not updated:
            return
        execute(
            f"UPDATE {self.served} AS a SET ({names(updated)}) = ROW({names(updated, 'b')}) FROM {self.copy} AS b"
            f" WHERE {self._same_key()}"
            f" AND NOT ROW({names(updated, 'a')})::record *= ROW({names(updated, 'b')})::record"
        )

    def insert(self) -> None:
        """Insert the rows whose key is new. In a table without a key, no row can remain, so all are replaced."""
        if not self.key:
            execute(f"DELETE FROM {self.served}")
        missing = f"NOT EXISTS (SELECT FROM {self.served} AS a WHERE {self._same_key()})" if self.key else "true"
        execute(
            f"INSERT INTO {self.served} ({names(self.columns)}) OVERRIDING SYSTEM VALUE "
            f"SELECT {names(self.columns)} FROM {self.copy} AS b WHERE {missing}"
        )

    def delete(self) -> None:
        """Delete the rows whose key is gone."""
        if self.key:
            execute(
                f"DELETE FROM {self.served} AS a"
                f" WHERE NOT EXISTS (SELECT FROM {self.copy} AS b WHERE {self._same_key()})"
            )

    def _same_key(self) -> str:
        return " AND ".join(f"a.{quoted(name)} = b.{quoted(name)}" for name in self.key)

    def _holders(self, rule: Rule) -> str:
        """Return the FROM clause of the served rows `a` that stand in the way of rebuilt rows with other keys."""
        if not self.key:
            return f"FROM {self.served} AS a WHERE false"
        values = ", ".join(f"({expression}) AS value{n}" for n, (expression, _) in enumerate(rule.parts))
        chosen = f"SELECT {names(self.key)}, {values} FROM {{}} WHERE {rule.condition}"
        clash = " AND ".join(f"a.value{n} {operator} b.value{n}" for n, (_, operator) in enumerate(rule.parts))
        return (
            f"FROM ({chosen.format(self.served)}) AS a JOIN ({chosen.format(self.copy)}) AS b"
            f" ON {clash} AND NOT ({self._same_key()})"
        )

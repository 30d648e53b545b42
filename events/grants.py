"""Database roles that may do no more than their work: the statements that grant each what it needs.

The owner of the tables runs the migrations and little else. A role that appends needs EXECUTE on one function, and no
right to write any table of the store.
"""

from collections.abc import Iterable, Iterator

from django.apps import apps
from django.db import connections

_READ = ("events_event", "events_aggregate", "events_seal")
_POSITIONS = "events_event_position_seq"
_APPEND = "events_append(text[], text[], jsonb[], jsonb[], timestamptz[], uuid[], text[], bigint[], boolean)"


class Grants:
    """The grants for roles of one database."""

    def __init__(self, using: str) -> None:
        self._connection = connections[using]
        with self._connection.cursor() as cursor:
            cursor.execute(
                "SELECT relnamespace::regnamespace::text, current_database() FROM pg_class WHERE oid = %s::regclass",
                [_READ[0]],
            )
            self._schema, self._database = cursor.fetchone()

    def reader(self, role: str) -> Iterator[str]:
        """Yield what a role needs that reads histories and follows the whole store."""
        name = self._quoted(role)
        yield f"GRANT USAGE ON SCHEMA {self._schema} TO {name}"
        yield f"GRANT SELECT ON {', '.join(f'{self._schema}.{table}' for table in _READ)} TO {name}"
        yield f"GRANT SELECT ON SEQUENCE {self._schema}.{_POSITIONS} TO {name}"
        yield f"GRANT EXECUTE ON FUNCTION {self._schema}.events_settled_position() TO {name}"

    def writer(self, role: str) -> Iterator[str]:
        """Yield what a role needs that also appends."""
        yield from self.reader(role)
        yield f"GRANT EXECUTE ON FUNCTION {self._schema}.{_APPEND} TO {self._quoted(role)}"

    def operator(self, role: str, read_models: Iterable[str]) -> Iterator[str]:
        """Yield what a role needs that also works for projections, rebuilds them, and seals.

        Args:
            read_models: the labels of the apps whose tables the projections write.

        Raises:
            LookupError: there is no such app.
        """
        name = self._quoted(role)
        yield from self.reader(role)
        yield f"GRANT INSERT ON {self._schema}.events_seal TO {name}"
        tables, sequences = self._tables(read_models)
        if tables:
            yield f"GRANT SELECT, INSERT, UPDATE, DELETE ON {', '.join(tables)} TO {name}"
        if sequences:
            yield f"GRANT USAGE, SELECT, UPDATE ON SEQUENCE {', '.join(sequences)} TO {name}"
        # A rebuild fills tables in a schema of its own.
        yield f"GRANT CREATE ON DATABASE {self._quoted(self._database)} TO {name}"

    def _tables(self, labels: Iterable[str]) -> tuple[list[str], list[str]]:
        models = [
            model
            for label in labels
            for model in apps.get_app_config(label).get_models(include_auto_created=True)
            if model._meta.managed and not model._meta.proxy
        ]
        names = sorted({model._meta.db_table for model in models})
        with self._connection.cursor() as cursor:
            found = [each for name in names for each in self._connection.introspection.get_sequences(cursor, name)]
        return [*map(self._quoted, names)], sorted({self._quoted(each["name"]) for each in found})

    def _quoted(self, name: str) -> str:
        return '"' + name.replace('"', '""') + '"'  # Django's own leaves quotes inside as they are

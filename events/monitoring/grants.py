"""The minimal grants of database roles, as SQL statements.

The owner of the tables only runs migrations. A role that appends needs EXECUTE on two functions, and no right to write
a table of the store.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module

from django.apps import apps
from django.db import connections

from events.storage.query_files import fetch_tuples

_READ = ("events_event", "events_aggregate", "events_seal")
_POSITIONS = "events_event_position_seq"
_FOLLOW = ("events_settled_position()", "events_event_digest(events_event)")
# It has the secret of derived event ids, which only a role that appends needs.
_STORE = "events_store"
_SEAL = "events_seal_next(bigint, integer)"
_APPEND = (
    "events_append(text[], text[], jsonb[], jsonb[], timestamptz[], uuid[], text[], bigint[], boolean, boolean)",
    "events_append_one(text, text, jsonb, jsonb, timestamptz, uuid, bigint, boolean, boolean)",
)


@dataclass(frozen=True)
class Rights:
    """The rights that an app needs for a kind of role.

    Attributes:
        tables: rights on single tables, by name; they replace those that the kind of role has on tables of read models.
        functions: the functions that the role calls, with the types of their arguments.
    """

    tables: Mapping[str, str]
    functions: Sequence[str]


_modules: list[str] = []


def register_module(name: str) -> None:
    """Add the rights of the module with a dotted name; call this in `AppConfig.ready`.

    The module has a function `rights`, which takes the kind of a role and returns `Rights`.
    """
    if name not in _modules:
        _modules.append(name)


class Grants:
    """The grants for roles of one database."""

    def __init__(self, using: str) -> None:
        self._connection = connections[using]
        self._schema = self._schema_of(_READ[0])

    def reader(self, role: str) -> Iterator[str]:
        """Yield the grants of a role that reads histories and follows the whole store."""
        name = self._quoted(role)
        yield f"GRANT USAGE ON SCHEMA {self._schema} TO {name}"
        yield f"GRANT SELECT ON {', '.join(f'{self._schema}.{table}' for table in _READ)} TO {name}"
        yield f"GRANT SELECT ON SEQUENCE {self._schema}.{_POSITIONS} TO {name}"
        functions = ", ".join(f"{self._schema}.{function}" for function in _FOLLOW)
        yield f"GRANT EXECUTE ON FUNCTION {functions} TO {name}"

    def writer(self, role: str) -> Iterator[str]:
        """Yield the grants of a role that also appends."""
        yield from self.reader(role)
        yield f"GRANT SELECT ON {self._schema}.{_STORE} TO {self._quoted(role)}"
        functions = ", ".join(f"{self._schema}.{function}" for function in _APPEND)
        yield f"GRANT EXECUTE ON FUNCTION {functions} TO {self._quoted(role)}"

    def inline_writer(self, role: str, read_models: Iterable[str]) -> Iterator[str]:
        """Yield the grants of a role that appends and runs INLINE projections, which write their tables.

        Args:
            read_models: the labels of the apps whose tables the projections write.

        Raises:
            LookupError: there is no such app.
        """
        yield from self.writer(role)
        yield from self._of_apps(role, "inline_writer", "SELECT, INSERT, UPDATE, DELETE", read_models)

    def operator(self, role: str, read_models: Iterable[str]) -> Iterator[str]:
        """Yield the grants of a role that runs workers, rebuilds projections and seals; see `inline_writer`."""
        yield from self.reader(role)
        yield from self._of_apps(role, "operator", "SELECT, INSERT, UPDATE, DELETE", read_models)
        yield f"GRANT EXECUTE ON FUNCTION {self._schema}.{_SEAL} TO {self._quoted(role)}"

    def monitor(self, role: str, read_models: Iterable[str]) -> Iterator[str]:
        """Yield the grants of a role that runs `events_doctor`; see `inline_writer`."""
        yield from self.reader(role)
        yield f"GRANT SELECT ON {self._qualified('django_migrations')} TO {self._quoted(role)}"
        yield from self._of_apps(role, "monitor", "SELECT", read_models)

    def _of_apps(self, role: str, kind: str, rights: str, labels: Iterable[str]) -> Iterator[str]:
        """Yield the grants on the tables of apps: `rights`, unless a registered module gives a table other rights."""
        registered = [import_module(name).rights(kind) for name in _modules]
        single = {table: own for each in registered for table, own in each.tables.items()}
        models = [
            model
            for label in labels
            for model in apps.get_app_config(label).get_models(include_auto_created=True)
            if model._meta.managed and not model._meta.proxy
        ]
        by_rights: dict[str, list[str]] = {}
        for table in sorted({model._meta.db_table for model in models}):
            by_rights.setdefault(single.get(table, rights), []).append(table)
        for right, tables in by_rights.items():
            yield f"GRANT {right} ON {', '.join(map(self._qualified, tables))} TO {self._quoted(role)}"
            if "INSERT" in right:
                yield from self._sequences(role, tables)
        if functions := ", ".join(f"{self._schema}.{function}" for each in registered for function in each.functions):
            yield f"GRANT EXECUTE ON FUNCTION {functions} TO {self._quoted(role)}"

    def _sequences(self, role: str, tables: Iterable[str]) -> Iterator[str]:
        """Yield the grants on the sequences of tables. Without UPDATE, a role cannot use up the numbers at once."""
        with self._connection.cursor() as cursor:
            found = [each for name in tables for each in self._connection.introspection.get_sequences(cursor, name)]
        if found:
            sequences = ", ".join(sorted({self._qualified(each["name"]) for each in found}))
            yield f"GRANT USAGE, SELECT ON SEQUENCE {sequences} TO {self._quoted(role)}"

    def _qualified(self, name: str) -> str:
        """Return the name of a table or sequence with its schema; a model's db_table may have one already."""
        query = "SELECT format('%%s.%%I', relnamespace::regnamespace, relname) FROM pg_class WHERE oid = %s::regclass"
        return str(fetch_tuples(self._connection.alias, query, [self._connection.ops.quote_name(name)])[0][0])

    def _schema_of(self, name: str) -> str:
        query = "SELECT relnamespace::regnamespace::text FROM pg_class WHERE oid = %s::regclass"
        return str(fetch_tuples(self._connection.alias, query, [self._quoted(name)])[0][0])

    def _quoted(self, name: str) -> str:
        return '"' + name.replace('"', '""') + '"'  # Django's quote_name does not escape quotes

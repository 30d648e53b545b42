"""The errors of the database in words: one line that says what is wrong, and the remedy."""

from contextlib import suppress
from typing import Any, Final, NamedTuple

from django.db import Error, InterfaceError, OperationalError, connections
from django.db.transaction import TransactionManagementError
from psycopg.pq import TransactionStatus

from .query_files import fetch_dicts

TABLE: Final = "events_event"

_MISSING: Final = {"42P01", "42883", "42703", "3F000"}  # table, function, column, schema
NO_RIGHT: Final = "42501"
_READ_ONLY: Final = "25006"
_TIMEOUTS: Final = {"57014": "statement_timeout", "55P03": "lock_timeout"}
_LOST: Final = ("08", "28", "3D", "57P")  # connection exception, no log-in, no such database, shutdown

_IN_TESTS: Final = (
    "Tests need the migrations: run them without --nomigrations, and without MIGRATION_MODULES for this app"
)
_NO_MIGRATIONS: Final = f"Run python manage.py migrate. {_IN_TESTS}"


class Trouble(NamedTuple):
    """What is wrong, and the remedy."""

    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.problem}. {self.remedy}."


def in_words(error: Error, using: str) -> Trouble:
    """Return what is wrong when the database with the alias `using` has raised `error`."""
    if isinstance(error, TransactionManagementError):
        return Trouble(str(error).rstrip("."), "Change the code that calls the command")
    # The cause says what the server has said, also if `explained` has made the error.
    sqlstate, line = sqlstate_of(error), first_line(error.__cause__ or error)
    if is_lost(error):
        return Trouble(
            f"The connection to the database {using!r} failed: {line}",
            f"Check that the server runs, and that DATABASES[{using!r}] is right",
        )
    if sqlstate in _MISSING and _is_aborted(using):
        return Trouble(
            f"The database {using!r} lacks a part of the store, or has it in another schema: {line}",
            f"Run python manage.py events_doctor, which names the remedy. {_IN_TESTS}",
        )
    if sqlstate in _MISSING | {NO_RIGHT} and (found := unreadable(using) or _renamed(using)):
        return Trouble(f"{found.problem} ({line})", found.remedy)
    if sqlstate in _MISSING:
        return Trouble(f"The database {using!r} lacks a part of the store: {line}", _NO_MIGRATIONS)
    if sqlstate == NO_RIGHT:
        role = connections[using].settings_dict["USER"]
        return Trouble(
            f"The role {role!r} lacks a right: {line}",
            f"Run, as the owner of the tables, what events_grants prints for {role!r}",
        )
    if sqlstate == _READ_ONLY:
        return Trouble(
            f"The database {using!r} accepts no writes: {line}",
            "If it is a standby, use the primary; else remove default_transaction_read_only",
        )
    if name := _TIMEOUTS.get(sqlstate):
        return Trouble(f"The database {using!r} has ended a statement: {line}", f"Raise {name} for this role")
    return Trouble(f"The database {using!r} reports: {line}", "Correct the cause; events_doctor may name it")


def explained(error: Error, using: str) -> Error:
    """Return an error of the class of `error` with the remedy, if a function or a table of the store is missing."""
    return type(error)(str(in_words(error, using))) if sqlstate_of(error) in _MISSING else error


def unreadable(using: str, table: str = TABLE) -> Trouble | None:
    """Return why this role cannot read a table of the store, although the connection works; None if it can."""
    if trouble := misplaced(using, table):
        return trouble
    with suppress(Error):
        if table not in connections[using].introspection.table_names():
            return Trouble(
                f"The database {using!r} has no table {table}",
                f"{_NO_MIGRATIONS}. If the store is in another database, name its alias",
            )
    return None


def misplaced(using: str, table: str = TABLE) -> Trouble | None:
    """Return why this role cannot read a table of the store that the database has; None if it can, or has none."""
    query = """
        SELECT n.nspname AS schema, pg_get_userbyid(c.relowner) AS owner, current_user AS role,
               has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AS may_read,
               n.nspname = ANY (current_schemas(false)) AS is_searched,
               c.relowner = 10 AS is_of_initdb, quote_ident(current_user) AS to_role,
               quote_ident(pg_get_userbyid(c.relowner)) AS from_owner, quote_ident(n.nspname) AS in_schema
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.relname = %s AND c.relkind IN ('r', 'p') AND NOT starts_with(n.nspname, 'projections_rebuild_')
          AND NOT pg_is_other_temp_schema(n.oid)
        ORDER BY n.nspname = ANY (current_schemas(false)) DESC, 1
    """
    found: list[dict[str, Any]] = []
    with suppress(Error):
        found = fetch_dicts(using, query, [table])
    if not found or (found[0]["is_searched"] and found[0]["may_read"]):
        return None
    first = found[0]
    schema, owner, role = first["schema"], first["owner"], first["role"]
    if not first["may_read"]:
        # PostgreSQL rejects REASSIGN OWNED for the role that initdb has made: it owns the system's own objects.
        give_back = (
            f"restore it again, into an empty database: pg_restore --no-owner --role={role!r}"
            if first["is_of_initdb"]
            else f"give it back: REASSIGN OWNED BY {first['from_owner']} TO {first['to_role']}"
        )
        return Trouble(
            f"The role {role!r} may not read {schema}.{table}, which belongs to {owner!r}",
            f"Run, as {owner!r}, what events_grants prints for {role!r}. If {role!r} owned the store before a restore,"
            f" {give_back}",
        )
    return Trouble(
        f"The table {table} is in the schema {schema!r}, which the role {role!r} does not search",
        f"ALTER ROLE {first['to_role']} SET search_path = {first['in_schema']}. If the schema was renamed,"
        " then run events_doctor, which names the files to run",
    )


def _is_aborted(using: str) -> bool:
    """Return whether the transaction is aborted, so that PostgreSQL answers no query about the cause."""
    connection = connections[using].connection
    return connection is not None and connection.info.transaction_status is TransactionStatus.INERROR


def _renamed(using: str) -> Trouble | None:
    """Return what is wrong if the functions of the store search another schema than the one that they are in."""
    query = """
        SELECT n.nspname AS schema FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        JOIN pg_proc AS p ON p.pronamespace = n.oid AND p.proname = 'events_settled_position'
        WHERE c.oid = to_regclass(%s)
          AND format('search_path=pg_catalog, %%I, pg_temp', n.nspname) <> ALL (coalesce(p.proconfig, '{}'))
    """
    found: list[dict[str, Any]] = []
    with suppress(Error):
        found = fetch_dicts(using, query, [TABLE])
    if not found:
        return None
    return Trouble(
        f"The functions of the store do not search its schema {found[0]['schema']!r}, which was renamed or restored",
        "Run privileges.sql of both apps as the owner of the tables: events_doctor names the files",
    )


def is_lost(error: Error) -> bool:
    """Return whether the connection could not be opened, or was lost."""
    sqlstate = sqlstate_of(error)
    return sqlstate.startswith(_LOST) if sqlstate else isinstance(error, OperationalError | InterfaceError)


def is_of_setup(error: BaseException) -> bool:
    """Return whether tables, functions or rights are missing: no event and no line of code has caused it."""
    return isinstance(error, Error) and sqlstate_of(error) in _MISSING | {NO_RIGHT}


def sqlstate_of(error: BaseException) -> str:
    """Return the SQLSTATE of an error; empty if it is not the server's."""
    return getattr(error.__cause__, "sqlstate", None) or getattr(error, "sqlstate", None) or ""


def first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__

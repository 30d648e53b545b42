"""Prepared statements for frequent calls: appends, the histories of aggregates, and the polls of idle readers.

PostgreSQL then parses and plans a call only once, and no cursor is needed: for a small append this saves more than half
of the cost besides the write. Django does not prepare statements, because a pooler in transaction mode (pgbouncer
without `max_prepared_statements`) may send each transaction to another server process, which does not have them. So
statements are prepared only outside transactions, where the error of an unknown statement does no harm, and a
connection that has lost a statement is not used in this way again.

It depends on internals of psycopg: `generators.execute`, `Connection.wait` and `Transformer`. Checked with psycopg 3.3;
`tests/events/storage/test_prepared_statements.py` compares its rows with those of a cursor.
"""

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary, WeakSet
from zlib import crc32

import psycopg
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import errors, generators
from psycopg.adapt import Transformer
from psycopg.pq import DiagnosticField, ExecStatus, Format, TransactionStatus

_UNKNOWN_STATEMENT = b"26000"
_forgetful: WeakSet[Any] = WeakSet()


class PreparedStatement:
    """A statement whose arguments `$1`, `$2` … are text."""

    def __init__(self, label: str, query: str) -> None:
        self.query = query.encode()
        # The name depends on the query: behind a pooler, a process with other code may have prepared its own version.
        self._name = f"{label}_{crc32(self.query):08x}".encode()
        # The transformer that loads the values, for each connection on which the statement is prepared.
        self._loaders: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()

    def rows(self, session: Any, arguments: Sequence[bytes | None]) -> list[tuple[Any, ...]] | None:
        """Execute the statement on a psycopg connection; return None if it could not be prepared and was not executed.

        psycopg's own loaders convert the values, and moments are in UTC, whatever loaders the connection has.

        Raises:
            psycopg.Error: the server reported an error.
        """
        server = session.pgconn
        if server.transaction_status != TransactionStatus.IDLE:
            return None
        loader = self._loaders.get(session)
        if loader is None and not self._prepared_on(session):
            return None
        server.send_query_prepared(self._name, arguments, result_format=Format.BINARY)
        # `wait` lets other threads run and handles Ctrl-C.
        result = session.wait(generators.execute(server))[-1]
        if result.status == ExecStatus.TUPLES_OK:
            if loader is None:
                loader = self._loaders[session] = Transformer()
                loader.set_pgresult(result)  # chooses the loader of each column
            else:
                loader.set_pgresult(result, set_loaders=False)
            rows = loader.load_rows(0, result.ntuples, tuple)
            loader.set_pgresult(None, set_loaders=False)  # releases the result
            return rows
        if result.error_field(DiagnosticField.SQLSTATE) == _UNKNOWN_STATEMENT:
            self._loaders.pop(session, None)
            _forgetful.add(session)  # each attempt writes an error to the server's log
            return None
        raise errors.error_from_result(result, encoding="utf-8")

    def _prepared_on(self, session: Any) -> bool:
        """Prepare the statement on a connection; return whether that succeeded."""
        if session in _forgetful:
            return False
        if session.pgconn.prepare(self._name, self.query).status != ExecStatus.COMMAND_OK:
            _forgetful.add(session)
            return False
        return True

    def rows_unprepared(self, session: Any, arguments: Sequence[bytes | None]) -> list[tuple[Any, ...]] | None:
        """Execute the statement without preparing it; return None if it fails."""
        result = session.pgconn.exec_params(self.query, arguments, result_format=Format.BINARY)
        if result.status != ExecStatus.TUPLES_OK:
            return None
        loader = Transformer()
        loader.set_pgresult(result)
        return loader.load_rows(0, result.ntuples, tuple)


class Call:
    """A statement for Django's cursor, as `by_cursor`, and as a prepared statement; it has `{}` for each argument."""

    def __init__(self, label: str, query: str, places: int) -> None:
        self.by_cursor = query.format(*["%s"] * places)
        self.prepared = PreparedStatement(label, query.format(*(f"${place}" for place in range(1, places + 1))))

    def rows(self, connection: BaseDatabaseWrapper, arguments: Sequence[bytes | None]) -> list[tuple[Any, ...]] | None:
        """Execute the statement without Django's cursor; return None where the cursor must be used.

        The cursor must be used in a transaction, which the error of an unknown statement would end, and where the
        project counts, logs or wraps the statements of cursors.
        """
        if connection.in_atomic_block or connection.queries_logged or connection.execute_wrappers:
            return None
        connection.close_if_health_check_failed()
        connection.ensure_connection()
        connection.validate_thread_sharing()
        if not connection.autocommit:
            return None
        try:
            return self.prepared.rows(connection.connection, arguments)
        except psycopg.Error:
            with connection.wrap_database_errors:
                raise

    def fetch(self, using: str, arguments: Sequence[bytes | None]) -> list[tuple[Any, ...]]:
        """Execute the statement in the way that is possible, and return its rows."""
        connection = connections[using]
        rows = self.rows(connection, arguments)
        if rows is None:
            with connection.cursor() as cursor:
                cursor.execute(self.by_cursor, [None if each is None else each.decode() for each in arguments])
                rows = cursor.fetchall()
        return rows

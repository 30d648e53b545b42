"""Statements that a connection keeps prepared: for those that are called again and again, appends and idle readers.

PostgreSQL then need not parse and plan the call each time, and nobody builds a cursor for it: more than half of what a
small append would cost besides its writing. Django prepares nothing by itself, because a pooler that deals out
transactions (pgbouncer, unless it is told to keep them) gives each of them to another server process, which knows
nothing of what was prepared. So this is tried outside transactions only, where an unknown statement harms nothing, and
given up for a connection that has forgotten one.
"""

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary, WeakSet
from zlib import crc32

from psycopg import errors, generators
from psycopg.adapt import Transformer
from psycopg.pq import DiagnosticField, ExecStatus, Format, TransactionStatus

_UNKNOWN_STATEMENT = b"26000"
_forgetful: WeakSet[Any] = WeakSet()


class PreparedStatement:
    """A statement with arguments `$1`, `$2` … in text."""

    def __init__(self, label: str, query: str) -> None:
        self.query = query.encode()
        # Named by what it says: behind a pooler another process, with other code, may have prepared it already.
        self._name = f"{label}_{crc32(self.query):08x}".encode()
        # What loads the values, by the connection to which it is known: always of the same types.
        self._loaders: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()

    def rows(self, session: Any, arguments: Sequence[bytes | None]) -> list[tuple[Any, ...]] | None:
        """Execute it on a psycopg connection; None where it cannot be had prepared, and nothing was done.

        Values come as psycopg loads them, moments in UTC, whatever loaders that connection has.

        Raises:
            psycopg.Error: what the server says.
        """
        server = session.pgconn
        if server.transaction_status != TransactionStatus.IDLE:
            return None
        loader = self._loaders.get(session)
        if loader is None and not self._prepared_on(session):
            return None
        server.send_query_prepared(self._name, arguments, result_format=Format.BINARY)
        # As psycopg waits: other threads run meanwhile, and Ctrl-C is heard.
        result = session.wait(generators.execute(server))[-1]
        if result.status == ExecStatus.TUPLES_OK:
            if loader is None:
                loader = self._loaders[session] = Transformer()
                loader.set_pgresult(result)  # finds out how to load each column
            else:
                loader.set_pgresult(result, set_loaders=False)
            rows = loader.load_rows(0, result.ntuples, tuple)
            loader.set_pgresult(None, set_loaders=False)  # or it would keep the result
            return rows
        if result.error_field(DiagnosticField.SQLSTATE) == _UNKNOWN_STATEMENT:
            self._loaders.pop(session, None)
            _forgetful.add(session)  # once is enough: each time is an error in the server's log
            return None
        raise errors.error_from_result(result, encoding="utf-8")

    def _prepared_on(self, session: Any) -> bool:
        """Prepare it, and say whether that can be done."""
        if session in _forgetful:
            return False
        if session.pgconn.prepare(self._name, self.query).status != ExecStatus.COMMAND_OK:
            _forgetful.add(session)
            return False
        return True

    def rows_unprepared(self, session: Any, arguments: Sequence[bytes | None]) -> list[tuple[Any, ...]] | None:
        """Execute it without preparing it; None where it fails."""
        result = session.pgconn.exec_params(self.query, arguments, result_format=Format.BINARY)
        if result.status != ExecStatus.TUPLES_OK:
            return None
        loader = Transformer()
        loader.set_pgresult(result)
        return loader.load_rows(0, result.ntuples, tuple)

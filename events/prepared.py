"""Statements that a connection keeps prepared: for the two that are called again and again, appends and idle readers.

PostgreSQL then need not parse and plan the call each time, and nobody builds a cursor for it: more than half of what a
small append would cost besides its writing. Django prepares nothing by itself, because a pooler that deals out
transactions (pgbouncer, unless it is told to keep them) gives each of them to another server process, which knows
nothing of what was prepared. So this is tried outside transactions only, where an unknown statement harms nothing, and
given up for a connection that has forgotten one.
"""

from collections.abc import Sequence
from typing import Any
from weakref import WeakSet
from zlib import crc32

from psycopg import errors, generators
from psycopg.adapt import Transformer
from psycopg.pq import DiagnosticField, ExecStatus, Format, TransactionStatus
from psycopg.pq.abc import PGresult

_UNKNOWN_STATEMENT = b"26000"
_forgetful: WeakSet[Any] = WeakSet()


class PreparedStatement:
    """A statement with arguments `$1`, `$2` … in text."""

    def __init__(self, label: str, query: str) -> None:
        self.query = query.encode()
        # Named by what it says: behind a pooler another process, with other code, may have prepared it already.
        self._name = f"{label}_{crc32(self.query):08x}".encode()
        self._known_to: WeakSet[Any] = WeakSet()

    def rows(self, session: Any, arguments: Sequence[bytes | None]) -> list[tuple[Any, ...]] | None:
        """Execute it on a psycopg connection; None where it cannot be had prepared, and nothing was done.

        Values come as psycopg loads them, moments in UTC, whatever loaders that connection has.

        Raises:
            psycopg.Error: what the server says.
        """
        if session in _forgetful or session.pgconn.transaction_status != TransactionStatus.IDLE:
            return None
        if session not in self._known_to:
            if session.pgconn.prepare(self._name, self.query).status != ExecStatus.COMMAND_OK:
                _forgetful.add(session)
                return None
            self._known_to.add(session)
        session.pgconn.send_query_prepared(self._name, arguments, result_format=Format.BINARY)
        # As psycopg waits: other threads run meanwhile, and Ctrl-C is heard.
        result = session.wait(generators.execute(session.pgconn))[-1]
        if result.status == ExecStatus.TUPLES_OK:
            return rows_of(result)
        if result.error_field(DiagnosticField.SQLSTATE) == _UNKNOWN_STATEMENT:
            _forgetful.add(session)  # once is enough: the next time would be another error in the server's log
            return None
        raise errors.error_from_result(result, encoding="utf-8")


def rows_of(result: PGresult) -> list[tuple[Any, ...]]:
    """Return the rows of a result in PostgreSQL's binary formats."""
    transformer = Transformer()
    transformer.set_pgresult(result)
    return transformer.load_rows(0, result.ntuples, tuple)

"""Simulated commits: run on-commit functions in a test whose transaction never commits.

`TestCase` opens transactions around a test and rolls them back. So the outermost `atomic()` block of the code under
test is a savepoint, and Django keeps its on-commit functions without calling them. While `simulated_commits` is on,
they are called at the end of that block, as after a commit.

Django has no signal at that moment, so this replaces `Atomic.__exit__` and `BaseDatabaseWrapper.on_commit`. It also
depends on the mark by which `TestCase` tells its own blocks from others. Checked with Django 5.2 and 6.1.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import Atomic
from psycopg.pq import TransactionStatus

from events.storage.notes import Note

logger = logging.getLogger("django.db.backends.base")

_exit: Final = Atomic.__exit__
_on_commit: Final = BaseDatabaseWrapper.on_commit


@contextmanager
def simulated_commits() -> Iterator[None]:
    """Call on-commit functions, in the `with` block, as soon as only the blocks around it and of `TestCase` are open.

    Functions that were registered before the `with` block are not called. If no such block is open, the commits are
    real, and Django calls the functions.
    """
    open_connections = connections.all(initialized_only=True)
    outer: list[Any] = [block for each in open_connections for block in each.atomic_blocks if not _is_of_test(block)]
    waiting = [(each, _without_notes(each.run_on_commit)) for each in open_connections]
    for block in outer:  # otherwise a durable block could not be opened inside
        block._from_testcase = True
    for each in open_connections:
        each.run_on_commit = _notes(each.run_on_commit)
    Atomic.__exit__ = _exit_and_commit  # type: ignore[method-assign]
    BaseDatabaseWrapper.on_commit = _on_commit_or_now  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        Atomic.__exit__ = _exit  # type: ignore[method-assign]
        BaseDatabaseWrapper.on_commit = _on_commit  # type: ignore[method-assign]
        for block in outer:
            block._from_testcase = False
        for each, functions in waiting:
            each.run_on_commit = [*functions, *each.run_on_commit]


def _exit_and_commit(block: Atomic, exc_type: Any, exc_value: Any, traceback: Any) -> None:
    _exit(block, exc_type, exc_value, traceback)
    if not _is_of_test(block):
        _commit(transaction.get_connection(block.using))


def _on_commit_or_now(connection: BaseDatabaseWrapper, func: Callable[[], Any], robust: bool = False) -> None:
    _on_commit(connection, func, robust)
    _commit(connection)


def _commit(connection: BaseDatabaseWrapper) -> None:
    """Call the on-commit functions if only blocks of the test are open. As after a commit, an error skips the rest."""
    is_open = connection.in_atomic_block and not connection.needs_rollback
    if not is_open or not all(map(_is_of_test, connection.atomic_blocks)):
        return
    functions = _without_notes(connection.run_on_commit)
    if not functions:
        return
    # First, because a function may dispatch, which commits too.
    connection.run_on_commit = _notes(connection.run_on_commit)
    for _, function, robust in functions:
        try:
            _call(function, connection)
        except Exception:
            if not robust:
                raise
            logger.exception("Error calling %s in on_commit()", getattr(function, "__qualname__", function))


def _is_of_test(block: Any) -> bool:
    return bool(block._from_testcase)


def _call(function: Callable[[], Any], connection: BaseDatabaseWrapper) -> None:
    """Call an on-commit function; a database error in it does not abort the transaction of the test."""
    savepoint = connection.savepoint()
    try:
        function()
    finally:
        if savepoint and not connection.closed_in_transaction:
            if _is_aborted(connection):
                connection.needs_rollback = False
                connection.savepoint_rollback(savepoint)
            connection.savepoint_commit(savepoint)


def _is_aborted(connection: BaseDatabaseWrapper) -> bool:
    info = getattr(connection.connection, "info", None)
    return connection.needs_rollback or getattr(info, "transaction_status", None) == TransactionStatus.INERROR


# The entries of `run_on_commit`. Notes are about the transaction of the test, so they stay until it ends.
def _notes(entries: list[Any]) -> list[Any]:
    return [entry for entry in entries if isinstance(entry[1], Note)]


def _without_notes(entries: list[Any]) -> list[Any]:
    return [entry for entry in entries if not isinstance(entry[1], Note)]

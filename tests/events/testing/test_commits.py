"""On-commit functions in a test whose transaction never commits."""

import logging
from contextlib import suppress

import pytest
from django.contrib.auth.models import Group
from django.db import DataError, IntegrityError, connection, transaction
from django.test import TestCase

from events.storage.notes import Note
from events.testing.commits import simulated_commits

pytestmark = pytest.mark.django_db


def test_functions_run_at_the_end_of_the_outermost_block_and_in_order() -> None:
    seen: list[str] = []

    def nested() -> None:
        with transaction.atomic():
            transaction.on_commit(lambda: seen.append("of a function's own block"))
            seen.append("in a function")

    with simulated_commits():
        with transaction.atomic():
            transaction.on_commit(nested)
            transaction.on_commit(lambda: seen.append("after it"))
            with transaction.atomic():
                pass
            assert seen == []
        assert seen == ["in a function", "of a function's own block", "after it"]


def test_block_without_a_savepoint_is_an_outermost_block_too() -> None:
    seen: list[str] = []
    with simulated_commits():
        with transaction.atomic(savepoint=False):
            transaction.on_commit(lambda: seen.append("in a block"))
            assert seen == []
        transaction.on_commit(lambda: seen.append("without a block"))
    assert seen == ["in a block", "without a block"]


def test_rolled_back_block_runs_nothing() -> None:
    seen: list[str] = []
    with simulated_commits():
        for swallow in (False, True):
            with pytest.raises(LookupError) if not swallow else transaction.atomic(), transaction.atomic():
                transaction.on_commit(lambda: seen.append("rolled back"))
                if not swallow:
                    raise LookupError
                transaction.set_rollback(True)
    assert seen == []


def test_error_skips_later_functions_and_a_robust_function_logs_it(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[str] = []

    def fail() -> None:
        raise LookupError("function")

    with simulated_commits():
        with caplog.at_level(logging.ERROR), transaction.atomic():
            transaction.on_commit(fail, robust=True)
            transaction.on_commit(lambda: seen.append("after a robust one"))
        with pytest.raises(LookupError), transaction.atomic():
            transaction.on_commit(fail)
            transaction.on_commit(lambda: seen.append("skipped"))
        with transaction.atomic():
            pass
    assert seen == ["after a robust one"]
    assert "LookupError: function" in caplog.text


def test_swallowed_database_error_does_not_abort_the_transaction_of_the_test() -> None:
    def fail_in_the_orm() -> None:
        with suppress(IntegrityError):
            Group.objects.create(name="clerks")

    def fail_in_sql() -> None:
        with suppress(DataError), connection.cursor() as cursor:
            cursor.execute("SELECT 1 / 0")

    Group.objects.create(name="clerks")
    with simulated_commits():
        transaction.on_commit(fail_in_the_orm)
        transaction.on_commit(fail_in_sql)
        assert Group.objects.count() == 1


def test_function_that_closes_the_connection_is_not_hidden_by_another_error() -> None:
    def close() -> None:
        connection.close()
        raise LookupError

    with simulated_commits(), pytest.raises(LookupError):
        transaction.on_commit(close)


def test_notes_and_earlier_functions_stay_until_the_transaction_ends() -> None:
    note = Note()
    with TestCase.captureOnCommitCallbacks() as callbacks:
        transaction.on_commit(note)
        transaction.on_commit(earlier := list)
        with simulated_commits():
            transaction.on_commit(dict)
            assert [entry[1] for entry in connection.run_on_commit] == [note]
    assert callbacks == [earlier, note]

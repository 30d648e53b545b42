"""Commands run once for each key."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event as Signal
from typing import Any
from uuid import uuid4

import pytest
from django.db import connections

from events.domain.answers import KeyReused, answer_once
from events.domain.models import CommandAnswer


@pytest.mark.django_db
def test_answer_is_given_again_and_the_command_does_not_run_again() -> None:
    key, runs = uuid4(), []

    def run() -> dict[str, Any]:
        runs.append(1)
        return {"version": len(runs)}

    assert answer_once(key, {"a": 1, "b": 2}, run, "default") == {"version": 1}
    assert answer_once(key, {"b": 2, "a": 1}, run, "default") == {"version": 1}
    with pytest.raises(KeyReused):
        answer_once(key, {"a": 2}, run, "default")
    assert answer_once(uuid4(), {"a": 2}, run, "default") == {"version": 2}
    assert len(runs) == 2


@pytest.mark.django_db
def test_command_that_fails_leaves_no_answer() -> None:
    key = uuid4()
    with pytest.raises(ZeroDivisionError):
        answer_once(key, {}, lambda: {"x": 1 // 0}, "default")
    assert not CommandAnswer.objects.exists()
    assert answer_once(key, {}, lambda: {"x": 1}, "default") == {"x": 1}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("first_fails", [False, True])
def test_second_request_waits_for_the_first(first_fails: bool) -> None:
    """After a commit it gets the answer of the first; after a rollback it runs the command itself."""
    key, has_begun, may_end = uuid4(), Signal(), Signal()

    def slow() -> dict[str, Any]:
        has_begun.set()
        may_end.wait(10)
        if first_fails:
            raise ZeroDivisionError
        return {"by": "first"}

    def in_thread(run: Any) -> Any:
        try:
            return answer_once(key, {}, run, "default")
        except ZeroDivisionError:
            return None
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(in_thread, slow)
        assert has_begun.wait(10)
        second = pool.submit(in_thread, lambda: {"by": "second"})
        with pytest.raises(TimeoutError):
            second.result(timeout=0.3)
        may_end.set()
        assert first.result(10) == (None if first_fails else {"by": "first"})
        assert second.result(10) == {"by": "second" if first_fails else "first"}


@pytest.mark.django_db(transaction=True)
def test_answer_that_is_removed_meanwhile_is_none() -> None:
    """`clear_command_answers` may delete the row after the insertion has met it."""
    key = uuid4()
    assert answer_once(key, {}, lambda: {"by": "first"}, "default") == {"by": "first"}

    def remove() -> None:
        CommandAnswer.objects.all().delete()
        connections.close_all()

    def removing(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("SELECT"):
            with ThreadPoolExecutor(1) as pool:
                pool.submit(remove).result(10)
        return execute(sql, params, many, context)

    with connections["default"].execute_wrapper(removing):
        assert answer_once(key, {}, lambda: {"by": "second"}, "default") == {"by": "second"}

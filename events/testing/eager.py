"""Eager events: in a test, on-commit handlers and projections handle each event before `dispatch` returns."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from unittest import TestCase, TestResult

from django.apps import apps
from django.db import connections, transaction
from django.dispatch import Signal
from django.utils.module_loading import import_string
from rest_framework.exceptions import APIException

from events import client_errors, subscriptions
from events.models import Event
from events.routing import database
from events.storage import ordering
from events.types import ALL

from .commits import simulated_commits

# Callers of `dispatch` would take these errors for their own: they would try again, or blame a client.
MISLEADING: Final = (*client_errors.BLAMING, APIException)


class FailedAfterCommit(Exception):
    """A handler failed after events were stored. Its cause is an error that callers take for one of their own call.

    For example, a caller that tries again after a `VersionConflict` would append its events twice.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(
            f"An on-commit handler or a projection raised {type(error).__name__}: {error}. The events of the call are"
            " stored"
        )


@contextmanager
def eager_events() -> Iterator[None]:
    """Let on-commit handlers and projections, ASYNC ones too, handle each event before `dispatch` returns.

    Inside `atomic()` they handle it at the end of the outermost block of the code under test. So `wait_for` returns at
    once. Their errors are raised there: events are neither retried nor parked. Projections also handle the events that
    were stored before the `with` block; on-commit handlers do not.

    Raises:
        FailedAfterCommit: a handler raised an error of the store, or one that blames a client.
        Exception: the exception that another handler raised.
    """
    if _is_on():
        yield
        return
    with _eager():
        _catch_up()
        yield


class EagerEvents(TestCase):
    """A mixin that runs each test in `eager_events`: `class OrderTests(EagerEvents, TestCase)`.

    It covers `setUp`, the test and `tearDown`, and also `setUpTestData`.
    """

    @classmethod
    def setUpClass(cls) -> None:
        with _eager():
            super().setUpClass()

    def run(self, result: TestResult | None = None) -> TestResult | None:
        with _eager():
            return super().run(result)

    def debug(self) -> None:
        with _eager():
            super().debug()

    def _callSetUp(self) -> None:  # noqa: N802  # of unittest: an error here is one of the test, not of the runner
        _catch_up()
        super()._callSetUp()  # type: ignore[misc]


@contextmanager
def _eager() -> Iterator[None]:
    if _is_on():
        yield
        return
    before = subscriptions.replace_sender_of_committed(_send)
    # A participant is called for each append, whether or not the append calls subscribers.
    subscriptions.add_participant(ALL, _note_news)
    try:
        with simulated_commits():
            yield
    finally:
        subscriptions.remove_participant(ALL, _note_news)
        subscriptions.replace_sender_of_committed(before)


def _is_on() -> bool:
    return subscriptions._send_one_committed is _send


def _send(signal: Signal, **arguments: Any) -> None:
    with _misleading_errors_explained():
        signal.send(**arguments)


@contextmanager
def _misleading_errors_explained() -> Iterator[None]:
    try:
        yield
    except MISLEADING as error:
        raise FailedAfterCommit(error) from error


SETTLED_WITHIN_SECONDS: Final = 1.0


class _Thread(threading.local):
    """The position of the newest event of this thread that no follower has handled yet; 0 for none."""

    newest = 0


_thread = _Thread()
_one_thread_at_a_time = threading.RLock()  # because a projection skips a shard that another thread works on


def _note_news(event: Event, using: str, **kwargs: Any) -> None:
    _thread.newest = event.position
    entries = connections[using].run_on_commit
    if not entries or entries[-1][1] is not _handle_news:  # once for all events of a call
        transaction.on_commit(_handle_news, using=using)


def _catch_up() -> None:
    """Have the followers handle the events that are stored already."""
    if Event.objects.using(database()).exists():
        _call_followers()


def _handle_news() -> None:
    """Have the followers handle new events, once for all appends of a transaction."""
    if position := _thread.newest:
        _thread.newest = 0
        _wait_until_settled(position)
        _call_followers()


def _wait_until_settled(position: int) -> None:
    """Wait for the appends of other threads that are about to commit; followers handle settled events only.

    A test may keep the transaction of another thread open on purpose, so the wait is short.
    """
    deadline = time.monotonic() + SETTLED_WITHIN_SECONDS
    while ordering.settled_position(database()) < position and time.monotonic() < deadline:
        time.sleep(0.001)


def _call_followers() -> None:
    with _one_thread_at_a_time, _misleading_errors_explained():
        for follow in _followers():
            follow()


def _followers() -> list[Callable[[], Any]]:
    """Return what the installed apps do in the background after commits: `eager_events` of their `AppConfig`."""
    names = [getattr(config, "eager_events", None) for config in apps.get_app_configs()]
    return [import_string(name) for name in names if name]

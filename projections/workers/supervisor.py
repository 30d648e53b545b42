"""Run a function in several processes: start them, replace processes that die, and stop them."""

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.context import SpawnProcess

import django
from django.db import Error
from django.utils.module_loading import import_string

from projections.exceptions import StopNow

logger = logging.getLogger(__name__)

RESTART_SECONDS = 1.0
POLL_SECONDS = 0.2


def run_in_processes(function: str, arguments: tuple[object, ...], processes: int, *, replace: bool) -> bool:
    """Run a function in `processes` processes until they end; return whether none of them failed.

    Args:
        function: its dotted name; each process sets up Django and then imports it.
        replace: start another process if one dies.
    """
    stopping = failed = False

    def stop() -> None:
        nonlocal stopping
        stopping = True
        for child in children:
            child.terminate()  # SIGTERM; a second one ends the process at once

    children = [start_process(function, arguments) for _ in range(processes)]
    with stop_on_signals(stop, stop):
        while children:
            time.sleep(POLL_SECONDS)
            for child in [each for each in children if not each.is_alive()]:
                children.remove(child)
                if child.exitcode == 0 or stopping:
                    continue
                failed = True
                logger.error("process=%s died=true exit_code=%s", child.pid, child.exitcode)
                if replace:
                    time.sleep(RESTART_SECONDS)
                    if not stopping:
                        children.append(start_process(function, arguments))
    return replace or not failed


def start_process(function: str, arguments: tuple[object, ...]) -> SpawnProcess:
    """Start a process that calls a function, given by its dotted name, and that ends when this process ends."""
    # A forked process would share the connections and locks of this one.
    context = multiprocessing.get_context("spawn")
    child = context.Process(target=_child, args=(function, arguments, os.getpid()))
    child.start()
    return child


@contextmanager
def stop_on_signals(stop: Callable[[], None], stop_now: Callable[[], None] | None = None) -> Iterator[None]:
    """Call `stop` at the first SIGTERM or SIGINT; at a second one call `stop_now`, or else exit at once."""

    def on_second(number: int, frame: object) -> None:
        if stop_now is None:
            raise StopNow(128 + number)
        stop_now()

    def on_signal(number: int, frame: object) -> None:
        signal.signal(number, on_second)
        stop()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def log_to_stderr() -> None:
    """Log the projections to standard error, unless the project has configured their logger."""
    projections = logging.getLogger("projections")
    if projections.hasHandlers():
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    projections.addHandler(handler)
    projections.setLevel(logging.INFO)


def _child(function: str, arguments: tuple[object, ...], parent: int) -> None:
    django.setup()
    from events.routing import database  # has models, which need the line above
    from events.storage import server_errors

    log_to_stderr()
    threading.Thread(target=_end_after_parent, args=(parent,), daemon=True).start()
    try:
        import_string(function)(*arguments)
    except Error as error:
        sys.exit(str(server_errors.in_words(error, database())))


def _end_after_parent(parent: int) -> None:
    """Send SIGTERM to this process after its parent has ended, even by SIGKILL."""
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)

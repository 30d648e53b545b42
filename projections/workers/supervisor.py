"""Several processes that do the same, under one that starts them, replaces those that die, and ends them."""

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
from django.utils.module_loading import import_string

logger = logging.getLogger(__name__)

RESTART_SECONDS = 1.0
LOOK_SECONDS = 0.2


def run_in_processes(function: str, arguments: tuple[object, ...], processes: int, *, replace: bool) -> bool:
    """Call a function in `processes` processes of their own; return whether all of them ended as they should.

    Args:
        function: its dotted name; the process that calls it imports it once Django is set up there.
        replace: start another process for one that dies.
    """
    stopping = failed = False

    def stop() -> None:
        nonlocal stopping
        stopping = True
        for child in children:
            child.terminate()  # SIGTERM; a second one ends it at once

    children = [start_process(function, arguments) for _ in range(processes)]
    with ended_by_signals(stop, stop):
        while children:
            time.sleep(LOOK_SECONDS)
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
    """Call a function, given by its dotted name, in a process of its own, which ends when this one does."""
    # Spawned, not forked: no connection, no lock and no thread of this process is shared.
    context = multiprocessing.get_context("spawn")
    child = context.Process(target=_child, args=(function, arguments, os.getpid()))
    child.start()
    return child


@contextmanager
def ended_by_signals(stop: Callable[[], None], stop_now: Callable[[], None] | None = None) -> Iterator[None]:
    """Have the first SIGTERM or SIGINT call `stop`, and a second one `stop_now`, or else end the process at once."""

    def on_second(number: int, frame: object) -> None:
        if stop_now is None:
            sys.exit(128 + number)
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
    """Let the log lines of the projections be seen, if the project has not said where they go."""
    projections = logging.getLogger("projections")
    if projections.hasHandlers():
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    projections.addHandler(handler)
    projections.setLevel(logging.INFO)


def _child(function: str, arguments: tuple[object, ...], parent: int) -> None:
    django.setup()
    log_to_stderr()
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    import_string(function)(*arguments)


def _end_with(parent: int) -> None:
    """End this process, as by SIGTERM, when the one that started it has gone without a word."""
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)

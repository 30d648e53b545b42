"""Several worker processes under one that looks after them: it starts them, replaces one that dies, and ends them."""

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.context import SpawnProcess

import django

from . import registry
from .worker import Until, Worker

logger = logging.getLogger(__name__)

RESTART_SECONDS = 1.0
LOOK_SECONDS = 0.2


def work(names: Sequence[str], until: Until) -> None:
    """Run one worker in this process, until it is done or told to end by SIGTERM or SIGINT."""
    worker = Worker(registry.named(names), until=until)
    with ended_by_signals(worker.stop):
        logger.info("worker=%s started=true projections=%s", os.getpid(), ",".join(names) or "all")
        worker.run()
        logger.info("worker=%s ended=true events=%s", os.getpid(), worker.events)


def work_in_processes(names: Sequence[str], until: Until, processes: int) -> bool:
    """Run `processes` workers; return whether all of them ended as they should."""
    # Spawned, not forked: no connection, no lock and no thread of this process is shared.
    context = multiprocessing.get_context("spawn")

    def start() -> SpawnProcess:
        child = context.Process(target=_child, args=(list(names), until.name, os.getpid()))
        child.start()
        return child

    stopping = failed = False

    def stop() -> None:
        nonlocal stopping
        stopping = True
        for child in children:
            child.terminate()  # SIGTERM: each finishes its pass

    children = [start() for _ in range(processes)]
    with ended_by_signals(stop):
        while children:
            time.sleep(LOOK_SECONDS)
            for child in [each for each in children if not each.is_alive()]:
                children.remove(child)
                if child.exitcode == 0 or stopping:
                    continue
                failed = True
                logger.error("worker=%s died=true exit_code=%s", child.pid, child.exitcode)
                if until is Until.STOPPED:
                    time.sleep(RESTART_SECONDS)
                    if not stopping:
                        children.append(start())
    return until is Until.STOPPED or not failed


def log_to_stderr() -> None:
    """Let the log lines of the projections be seen, if the project has not said where they go."""
    projections = logging.getLogger("projections")
    if projections.hasHandlers():
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    projections.addHandler(handler)
    projections.setLevel(logging.INFO)


def _child(names: list[str], until: str, parent: int) -> None:
    django.setup()
    log_to_stderr()
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    work(names, Until[until])


def _end_with(parent: int) -> None:
    """End this process, as by SIGTERM, when the one that started it has gone without a word."""
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def ended_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Have the first SIGTERM or SIGINT call `stop`, and a second one end the process at once, its pass rolled back."""

    def on_signal(number: int, frame: object) -> None:
        signal.signal(number, lambda number, frame: sys.exit(128 + number))
        stop()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

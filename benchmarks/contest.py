"""Contestants that do the same work in turn, in one process or in several at once."""

import gc
import multiprocessing
import os
import statistics
import time
import traceback
from collections.abc import Callable, Mapping
from itertools import count

WARM_UP_CALLS = 20

Make = Callable[[int, int], Callable[[], int]]
"""Returns the work of one process, given the numbers of the process and of the turn; each call returns its events."""
Turn = Callable[[], float]
"""A turn of one contestant; returns events per second."""

_turns = count()


def in_processes(processes: int, make: Make, seconds: float) -> Turn:
    """Return a turn in which `processes` processes repeat the work for `seconds` seconds, at the same time.

    All of them connect and warm up before the first one begins.
    """

    def turn() -> float:
        from django.db import connections

        connections.close_all()  # the forked processes would share the connection
        run = next(_turns)
        context = multiprocessing.get_context("fork")
        barrier = context.Barrier(processes + 1)
        rates = context.Array("d", processes)
        children = [
            context.Process(target=_do, args=(make, process, run, seconds, barrier, rates))
            for process in range(processes)
        ]
        for child in children:
            child.start()
        barrier.wait(timeout=120)
        for child in children:
            child.join()
        if any(child.exitcode for child in children):
            raise RuntimeError("A process failed; see its traceback above")
        return sum(rates)

    return turn


def here(work: Callable[[], int], seconds: float) -> Turn:
    """Return a turn in which this process repeats the work for `seconds` seconds."""

    def turn() -> float:
        return _rate(work, seconds)

    return turn


def medians(rounds: int, contestants: Mapping[str, Turn]) -> dict[str, float]:
    """Run each contestant's turn `rounds` times, in turn; return the median of the events per second of each."""
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    names = list(contestants)
    for number in range(rounds):
        # The order rotates, so that no contestant always follows the same one.
        for name in names[number % len(names) :] + names[: number % len(names)]:
            rates[name].append(contestants[name]())
    return {name: statistics.median(found) for name, found in rates.items()}


def _do(make: Make, process: int, run: int, seconds: float, barrier: "object", rates: "object") -> None:
    try:
        gc.freeze()  # without it, garbage collection would copy the parent's memory
        work = make(process, run)
        for _ in range(WARM_UP_CALLS):
            work()
        barrier.wait(timeout=120)  # type: ignore[attr-defined]
        rates[process] = _rate(work, seconds)  # type: ignore[index]
    except BaseException:
        traceback.print_exc()
        barrier.abort()  # type: ignore[attr-defined]
        os._exit(1)
    os._exit(0)  # skip the exit handlers of the parent


def _rate(work: Callable[[], int], seconds: float) -> float:
    done = 0
    began = time.perf_counter()
    end = began + seconds
    while (now := time.perf_counter()) < end:
        done += work()
    return done / (now - began)

"""Contestants that take turns at one work, in one process or in many at once."""

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
"""Makes the work of one process, from its number and that of the turn; the work returns how many events it did."""
Turn = Callable[[], float]
"""A turn of one contestant; returns events a second."""

_turns = count()


def in_processes(processes: int, make: Make, seconds: float) -> Turn:
    """Return a turn in which so many processes do the work again and again for some seconds, all at once.

    Each connects and warms up before the first of them begins, and counts what it does until the time is over.
    """

    def turn() -> float:
        from django.db import connections

        connections.close_all()  # or the processes would share it
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
            raise RuntimeError("A process failed; see above")
        return sum(rates)

    return turn


def here(work: Callable[[], int], seconds: float) -> Turn:
    """Return a turn in which this process does the work again and again for some seconds."""

    def turn() -> float:
        return _rate(work, seconds)

    return turn


def medians(rounds: int, contestants: Mapping[str, Turn]) -> dict[str, float]:
    """Let each contestant have its turn, `rounds` times by turns; return the median of what each did in a second."""
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    names = list(contestants)
    for number in range(rounds):
        # Not always the same one after the same one.
        for name in names[number % len(names) :] + names[: number % len(names)]:
            rates[name].append(contestants[name]())
    return {name: statistics.median(found) for name, found in rates.items()}


def _do(make: Make, process: int, run: int, seconds: float, barrier: "object", rates: "object") -> None:
    try:
        gc.freeze()  # or collecting garbage would copy the parent's memory, as no server's process does for long
        work = make(process, run)
        for _ in range(WARM_UP_CALLS):
            work()
        barrier.wait(timeout=120)  # type: ignore[attr-defined]
        rates[process] = _rate(work, seconds)  # type: ignore[index]
    except BaseException:
        traceback.print_exc()
        barrier.abort()  # type: ignore[attr-defined]
        os._exit(1)
    os._exit(0)  # nothing of the parent's is to be cleared up here


def _rate(work: Callable[[], int], seconds: float) -> float:
    done = 0
    began = time.perf_counter()
    end = began + seconds
    while (now := time.perf_counter()) < end:
        done += work()
    return done / (now - began)

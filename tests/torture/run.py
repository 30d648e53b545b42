"""The rounds: something goes wrong, work goes on, and every few rounds everything is held against everything."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from django.db import Error, connection

from projections.operations import actions
from tests.support import Wait
from tests.torture import checks, reading
from tests.torture.crew import Crew
from tests.torture.faults import FAULTS
from tests.torture.followers import Follower
from tests.torture.journal import Ledger
from tests.torture.pausing import paused
from tests.torture.reading import Reading
from tests.torture.readmodels import READ_MODELS
from tests.torture.server import Server

GOING_ON_CALLS = 15
TIMEOUT_SECONDS = 90
REBUILDS_TIMEOUT_SECONDS = 600  # of all that was stored, on however slow a machine
REBUILD_CHANCE = 0.2


class Torture:
    """One run.

    Attributes:
        findings: what is wrong, in words.
        rounds: how many there were of each kind.
        seconds: how long those took, from the fault until work went on.
    """

    def __init__(self, server: Server, crew: Crew, followers: Sequence[Follower], chance: random.Random) -> None:
        self.findings: list[str] = []
        self.rounds: Counter[str] = Counter()
        self.seconds: Counter[str] = Counter()
        self.rebuilds = 0
        self.ledger = Ledger(crew.folder)
        self._server = server
        self._crew = crew
        self._followers = followers
        self._chance = chance

    def run(self, kinds: Sequence[str], check_every: int) -> None:
        """Do a round of each of `kinds`, in this order; end early when something is wrong."""
        self._until_work_goes_on(GOING_ON_CALLS)
        for number, kind in enumerate(kinds, 1):
            started = time.monotonic()
            is_last = number == len(kinds)
            try:
                self._round(kind)
                if is_last or number % check_every == 0:
                    self._check(with_rebuild=is_last)
            except TimeoutError as error:
                self.findings.append(f"stuck: {error}")
            except AssertionError as error:
                self.findings.append(str(error))
            self.findings += self._crew.failures
            self.findings += [f"ended: {each.name}, {each.failure!r}" for each in self._followers if each.failure]
            calls = f"{self.ledger.acknowledged:>7,} calls acknowledged"
            print(f"{number:>4} {kind:<36} {time.monotonic() - started:>6.1f} s {calls}", flush=True)
            if self.findings:
                return

    def _round(self, kind: str) -> None:
        if self._chance.random() < REBUILD_CHANCE:
            self._ask_for_rebuild(self._chance.choice(sorted(READ_MODELS)))
        time.sleep(self._chance.uniform(0.1, 0.8))
        started = time.monotonic()
        FAULTS[kind](self._server, self._crew, self._chance)
        self._until_work_goes_on(GOING_ON_CALLS)
        self.rounds[kind] += 1
        self.seconds[kind] += time.monotonic() - started

    def _until_work_goes_on(self, calls: int) -> None:
        enough = self.ledger.read_on().acknowledged + calls
        self._wait(lambda: self.ledger.read_on().acknowledged >= enough, "writers to go on")

    def _check(self, *, with_rebuild: bool) -> None:
        """Let the writers rest and everybody else catch up, and look."""
        with paused(self._crew.folder, TIMEOUT_SECONDS):
            self._wait(self._are_caught_up, "projections and rebuilds to catch up")
            found = reading.read(self._server)
            for follower in self._followers:
                self._wait(lambda follower=follower: follower.has_come_to(found.last_position), f"{follower.name}")
            time.sleep(0.2)  # for what a follower might have once too often
            self.findings += self._wrong_with(found)
            if with_rebuild:
                self._rebuild_all()
                self.findings += self._wrong_with(after := reading.read(self._server))
                for name, rows in found.rows.items():
                    self.findings += checks.same_rows(f"{name}, before its rebuild,", rows, after.rows[name])

    def _wrong_with(self, found: Reading) -> Iterator[str]:
        calls = list(self.ledger.read_on().calls.values())
        yield from checks.lost(calls, found.stored)
        yield from checks.doubled(found.stored)
        yield from checks.half_written(calls, found.stored)
        yield from checks.uninvited(calls, found.stored)
        yield from checks.versions(found.stored, found.aggregates)
        for follower in self._followers:
            yield from checks.followed(follower.name, follower.seen, found.stored)
        for name, rows in found.rows.items():
            yield from checks.same_rows(name, rows, found.expected_rows[name])
        for parked in found.parked:
            yield f"parked: {parked}"

    def _are_caught_up(self) -> bool:
        return not reading.waiting(self._server)

    def _rebuild_all(self) -> None:
        for name in READ_MODELS:
            self._ask_for_rebuild(name)
        self._wait(self._are_caught_up, "rebuilds", REBUILDS_TIMEOUT_SECONDS)

    def _ask_for_rebuild(self, name: str) -> None:
        """Ask for it; the workers carry it out, whatever happens to them."""
        while True:
            try:
                actions.ask_for_rebuild(name, by="torture")
            except Error:
                connection.close()
            else:
                self.rebuilds += 1
                return

    def _wait(self, condition: Callable[[], bool], what: str, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        def is_met() -> bool:
            self._crew.look_after()
            return condition()

        Wait.until(is_met, timeout_seconds=timeout_seconds, what=what)

"""A process that writes until it is ended: `python -m tests.torture.writer NAME FOLDER SEED [JOURNAL]`.

It writes each call down before and after (`journal.py`), and repeats it with the same event ids until it has an answer.
With the JOURNAL of one that was killed, it first repeats what that one was at.
"""

import random
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from uuid import UUID

import django
from django.db import Error, connection, transaction

from events.exceptions import VersionConflict
from events.types import ANY, ExpectedVersion, NewEvent
from tests.torture.calls import Calls
from tests.torture.journal import Answer, Call, End, Journal, open_call
from tests.torture.pausing import one_call

MEAN_PAUSE_SECONDS = 0.04
MAX_RETRY_SECONDS = 0.2


class RolledBack(Exception):
    """Raised by the writer to undo what it has just stored."""


class Writer:
    """Makes one call after the other."""

    def __init__(self, name: str, folder: Path, seed: int) -> None:
        self._folder = folder
        self._calls = Calls(name, seed)
        self._journal = Journal(folder / f"{name}.jsonl")
        self._pauses = random.Random(seed)

    def finish(self, journal: Path) -> None:
        """Repeat the call during which another writer was killed."""
        if call := open_call(journal):
            with one_call(self._folder):
                self._make(call)

    def write(self) -> None:
        while True:
            with one_call(self._folder):
                self._make(self._calls.next())
            time.sleep(self._pauses.expovariate(1 / MEAN_PAUSE_SECONDS))

    def _make(self, call: Call) -> None:
        self._journal.begin(call)
        try:
            answers = self._until_answered(call)
        except VersionConflict as rejection:
            self._calls.learn_versions({each.aggregate_id: each.actual for each in rejection.conflicts})
            self._journal.end(call, End.REJECTED)
        except RolledBack:
            self._journal.end(call, End.ROLLED_BACK)
        else:
            self._calls.learn(call, answers)
            self._journal.end(call, End.ACKNOWLEDGED, answers)

    def _until_answered(self, call: Call) -> Sequence[Answer]:
        while True:
            try:
                return self._dispatch(call)
            except Error:
                connection.close()
                time.sleep(self._pauses.uniform(0, MAX_RETRY_SECONDS))

    def _dispatch(self, call: Call) -> Sequence[Answer]:
        from events.store import EventStore  # with its models, which need Django set up

        expected: ExpectedVersion = ANY if call.expected is None else call.expected
        events = [
            NewEvent(sent.aggregate_id, sent.type, sent.data, event_id=UUID(sent.event_id)) for sent in call.events
        ]
        with transaction.atomic() if call.rolls_back else nullcontext():
            stored = EventStore().dispatch(*events, expected_version=expected)
            if call.rolls_back:
                raise RolledBack
        return [Answer(event.version, event.position) for event in stored]


if __name__ == "__main__":
    name, folder, seed, *predecessor = sys.argv[1:]
    django.setup()
    writer = Writer(name, Path(folder), int(seed))
    for journal in predecessor:
        writer.finish(Path(journal))
    writer.write()

"""What writers promised and were promised: each writes down a call before it makes it, and what came of it.

A line is one `write`, so a writer that is killed leaves at most its last line unfinished, and a call without an end:
nobody knows whether it was stored.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple


class End(StrEnum):
    """What came of a call."""

    OPEN = "open"  # nobody knows: its writer was killed
    ACKNOWLEDGED = "acknowledged"
    REJECTED = "rejected"  # by a version conflict
    ROLLED_BACK = "rolled back"  # by the writer


class Sent(NamedTuple):
    """An event as its writer sent it."""

    event_id: str
    aggregate_id: str
    type: str
    data: dict[str, Any]


class Answer(NamedTuple):
    """Where an event is stored, as `dispatch` said."""

    version: int
    position: int


@dataclass
class Call:
    """One call of `dispatch`, with all its retries: the same events."""

    events: Sequence[Sent]
    expected: Mapping[str, int] | None = None
    rolls_back: bool = False
    end: End = End.OPEN
    answers: list[Sequence[Answer]] = field(default_factory=list)


class Journal:
    """The writer's side: a file that only grows."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)

    def close(self) -> None:
        self._file.close()

    def begin(self, call: Call) -> None:
        self._write(begin=call.events, expected=call.expected, rolls_back=call.rolls_back)

    def end(self, call: Call, end: End, answers: Sequence[Answer] = ()) -> None:
        self._write(end=end, of=call.events[0].event_id, answers=answers)

    def _write(self, **entry: Any) -> None:
        self._file.write(json.dumps(entry).encode() + b"\n")


class Ledger:
    """The calls of all journals of a folder, read on as they grow.

    Attributes:
        calls: by the id of their first event.
        acknowledged: how many calls have been acknowledged, retries included.
    """

    def __init__(self, folder: Path) -> None:
        self.calls: dict[str, Call] = {}
        self.acknowledged = 0
        self._folder = folder
        self._read: dict[Path, int] = {}

    def read_on(self) -> "Ledger":
        for path in sorted(self._folder.glob("*.jsonl")):
            for entry in self._new_entries(path):
                self._enter(entry)
        return self

    def of_end(self, end: End) -> list[Call]:
        return [call for call in self.calls.values() if call.end is end]

    def acknowledged_events(self) -> int:
        return sum(len(call.events) for call in self.of_end(End.ACKNOWLEDGED))

    def _new_entries(self, path: Path) -> Iterator[dict[str, Any]]:
        with path.open("rb") as file:
            file.seek(self._read.get(path, 0))
            # What a killed writer has not finished, or a living one is at, counts as not written.
            whole, newline, _ = file.read().rpartition(b"\n")
        self._read[path] = self._read.get(path, 0) + len(whole) + len(newline)
        return map(json.loads, whole.splitlines())

    def _enter(self, entry: Mapping[str, Any]) -> None:
        if "begin" in entry:
            events = [Sent(*event) for event in entry["begin"]]
            call = Call(events, entry["expected"], entry["rolls_back"])
            self.calls.setdefault(events[0].event_id, call)
            return
        call, end = self.calls[entry["of"]], End(entry["end"])
        if end is End.ACKNOWLEDGED:
            self.acknowledged += 1
            call.answers.append([Answer(*answer) for answer in entry["answers"]])
        call.end = end


def open_call(path: Path) -> Call | None:
    """Return the last call of a writer's journal if it has no end: what its writer was at when it was killed."""
    if not path.exists():  # it was killed before it had written anything
        return None
    entries: Iterable[bytes] = path.read_bytes().rpartition(b"\n")[0].splitlines()
    last = [json.loads(line) for line in entries][-1:]
    if not last or "begin" not in last[0] or last[0]["rolls_back"]:
        return None
    return Call([Sent(*event) for event in last[0]["begin"]], last[0]["expected"])

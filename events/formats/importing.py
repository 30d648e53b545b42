"""Imports: the events of many lines, stored in batches; events that are already stored are skipped."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from uuid import UUID

from events.conf import conf
from events.exceptions import EventStoreError, InvalidEvent
from events.storage.reader import aggregate_ids_of
from events.store import EventStore, append_and_send
from events.types import NewEvent
from events.validation import ValidatedEvent, validate_events

from .files import Line, in_batches

BATCH_EVENTS = 5000
BATCH_CHARACTERS = 4 * 1024 * 1024


class BadLine(EventStoreError):
    """A line cannot be stored. The lines before it were stored.

    Attributes:
        number: the number of the line, from 1.
        error: what is wrong with the line.
    """

    def __init__(self, number: int, error: InvalidEvent) -> None:
        self.number = number
        self.error = error
        super().__init__(f"line {number}: {error.field}: {error.reason}")


@dataclass
class Counts:
    """The lines so far: `stored` by this import, `known` because they were stored before, `bad` and skipped."""

    stored: int = 0
    known: int = 0
    bad: int = 0


class Importer:
    """An import of lines. It can always be repeated: no event is stored twice."""

    def __init__(
        self,
        store: EventStore,
        *,
        batch_events: int = BATCH_EVENTS,
        dry_run: bool = False,
        on_bad: Callable[[BadLine], None] | None = None,
        check: Callable[[NewEvent], None] | None = None,
    ) -> None:
        """
        Args:
            batch_events: the largest number of events in one transaction; fewer if they are large.
            dry_run: validate every line, but store nothing.
            on_bad: called with each bad line, which is then skipped; without it, the first bad line ends the import.
            check: raises InvalidEvent for a valid event that must not be stored.
        """
        self.counts = Counts()
        self._target = store
        self._batch_events = min(batch_events, conf.max_dispatch_events)
        self._dry_run = dry_run
        self._on_bad = on_bad
        self._check = check

    def run(self, lines: Iterable[Line]) -> Iterator[Counts]:
        """Write and commit the events of `lines` in batches, and yield the counts after each batch.

        Raises:
            BadLine: a line cannot be stored, and there is no `on_bad`. The lines before it were stored.
            DuplicateEvent: another import of the same events is running.
        """
        for batch in _read_ahead(in_batches(lines, self._batch_events, BATCH_CHARACTERS)):
            self._store(batch)
            yield self.counts

    def _store(self, lines: list[Line]) -> None:
        stored_in = aggregate_ids_of([line.event.event_id for line in lines if line.event], self._target.using)
        new: list[ValidatedEvent] = []
        known = 0
        for line in lines:
            try:
                row = self._validate(line, stored_in)
            except InvalidEvent as error:
                bad = BadLine(line.number, error)
                if self._on_bad is None:
                    self._store_rows(new, known)
                    raise bad from None
                self.counts.bad += 1
                self._on_bad(bad)
                continue
            if row.event_id in stored_in:
                known += 1
            else:
                stored_in[row.event_id] = row.aggregate_id
                new.append(row)
        self._store_rows(new, known)

    def _validate(self, line: Line, stored_in: dict[UUID, str]) -> ValidatedEvent:
        if line.event is None:
            raise line.error or InvalidEvent("line", "has no event")
        (row,) = validate_events([line.event])
        if self._check:
            self._check(line.event)
        if stored_in.get(row.event_id, row.aggregate_id) != row.aggregate_id:
            raise InvalidEvent("event_id", f"{row.event_id} is already in use, in another aggregate")
        return row

    def _store_rows(self, new: list[ValidatedEvent], known: int) -> None:
        if new and not self._dry_run:
            append_and_send(new, {}, self._target.using)
        self.counts.stored += len(new)
        self.counts.known += known


def _read_ahead(batches: Iterator[list[Line]]) -> Iterator[list[Line]]:
    """Yield the batches; a thread reads the next batch while the caller stores this one in the database."""
    with ThreadPoolExecutor(1, "events-import") as reader:
        following = reader.submit(next, batches, None)
        while batch := following.result():
            following = reader.submit(next, batches, None)
            yield batch

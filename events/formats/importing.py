"""Importing: the events of many lines stored batch by batch, those that are stored already passed over."""

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
    """A line cannot be stored. Those before it are.

    Attributes:
        number: that of the line, counted from 1.
        error: what is wrong with it.
    """

    def __init__(self, number: int, error: InvalidEvent) -> None:
        self.number = number
        self.error = error
        super().__init__(f"line {number}: {error.field}: {error.reason}")


@dataclass
class Counts:
    """What has become of the lines so far: `stored` by this import, `known` before it, `bad` and skipped."""

    stored: int = 0
    known: int = 0
    bad: int = 0


class Importer:
    """Stores lines; run it again with the same ones, after whatever happened, and nothing is stored twice."""

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
            batch_events: at most so many events in one transaction; fewer, when they are large.
            dry_run: check every line, store nothing.
            on_bad: told of each bad line, which is then skipped; without it, the first one ends the import.
            check: raises InvalidEvent for what shall not be stored for other reasons than its form.
        """
        self.counts = Counts()
        self._store = store
        self._batch_events = min(batch_events, conf.max_dispatch_events)
        self._dry_run = dry_run
        self._on_bad = on_bad
        self._check = check

    def run(self, lines: Iterable[Line]) -> Iterator[Counts]:
        """Store the events of `lines`, and yield the counts after each batch.

        Raises:
            BadLine: one cannot be stored, and there is no `on_bad`. Those before it are.
            DuplicateEvent: another import of the same events is under way.
        """
        for batch in _read_ahead(in_batches(lines, self._batch_events, BATCH_CHARACTERS)):
            self._take(batch)
            yield self.counts

    def _take(self, lines: list[Line]) -> None:
        stored_in = aggregate_ids_of([line.event.event_id for line in lines if line.event], self._store.using)
        new: list[ValidatedEvent] = []
        known = 0
        for line in lines:
            try:
                row = self._acceptable(line, stored_in)
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

    def _acceptable(self, line: Line, stored_in: dict[UUID, str]) -> ValidatedEvent:
        if line.event is None:
            raise line.error or InvalidEvent("line", "holds no event")
        (row,) = validate_events([line.event])
        if self._check:
            self._check(line.event)
        if stored_in.get(row.event_id, row.aggregate_id) != row.aggregate_id:
            raise InvalidEvent("event_id", f"{row.event_id} is in use already, in another aggregate")
        return row

    def _store_rows(self, new: list[ValidatedEvent], known: int) -> None:
        if new and not self._dry_run:
            append_and_send(new, {}, self._store.using)
        self.counts.stored += len(new)
        self.counts.known += known


def _read_ahead(batches: Iterator[list[Line]]) -> Iterator[list[Line]]:
    """Yield the batches, each of which is read while the one before it is stored: the database needs no Python."""
    with ThreadPoolExecutor(1, "events-import") as reader:
        following = reader.submit(next, batches, None)
        while batch := following.result():
            following = reader.submit(next, batches, None)
            yield batch

"""Imports: the events of many lines, stored in batches; events that are already stored are skipped."""

from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from uuid import UUID

from events import handler_errors
from events.conf import conf
from events.exceptions import DuplicateEvent, EventStoreError, InvalidEvent, Rejected
from events.models import Event
from events.storage import identity, retries
from events.storage.reader import StoredId, stored_ids
from events.store import EventStore, store_rows
from events.validation import ValidatedEvent

from .derived_ids import DerivedIds
from .files import Line, LostLine, in_batches

BATCH_EVENTS = 5000
BATCH_CHARACTERS = 4 * 1024 * 1024


class BadLine(EventStoreError):
    """A line cannot be stored. The lines before it were stored.

    Attributes:
        number: the number of the line, or of the element of an array, from 1.
        error: what is wrong with the line, or why a handler rejected its event.
        raw: the line as it is in the file, in UTF-8, if its reader keeps it.
        can_be_skipped: whether the lines after it can be read.
    """

    def __init__(self, line: Line, error: InvalidEvent | Rejected) -> None:
        self.number = line.number
        self.error = error
        self.raw = line.raw
        self.can_be_skipped = not isinstance(error, LostLine)
        reason = f"rejected: {error}" if isinstance(error, Rejected) else f"{error.field}: {error.reason}"
        super().__init__(f"{line.unit} {line.number}: {reason}")


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
        call_subscribers: bool = False,
        source: str = "",
        on_bad: Callable[[BadLine], None] | None = None,
        check: Callable[[str], None] | None = None,
    ) -> None:
        """
        Args:
            batch_events: the largest number of events in one transaction; fewer if they are large.
            dry_run: validate every line, but store nothing.
            call_subscribers: call the subscribers, and send the signals, as `dispatch` does.
            source: what the ids of lines without one are derived from, besides the content: equal lines of different
                sources are different events.
            on_bad: called with each bad line, which is then skipped; without it, the first bad line ends the import.
            check: raises InvalidEvent for an aggregate id to which nothing may be appended. A thread calls it.
        """
        self.counts = Counts()
        self._using = store.using
        self._batch_events = min(batch_events, conf.max_dispatch_events)
        self._dry_run = dry_run
        self._call_subscribers = call_subscribers
        self._source = source
        self._on_bad = on_bad
        self._check = check
        self._looks_first = dry_run

    def run(self, lines: Iterable[Line]) -> Iterator[Counts]:
        """Write and commit the events of `lines` in batches, and yield the counts after each batch.

        Raises:
            BadLine: a line cannot be stored, and there is no `on_bad`, or the lines after it cannot be read. The lines
                before it were stored.
        """
        with DerivedIds(identity.secret(self._using), self._source) as derived:
            batches = in_batches(self._until_bad(lines), self._batch_events, BATCH_CHARACTERS)
            for batch in _read_ahead(self._complete(batch, derived) for batch in batches):
                self._store(batch)
                yield self.counts

    # In the thread that reads ahead

    def _until_bad(self, lines: Iterable[Line]) -> Iterator[Line]:
        """Yield the lines, and read none after one that ends the import: a bad line may have no end."""
        for line in lines:
            yield line
            if line.error and self._on_bad is None:
                return

    def _complete(self, lines: list[Line], derived: DerivedIds) -> list[Line]:
        """Return the lines with an id for each event and the result of `check`."""
        lacking = [row for line in lines if (row := line.row) and not line.has_id]
        ids = iter(derived.derive(lacking))
        complete = [_with_id(line, next(ids)) if line.row and not line.has_id else line for line in lines]
        return [self._checked(line) for line in complete] if self._check else complete

    def _checked(self, line: Line) -> Line:
        try:
            if line.row and self._check:
                self._check(line.row.aggregate_id)
        except InvalidEvent as error:
            return line._replace(row=None, error=error)
        return line

    # In the thread of the caller

    def _store(self, lines: list[Line]) -> None:
        """Store those events of a batch that are not stored yet.

        The append function says whether one of them is: the look-up takes as long as reading the lines, and another
        import may store the events after it. So the look-up comes only after an append that has met a stored event, or
        if the batch before has met one. It is repeated for each append that meets a stored event: each time, more of
        them have been found.
        """
        found = self._look_up(lines) if self._looks_first else {}
        while True:
            new, known, bad = self._sort(lines, found)
            try:
                if new and not self._dry_run:
                    store_rows(new, self._using, call_subscribers=self._call_subscribers)
                break
            except Rejected as error:
                failed = handler_errors.failure(error)
                if failed is None:
                    raise
                lines = [_rejected(line, error) if _has(line, new[failed.index]) else line for line in lines]
            except DuplicateEvent as error:
                if handler_errors.failure(error):
                    raise
                before, found = found, self._look_up(lines)
                if found.keys() == before.keys():
                    raise
        self._looks_first = self._dry_run or bool(found)
        self.counts.stored += len(new)
        self.counts.known += known
        self._report(bad)

    def _sort(self, lines: list[Line], found: dict[int, str]) -> tuple[list[ValidatedEvent], int, list[BadLine]]:
        """Return the events to store, the number of stored ones, and the bad lines; see `_look_up` for `found`."""
        new: dict[UUID, ValidatedEvent] = {}
        known, bad = 0, []
        for index, line in enumerate(lines):
            error = line.error
            if line.row is not None:
                twin = new.get(line.row.event_id)
                objection = found.get(index) if twin is None else _objection(line, twin)
                if objection is None:
                    new[line.row.event_id] = line.row
                elif not objection:
                    known += 1
                else:
                    error = InvalidEvent("event_id", f"{line.row.event_id} is already in use, {objection}")
            if error is not None:
                bad.append(BadLine(line, error))
                if self._ends(bad[-1]):
                    break
        return list(new.values()), known, bad

    def _look_up(self, lines: list[Line]) -> dict[int, str]:
        """Return the indexes of the lines whose event ids are stored, each with what differs: "" if nothing does."""
        indexes: dict[UUID, list[int]] = {}
        for index, line in enumerate(lines):
            if line.row:
                indexes.setdefault(line.row.event_id, []).append(index)
        found, given = {}, []
        for stored in stored_ids(indexes, self._using):
            for index in indexes[stored.event_id]:
                found[index] = _objection_to_place(lines[index], stored.aggregate_id)
                # The store derived the other ids from all of the event: the id alone identifies it.
                if lines[index].has_id and not found[index]:
                    given.append(stored)
        for event in _events_of(given, self._using):
            for index in indexes[event.event_id]:
                found[index] = _objection(lines[index], event)
        return found

    def _report(self, bad: list[BadLine]) -> None:
        for each in bad:
            if self._on_bad is None or self._ends(each):
                raise each from None
            self.counts.bad += 1
            self._on_bad(each)

    def _ends(self, bad: BadLine) -> bool:
        return self._on_bad is None or not bad.can_be_skipped


def _with_id(line: Line, event_id: UUID) -> Line:
    # `_replace` takes three times as long.
    return Line(line.number, line.row and line.row.with_id(event_id), *line[2:])


def _has(line: Line, row: ValidatedEvent) -> bool:
    return line.row is not None and line.row.event_id == row.event_id


def _rejected(line: Line, error: Rejected) -> Line:
    return line._replace(row=None, error=error)


def _objection(line: Line, other: ValidatedEvent | Event) -> str:
    """Return how the event of `line` differs from another one with its id; "" if it is the same event."""
    row = line.row
    if row is None or not line.has_id or row.aggregate_id != other.aggregate_id:
        return _objection_to_place(line, other.aggregate_id)
    differences = retries.differences(row, other)
    return f"by an event {retries.in_words(differences)}" if differences else ""


def _objection_to_place(line: Line, aggregate_id: str) -> str:
    return "" if line.row and line.row.aggregate_id == aggregate_id else "in another aggregate"


def _events_of(stored: Collection[StoredId], using: str) -> Iterator[Event]:
    """Yield stored events, which may be larger than the lines with their ids; only some are in memory at a time."""
    for batch in in_batches(stored, BATCH_EVENTS, BATCH_CHARACTERS):
        yield from Event.objects.using(using).filter(event_id__in={each.event_id for each in batch})


def _read_ahead(batches: Iterator[list[Line]]) -> Iterator[list[Line]]:
    """Yield the batches; a thread reads the next batch while the caller stores this one in the database."""
    with ThreadPoolExecutor(1, "events-import") as reader:
        following = reader.submit(next, batches, None)
        while batch := following.result():
            following = reader.submit(next, batches, None)
            yield batch

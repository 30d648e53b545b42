"""Reading the whole store: complete beside concurrent writers, in pages, filtered, and only in a safe transaction."""

import random
import string
import threading
import weakref
from contextlib import ExitStack
from typing import Any

import pytest
from django.db import connection, transaction

from events.exceptions import InvalidEvent, UnreadableEvent, UnsafeRead
from events.models import Aggregate, Event
from events.storage import reader, rows
from events.store import EventStore
from tests import FULL
from tests.events.following import follow, write_out_of_order
from tests.support import UNREADABLE, Background, in_threads, new, raise_first, some, store_unchecked

pytestmark = pytest.mark.django_db

WRITERS = 16
SECONDS = 10 if FULL else 4


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("no_subscribers")
def test_reader_misses_nothing_while_writers_commit_out_of_order_and_a_naive_one_does() -> None:
    stop_writing, stop_reading = threading.Event(), threading.Event()
    store = EventStore()

    def settled(after: int) -> list[int]:
        return [event.position for event in store.read_all(after=after)]

    def naive(after: int) -> list[int]:
        return list(Event.objects.filter(position__gt=after).order_by("position").values_list("position", flat=True))

    with ExitStack() as stack:
        stack.callback(stop_writing.set)
        stack.callback(stop_reading.set)
        readers = [
            stack.enter_context(Background(lambda read=read: follow(read, stop_reading))) for read in (settled, naive)
        ]
        writers = [lambda seed=seed: write_out_of_order(stop_writing, seed) for seed in range(WRITERS)]
        timer = threading.Timer(SECONDS, stop_writing.set)
        timer.start()
        raise_first(in_threads(*writers))
        stop_reading.set()

    by_settled, by_naive = (reader.result for reader in readers)
    stored = list(Event.objects.order_by("position").values_list("position", flat=True))
    missed = len(set(stored) - set(by_naive))
    print(f"{len(stored):,} events by {WRITERS} writers; the naive reader missed {missed:,}")
    assert by_settled == stored
    assert missed > 0, "the writers did not overlap: this test proves nothing"


def test_read_all_goes_on_after_a_position(store: EventStore) -> None:
    events = store.dispatch(*some(5))
    assert list(store.read_all(after=events[2].position)) == events[3:]
    assert list(store.read_all(after=events[4].position)) == []
    assert list(store.read_all(up_to=events[2].position)) == events[:3]
    assert list(store.read_all(reverse=True, limit=2)) == [events[4], events[3]]
    assert list(store.read_all(after=events[2].position, reverse=True)) == [events[4], events[3]]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("limit", [None, 0, 1, 3, 4, 6, 7, 100])
def test_read_all_does_not_depend_on_its_page_size(
    store: EventStore, settings: Any, limit: int | None, reverse: bool
) -> None:
    settings.EVENTS_READ_PAGE_EVENTS = 3
    events = store.dispatch(*some(7))
    assert list(store.read_all(limit=limit, reverse=reverse)) == (events[::-1] if reverse else events)[:limit]


def test_read_all_filters_by_type_and_category(store: EventStore) -> None:
    events = store.dispatch(
        new("user-1", "Born"),
        new("username-1", "Born"),
        new("user", "Died"),
        new("user-2-x", "Moved"),
        new("u", "Born"),
    )
    one, two, three, four, five = events
    assert list(store.read_all(categories=["user"])) == [one, three, four]
    assert list(store.read_all(categories=["user", "u"])) == [one, three, four, five]
    assert list(store.read_all(types=["Born", "Moved"])) == [one, two, four, five]
    assert list(store.read_all(types=["Born"], categories=["user"])) == [one]
    assert list(store.read_all(categories=["user-1"])) == []
    assert list(store.read_all(types=[])) == list(store.read_all(categories=[])) == []


@pytest.mark.parametrize(
    "options",
    [
        {"types": "Born"},
        {"types": [7]},
        {"types": ["a\0b"]},
        {"categories": "user"},
        {"after": "x"},
        {"after": -1},
        {"limit": -1},
        {"up_to": 2**63},
    ],
)
def test_read_all_rejects_what_makes_no_sense_at_once(store: EventStore, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent, match=next(iter(options))):
        store.read_all(**options)


def test_read_all_reads_up_to_the_moment_it_was_called(store: EventStore) -> None:
    events = store.dispatch(*some(2))
    reading = store.read_all()
    store.dispatch(new())
    assert list(reading) == events


@pytest.mark.parametrize("aggregate_id", ["100%", "a_b-1", "a\\b-1", "x%y-1"])
def test_categories_with_wildcards_mean_themselves(store: EventStore, aggregate_id: str) -> None:
    events = store.dispatch(new(aggregate_id), new("axb-1"), new("xzzy-1"), new("100"))
    assert Aggregate.objects.get(pk=aggregate_id).category == aggregate_id.partition("-")[0]
    assert list(store.read_all(categories=[aggregate_id.partition("-")[0]])) == events[:1]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_reading_the_store_in_an_older_snapshot_is_rejected(store: EventStore, level: str) -> None:
    store.dispatch(new())
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
        assert len(store.get_events_for_aggregate("a-1")) == 1
        with pytest.raises(UnsafeRead, match="READ COMMITTED"):
            list(store.read_all())


@pytest.mark.parametrize(("field", "text"), UNREADABLE.values(), ids=UNREADABLE)
def test_event_that_python_cannot_represent_raises_after_the_events_before_it(
    store: EventStore, field: str, text: str
) -> None:
    before = store.dispatch(*some(3))
    position = store_unchecked(**{field: text})
    behind = store.dispatch(*some(2))
    found = []
    with pytest.raises(UnreadableEvent) as raised:
        for event in store.read_all():
            found.append(event)  # noqa: PERF402  # what was found before the error
    assert found == before
    error = raised.value
    assert (error.position, error.event_id) == (position, Event.objects.values_list("event_id", flat=True)[3])
    assert error.reason.startswith(field)
    assert str(position) in str(error)
    assert list(store.read_all(after=error.position)) == behind
    assert list(store.read_all(types=["Other"])) == []
    with pytest.raises(UnreadableEvent, match=str(position)):
        list(store.read_all(reverse=True))
    with pytest.raises(UnreadableEvent, match=str(position)):
        store.get_events_for_aggregate("a-1")
    assert store.get_events_for_aggregate("a-1", after_version=4) == behind


def test_events_that_are_unusual_but_readable_are_read(store: EventStore) -> None:
    texts = ['{"v": %s}' % ("9" * 4300), '{"v": %s%s}' % ("[" * 253, "]" * 253), '{"v": "%s"}' % ("9" * 5000)]
    texts.append('{"v": [%s 1]}' % ("[]," * 1000))
    positions = [store_unchecked(data=text) for text in texts]
    assert [event.position for event in store.read_all()] == positions


@pytest.mark.parametrize("reverse", [False, True])
def test_page_is_bounded_by_bytes(store: EventStore, settings: Any, reverse: bool) -> None:
    settings.EVENTS_READ_PAGE_BYTES = 8 * 20_000
    sizes = [10, 15_000, 15_000, 10, 10, 50_000, 50_000, 10, 4000, 4000]
    events = store.dispatch(*[new(data={"text": random_text(size)}) for size in sizes])
    found = [
        [len(event.data["text"]) for event in page]
        for page in reader.pages(Event.objects.all(), after=0, up_to=events[-1].position, reverse=reverse)
    ]
    assert [size for page in found for size in page] == (sizes[::-1] if reverse else sizes)
    assert all(sum(page) <= 20_000 or len(page) == 1 for page in found)
    assert len(found) < 8


def test_page_of_compressed_events_is_bounded_by_their_real_size(store: EventStore, settings: Any) -> None:
    settings.EVENTS_READ_PAGE_BYTES = 8 * 200_000
    events = store.dispatch(*[new(data={"text": "x" * 100_000}) for _ in range(10)])
    pages = list(reader.pages(Event.objects.all(), after=0, up_to=events[-1].position))
    assert [len(page) for page in pages] == [1] * 10 or [len(page) for page in pages] == [2] * 5
    assert [event for page in pages for event in page] == events


def test_first_page_of_large_events_is_all_that_is_read(store: EventStore, settings: Any) -> None:
    """The data of the events behind it stays in the database."""
    settings.EVENTS_READ_PAGE_BYTES = 8 * 20_000
    store.dispatch(*[new(data={"text": random_text(15_000)}) for _ in range(10)])
    page = rows.fetch_page(Event.objects.all(), 10)
    assert (len(page), page.has_more) == (1, True)
    assert (len(rows.fetch_page(Event.objects.filter(position=page[0].position), 10)), page.has_more) == (1, True)


def test_iterator_holds_one_page_at_a_time(store: EventStore, settings: Any) -> None:
    settings.EVENTS_READ_PAGE_EVENTS = 2
    store.dispatch(*some(6))
    seen: list[weakref.ref[Event]] = []
    for event in store.read_all():
        seen.append(weakref.ref(event))
        alive = [each for each in seen if each() is not None]
        assert len(alive) <= 3


def random_text(size: int) -> str:
    """Text that does not compress."""
    return "".join(random.Random(size).choices(string.ascii_letters, k=size))  # noqa: S311

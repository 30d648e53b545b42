"""The newest events, read once for this process and passed to each of its open streams.

One poller follows the settled position, however many streams there are. A queue keeps the messages that a stream has
not taken, up to a limit in bytes. Above it, the queue is emptied, and the stream reads the events from the database at
its own speed. So memory stays bounded, and a slow client does not delay other clients. The JSON of the events stays
text, because Python objects take many times the memory.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from django.db import connections

from events.conf import conf
from events.formats.serialization import event_as_dict, event_row_as_dict, to_json
from events.jsonb import in_one_line
from events.models import Event, EventQuerySet
from events.storage import ordering, rows
from events.storage.backoff import Backoff
from events.storage.rows import EventRow

logger = logging.getLogger(__name__)

PAGE_EVENTS = 200
MAX_RETRY_SECONDS = 2.0

Result = TypeVar("Result")
# A row, whose JSON stays text; an event, if it cannot be read.
AnyEvent = Event | EventRow


class Message:
    """An event as streams send it; all streams share its JSON text."""

    def __init__(self, event: AnyEvent) -> None:
        self.position = event.position
        self._event: AnyEvent | None = event
        self._json = b""

    @property
    def json(self) -> bytes:
        if self._event:
            as_dict: Any = event_row_as_dict if isinstance(self._event, EventRow) else event_as_dict
            self._json, self._event = in_one_line(to_json(as_dict(self._event))), None
        return self._json


class StreamQueue:
    """The feed's messages for one stream.

    Attributes:
        position: the queue has received all selected events from its start up to here.
        has_overflowed: the queue exceeded its limit and was emptied; read the database, then attach again.
    """

    def __init__(self, position: int, selects: Callable[[AnyEvent], bool]) -> None:
        self.position = position
        self.has_overflowed = False
        self._selects = selects
        self._messages: list[Message] = []
        self._bytes = 0
        self._news = asyncio.Event()

    async def take(self, timeout_seconds: float) -> tuple[list[Message], int]:
        """Wait up to `timeout_seconds` for messages; return them, and the position that the stream then has reached."""
        if not self._messages and not self.has_overflowed:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_seconds):
                    await self._news.wait()
        messages, self._messages, self._bytes = self._messages, [], 0
        self._news.clear()
        return messages, self.position

    def wake(self) -> None:
        """End the wait of `take`, even without messages."""
        self._news.set()

    def put(self, events: Sequence[tuple[AnyEvent, Message]], position: int) -> None:
        """Add the messages of the events that the feed has read up to `position`, if the stream selects them."""
        if self.has_overflowed:
            return
        selected = [message for event, message in events if self._selects(event)]
        if selected:
            self._news.set()
            self._bytes += sum(len(message.json) for message in selected)
            # An empty queue accepts a batch of any size: a page of the feed is bounded.
            if self._messages and self._bytes > conf.stream_max_queued_bytes:
                self.has_overflowed, self._messages = True, []
                return
            self._messages += selected
        self.position = position


class Feed:
    """The poller that follows the store for the streams of one event loop.

    Attributes:
        is_ending: whether the server is shutting down and streams must end.
    """

    def __init__(self, using: str) -> None:
        self.using = using
        self._queues: set[StreamQueue] = set()
        self._position: int | None = None
        self._known = asyncio.Event()
        self._poller: asyncio.Task | None = None
        # Two threads and connections, so that reads of long histories do not delay new events.
        self._polling = ThreadPoolExecutor(1, "events-feed-poller")
        self._reading = ThreadPoolExecutor(1, "events-feed-reader")
        self._open: Counter[str] = Counter()  # by user
        self.is_ending = False

    @classmethod
    def of_this_loop(cls, using: str) -> "Feed":
        """Return the feed of the running event loop; it stays open while a stream is in `opened_by`."""
        feeds = _feeds.setdefault(asyncio.get_running_loop(), {})
        if using not in feeds:
            feeds[using] = cls(using)
        return feeds[using]

    @classmethod
    def open_streams(cls, user: str | None = None) -> int:
        """Return how many streams this process has open, of all users or of one."""
        # Lists, because other threads change the originals.
        feeds = [feed for of_loop in list(_feeds.values()) for feed in list(of_loop.values())]
        return sum(feed._open.total() if user is None else feed._open[user] for feed in feeds)

    @classmethod
    def has_room(cls, user: str) -> bool:
        """Return whether this process takes a further stream of `user`."""
        return (
            cls.open_streams() < conf.stream_max_streams and cls.open_streams(user) < conf.stream_max_streams_per_user
        )

    @classmethod
    def end_streams(cls) -> None:
        """End the streams of the running event loop, because a server that shuts down would wait for them."""
        for feed in _feeds.get(asyncio.get_running_loop(), {}).values():
            feed.is_ending = True
            for queue in feed._queues:
                queue.wake()

    @contextmanager
    def opened_by(self, user: str) -> Iterator[bool]:
        """Count a stream of `user` during the `with` block, and say whether there was room for it."""
        has_room = self.has_room(user)
        self._open[user] += 1
        try:
            yield has_room
        finally:
            self._open[user] -= 1
            if not self._open[user]:
                del self._open[user]
            if not self._open:
                self._close()

    async def attach(self, selects: Callable[[AnyEvent], bool]) -> StreamQueue:
        """Return a queue for the events that `selects` accepts, from the feed's current position on."""
        if self._poller is None:
            self._poller = asyncio.create_task(self._follow())
        await self._known.wait()
        queue = StreamQueue(self._position or 0, selects)
        self._queues.add(queue)
        return queue

    def detach(self, queue: StreamQueue) -> None:
        """Stop adding messages to `queue`."""
        self._queues.discard(queue)

    async def page(self, events: EventQuerySet, after: int, up_to: int) -> tuple[list[Message], int]:
        """Return a page of the first of `events` between two positions, and the position up to which it has them."""
        return await self.in_thread(lambda: _page(events, after, up_to))

    async def in_thread(self, function: Callable[[], Result]) -> Result:
        """Return the result of `function`, called in a thread that may use the database."""
        return await asyncio.get_running_loop().run_in_executor(self._reading, _with_usable_connection, function)

    async def _follow(self) -> None:
        loop, backoff, failures = asyncio.get_running_loop(), Backoff(), 0
        while True:
            try:
                before = self._position
                position, events = await loop.run_in_executor(self._polling, self._poll)
                failures = 0
            except Exception:
                failures += 1
                logger.warning("the poller of the event streams failed and tries again", exc_info=True)
                await loop.run_in_executor(self._polling, connections.close_all)
                await asyncio.sleep(min(MAX_RETRY_SECONDS, 0.05 * 2 ** min(failures, 10)))
                continue
            self._position = position
            self._known.set()
            if before is not None and position > before:
                backoff.reset()
                self._hand_out(events, position)
            del events  # the poller holds no page while it waits
            await asyncio.sleep(backoff.pause_seconds(conf.stream_idle_poll_seconds))

    def _poll(self) -> tuple[int, list[AnyEvent]]:
        """Return the feed's new position, and the events up to it."""
        if self._position is None:
            return ordering.settled_position(self.using), []
        settled = ordering.settled_position_after(self._position, self.using)
        if settled <= self._position:
            return self._position, []
        events = Event.objects.using(self.using).after(self._position).up_to(settled).order_by("position")
        page = rows.fetch_page(events, PAGE_EVENTS, as_rows=True)
        return page[-1].position if page.has_more else settled, page

    def _hand_out(self, events: list[AnyEvent], position: int) -> None:
        messages = [(event, Message(event)) for event in events]
        for queue in self._queues:
            queue.put(messages, position)

    def _close(self) -> None:
        """Stop the poller; the next stream gets a new feed."""
        _feeds.get(asyncio.get_running_loop(), {}).pop(self.using, None)
        if self._poller:
            self._poller.cancel()
        for executor in (self._polling, self._reading):
            executor.submit(connections.close_all)
            executor.shutdown(wait=False)


_feeds: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Feed]] = WeakKeyDictionary()


def _page(events: EventQuerySet, after: int, up_to: int) -> tuple[list[Message], int]:
    page = rows.fetch_page(events.after(after).up_to(up_to).order_by("position"), PAGE_EVENTS, as_rows=True)
    reached = page[-1].position if page.has_more else up_to
    page.reverse()
    messages = []
    while page:  # an event is freed as soon as it has become text
        messages.append(Message(page.pop()))
        len(messages[-1].json)
    return messages, reached


def _with_usable_connection(function: Callable[[], Result]) -> Result:
    try:
        return function()
    except Exception:
        connections.close_all()  # the connection may be broken; the next call gets a new one
        raise

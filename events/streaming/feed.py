"""The newest events, read once for this process and handed to every open stream of it.

One poller follows the settled position, however many streams there are. What a stream has not fetched is kept for it
up to a bound in bytes; past that it is forgotten, and the stream reads what it missed from the database at its own
pace. So memory stays bounded and nobody slow holds up anybody else.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from typing import Self, TypeVar
from weakref import WeakKeyDictionary

from django.db import connections

from events.conf import conf
from events.formats.serialization import event_as_dict, to_json
from events.jsonb import in_one_line
from events.models import Event, EventQuerySet
from events.storage import ordering, rows
from events.storage.backoff import Backoff

logger = logging.getLogger(__name__)

PAGE_EVENTS = 200
MAX_RETRY_SECONDS = 2.0

Result = TypeVar("Result")


class Message:
    """An event as streams send it, written once for all of them."""

    def __init__(self, event: Event) -> None:
        self.event = event
        self.position = event.position

    @cached_property
    def json(self) -> bytes:
        return in_one_line(to_json(event_as_dict(self.event)))


class StreamQueue:
    """What the feed has for one stream.

    Attributes:
        position: all that the stream wants between where it was attached and here has been put in.
        has_overflowed: it became too much, and was forgotten; read on from the database, then attach anew.
    """

    def __init__(self, position: int, wants: Callable[[Event], bool]) -> None:
        self.position = position
        self.has_overflowed = False
        self._wants = wants
        self._messages: list[Message] = []
        self._bytes = 0
        self._news = asyncio.Event()

    async def take(self, timeout_seconds: float) -> tuple[list[Message], int]:
        """Return what has come, and the position that one who has it has come to. Waits for up to `timeout_seconds`."""
        if not self._messages and not self.has_overflowed:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_seconds):
                    await self._news.wait()
        messages, self._messages, self._bytes = self._messages, [], 0
        self._news.clear()
        return messages, self.position

    def wake(self) -> None:
        """Have who waits for something look around."""
        self._news.set()

    def put(self, messages: Sequence[Message], position: int) -> None:
        """Take in what the feed has read up to `position`."""
        if self.has_overflowed:
            return
        wanted = [message for message in messages if self._wants(message.event)]
        if wanted:
            self._news.set()
            self._bytes += sum(len(message.json) for message in wanted)
            # The first batch is taken whatever its size: the feed's pages are bounded by themselves.
            if self._messages and self._bytes > conf.stream_max_queued_bytes:
                self.has_overflowed, self._messages = True, []
                return
            self._messages += wanted
        self.position = position


class Feed:
    """Follows the store for the streams of one event loop.

    Attributes:
        is_ending: the server shuts down, and streams are to end.
    """

    def __init__(self, using: str) -> None:
        self.using = using
        self._queues: set[StreamQueue] = set()
        self._position: int | None = None
        self._known = asyncio.Event()
        self._poller: asyncio.Task | None = None
        # A thread each, so that long histories keep nobody waiting for the newest events. Two connections in all.
        self._polling = ThreadPoolExecutor(1, "events-feed-poller")
        self._reading = ThreadPoolExecutor(1, "events-feed-reader")
        self._open = 0
        self.is_ending = False

    @classmethod
    def of_this_loop(cls, using: str) -> "Feed":
        """Return the feed of the running event loop; streams hold it open by `with`."""
        feeds = _feeds.setdefault(asyncio.get_running_loop(), {})
        if using not in feeds:
            feeds[using] = cls(using)
        return feeds[using]

    @classmethod
    def open_streams(cls) -> int:
        """Return how many streams this process has open."""
        return sum(feed._open for feeds in _feeds.values() for feed in feeds.values())

    @classmethod
    def end_streams(cls) -> None:
        """End the streams of the running event loop: for a server that shuts down, since none ends by itself."""
        for feed in _feeds.get(asyncio.get_running_loop(), {}).values():
            feed.is_ending = True
            for queue in feed._queues:
                queue.wake()

    def __enter__(self) -> Self:
        self._open += 1
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._open -= 1
        if not self._open:
            self._close()

    async def attach(self, wants: Callable[[Event], bool]) -> StreamQueue:
        """Return a queue that gets every event `wants` takes, from where the feed is now."""
        if self._poller is None:
            self._poller = asyncio.create_task(self._follow())
        await self._known.wait()
        queue = StreamQueue(self._position or 0, wants)
        self._queues.add(queue)
        return queue

    def detach(self, queue: StreamQueue) -> None:
        """Put nothing into `queue` any more."""
        self._queues.discard(queue)

    async def page(self, events: EventQuerySet, after: int, up_to: int) -> list[Message]:
        """Return the first of `events` between two positions; fewer than PAGE_EVENTS when there are no more."""
        query = events.after(after).up_to(up_to).order_by("position")[:PAGE_EVENTS]
        return [Message(event) for event in await self.in_thread(lambda: rows.fetch_events(query))]

    async def in_thread(self, function: Callable[[], Result]) -> Result:
        """Return what `function` returns, called where it may use the database."""
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
                logger.warning("the event streams' poller failed, and goes on", exc_info=True)
                await loop.run_in_executor(self._polling, connections.close_all)
                await asyncio.sleep(min(MAX_RETRY_SECONDS, 0.05 * 2 ** min(failures, 10)))
                continue
            self._position = position
            self._known.set()
            if before is not None and position > before:
                backoff.reset()
                self._hand_out([Message(event) for event in events], position)
            await asyncio.sleep(backoff.pause_seconds(conf.stream_idle_poll_seconds))

    def _poll(self) -> tuple[int, list[Event]]:
        """Return how far the feed has come now, and the events on the way."""
        if self._position is None:
            return ordering.settled_position(self.using), []
        settled = ordering.settled_position_after(self._position, self.using)
        if settled <= self._position:
            return self._position, []
        events = Event.objects.using(self.using).after(self._position).up_to(settled).order_by("position")
        page = rows.fetch_events(events[:PAGE_EVENTS])
        return page[-1].position if len(page) == PAGE_EVENTS else settled, page

    def _hand_out(self, messages: list[Message], position: int) -> None:
        for queue in self._queues:
            queue.put(messages, position)

    def _close(self) -> None:
        """Stop following; whoever comes next starts a new feed."""
        _feeds.get(asyncio.get_running_loop(), {}).pop(self.using, None)
        if self._poller:
            self._poller.cancel()
        for executor in (self._polling, self._reading):
            executor.submit(connections.close_all)
            executor.shutdown(wait=False)


_feeds: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Feed]] = WeakKeyDictionary()


def _with_usable_connection(function: Callable[[], Result]) -> Result:
    try:
        return function()
    except Exception:
        connections.close_all()  # it may be the connection that is broken; the next call gets a new one
        raise

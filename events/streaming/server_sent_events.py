"""One open stream of events as Server-Sent Events: first the history, then each new event.

The protocol is https://html.spec.whatwg.org/multipage/server-sent-events.html. Messages of stored events have no field
`event`, so a browser's `onmessage` receives them. Their `id` is the position, which clients return as `Last-Event-ID`.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Any

from events.conf import conf
from events.models import EventQuerySet

from .feed import AnyEvent, Feed, Message
from .stopping import when_stopping
from .threads import release_thread

RETRY_MILLISECONDS = 1000
RETRY_WITHOUT_ROOM_MILLISECONDS = 5000
HEARTBEAT = b": heartbeat\n\n"
STOPPING = b": the server stops; connect again\n\n"
CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True)
class Selection:
    """The events of a stream: a query for the history, and a predicate for new events."""

    events: EventQuerySet
    selects: Callable[[AnyEvent], bool]


class Stream:
    """One client's stream."""

    def __init__(
        self,
        using: str,
        selection: Selection,
        after: int | None,
        reselect: Callable[[], Selection | None],
        *,
        user: str,
    ) -> None:
        """
        Args:
            user: whose stream it is, for the limit of streams per user.
            after: the position to begin after; None for new events only.
            reselect: returns the selection that the user may read now, None for nothing; it may use the database.
        """
        self._using = using
        self._selection: Selection | None = selection
        self._position = after
        self._reselect = reselect
        self._user = user
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sent_position = -1
        self._position_sent_at = self._sent_at = self._permitted_at = time.monotonic()

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Return an iterator over the text; it ends when the client disconnects, hangs or loses its permission."""
        self._chunks = self._text()
        return self._chunks

    def close(self) -> None:
        """End the stream; Django calls this method from another thread when the request ends.

        If the client disconnects during a send, the generator would otherwise wait for the garbage collector.
        """
        if self._loop:
            asyncio.run_coroutine_threadsafe(self._chunks.aclose(), self._loop)

    @contextmanager
    def _cut_off_when_stuck(self) -> Iterator[None]:
        """End the request if the client does not accept the sent data within EVENTS_STREAM_SEND_TIMEOUT_SECONDS."""
        task: Any = asyncio.current_task()

        def cut_off() -> None:
            task.cancel()
            self.close()  # Django does not close the response of a cancelled request (from 6.0 on)

        timer = asyncio.get_running_loop().call_later(conf.stream_send_timeout_seconds, cut_off)
        try:
            yield
        finally:
            timer.cancel()

    async def _text(self) -> AsyncGenerator[bytes]:
        self._loop = asyncio.get_running_loop()
        release_thread()
        when_stopping(Feed.end_streams)
        feed = Feed.of_this_loop(self._using)
        with feed.opened_by(self._user) as has_room:
            if not has_room:  # the view has counted before other requests of the same moment began to stream
                yield b"retry: %d\n\n" % RETRY_WITHOUT_ROOM_MILLISECONDS
                return
            yield b"retry: %d\n\n" % RETRY_MILLISECONDS
            while self._selection and not feed.is_ending:
                async with aclosing(self._until_overflow(feed)) as text:
                    async for chunk in text:
                        with self._cut_off_when_stuck():
                            yield chunk
                        self._sent_at = time.monotonic()
            if feed.is_ending:
                yield STOPPING
            elif not self._selection:
                yield b'event: revoked\ndata: {"detail": "You may no longer read these events"}\n\n'

    async def _until_overflow(self, feed: Feed) -> AsyncGenerator[bytes]:
        """Yield the history, then new events, until the queue overflows or the permission ends."""
        # Attached before the history is read, so that no event is missed in between.
        queue = await feed.attach(self._selects)
        try:
            if self._position is None:
                self._position = queue.position
            began_at = queue.position
            while self._position < began_at and await self._may_go_on(feed):
                selection: Any = self._selection
                messages, reached = await feed.page(selection.events, self._position, began_at)
                for chunk in self._chunks_of(messages):
                    yield chunk
                self._position = reached
                if message := self._periodic_message():
                    yield message
            if self._selection and not queue.has_overflowed and not feed.is_ending:
                yield self._control("caught-up")
            while not queue.has_overflowed and await self._may_go_on(feed):
                messages, position = await queue.take(self._seconds_to_next_timer())
                for chunk in self._chunks_of(messages):
                    yield chunk
                self._position = max(self._position, position)
                if message := self._periodic_message():
                    yield message
        finally:
            feed.detach(queue)

    def _selects(self, event: AnyEvent) -> bool:
        return self._selection is not None and self._selection.selects(event)

    def _chunks_of(self, messages: list[Message]) -> Iterator[bytes]:
        """Yield the text of messages in chunks of some kilobytes, and remove from the list what is yielded."""
        messages.reverse()
        parts: list[bytes] = []
        size = 0
        while messages:
            message = messages.pop()
            # The client may come from a process whose feed was further on.
            if message.position <= (self._position or 0):
                continue
            parts.append(b"id: %d\ndata: %b\n\n" % (message.position, message.json))
            size += len(parts[-1])
            self._sent_position, self._position_sent_at = message.position, time.monotonic()
            if size >= CHUNK_BYTES or not messages:
                del message
                text = b"".join(parts)
                parts, size = [], 0
                # Slices, because the server keeps a copy of what a slow client has not taken.
                for start in range(0, len(text), CHUNK_BYTES):
                    yield text[start : start + CHUNK_BYTES]

    def _periodic_message(self) -> bytes | None:
        """Return a checkpoint or a heartbeat, if one is due."""
        now = time.monotonic()
        is_due = now - self._position_sent_at >= conf.stream_checkpoint_seconds
        if is_due and (self._position or 0) > self._sent_position:
            return self._control("checkpoint")
        return HEARTBEAT if now - self._sent_at >= conf.stream_heartbeat_seconds else None

    def _control(self, name: str) -> bytes:
        """Return a message about the stream itself; its `id` also updates the client's `Last-Event-ID`."""
        self._sent_position, self._position_sent_at = (position := self._position or 0), time.monotonic()
        return b'id: %d\nevent: %b\ndata: {"position":%d}\n\n' % (position, name.encode(), position)

    def _seconds_to_next_timer(self) -> float:
        next_at = min(
            self._position_sent_at + conf.stream_checkpoint_seconds,
            self._sent_at + conf.stream_heartbeat_seconds,
            self._permitted_at + conf.stream_permission_seconds,
        )
        return max(0.05, next_at - time.monotonic())

    async def _may_go_on(self, feed: Feed) -> bool:
        """Return whether the stream may continue; at intervals, check again what the user may read."""
        if time.monotonic() - self._permitted_at >= conf.stream_permission_seconds:
            self._selection = await feed.in_thread(self._reselect)
            self._permitted_at = time.monotonic()
        return self._selection is not None and not feed.is_ending

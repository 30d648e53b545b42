"""Events as they come: one open stream, from its history to now, as Server-Sent Events.

https://html.spec.whatwg.org/multipage/server-sent-events.html says how the text is read. Stored events have no `event`
field, so that a browser's `onmessage` gets them all; their `id` is the position, which comes back as `Last-Event-ID`.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Any

from events.conf import conf
from events.models import Event, EventQuerySet

from .feed import PAGE_EVENTS, Feed, Message

RETRY_MILLISECONDS = 1000
HEARTBEAT = b": heartbeat\n\n"
CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True)
class Selection:
    """Which events a stream is about: as a query for history, and as a question to a single new one."""

    events: EventQuerySet
    wants: Callable[[Event], bool]


class Stream:
    """One client's stream."""

    def __init__(
        self, using: str, selection: Selection, after: int | None, select_anew: Callable[[], Selection | None]
    ) -> None:
        """
        Args:
            after: the position to begin after; None for what comes from now on.
            select_anew: asks, where it may use the database, what the user may see by now; None: nothing any more.
        """
        self._using = using
        self._selection: Selection | None = selection
        self._position = after
        self._select_anew = select_anew
        self._loop: asyncio.AbstractEventLoop | None = None
        # Read once: a setting that is not set costs an exception, and an event is told to every stream.
        self._heartbeat_seconds = conf.stream_heartbeat_seconds
        self._checkpoint_seconds = conf.stream_checkpoint_seconds
        self._permission_seconds = conf.stream_permission_seconds
        self._send_timeout_seconds = conf.stream_send_timeout_seconds
        self._told = -1  # the last position that the client was told
        self._told_at = self._sent_at = self._permitted_at = time.monotonic()

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the text of the stream until the client goes, is stuck, or may not read any more."""
        self._chunks = self._text()
        return self._chunks

    def close(self) -> None:
        """End it, when the request has ended: Django calls this, from another thread.

        Where the client went while something was being sent to it, the text would wait for the garbage collector.
        """
        if self._loop:
            asyncio.run_coroutine_threadsafe(self._chunks.aclose(), self._loop)

    @contextmanager
    def _cut_off_when_stuck(self) -> Iterator[None]:
        """End the request when the client does not take for too long what it is sent meanwhile."""
        task: Any = asyncio.current_task()

        def cut_off() -> None:
            task.cancel()
            self.close()  # Django does not, of a request that is cancelled (from 6.0 on)

        timer = asyncio.get_running_loop().call_later(self._send_timeout_seconds, cut_off)
        try:
            yield
        finally:
            timer.cancel()

    async def _text(self) -> AsyncGenerator[bytes]:
        self._loop = asyncio.get_running_loop()
        with Feed.of_this_loop(self._using) as feed:
            yield b"retry: %d\n\n" % RETRY_MILLISECONDS
            while self._selection and not feed.is_ending:
                async with aclosing(self._until_overflow(feed)) as text:
                    async for chunk in text:
                        with self._cut_off_when_stuck():
                            yield chunk
                        self._sent_at = time.monotonic()
            if not self._selection:
                yield b'event: revoked\ndata: {"detail": "You may not read these events any more"}\n\n'

    async def _until_overflow(self, feed: Feed) -> AsyncGenerator[bytes]:
        """Yield history and then what is new, until more of that came than is kept, or the permission is gone."""
        # Attached before history is read, so that nothing falls between the two.
        queue = await feed.attach(self._is_wanted)
        try:
            if self._position is None:
                self._position = queue.position
            began_at = queue.position
            while self._position < began_at and await self._may_go_on(feed):
                for chunk in await self._page_of_history(feed, began_at):
                    yield chunk
            if self._selection and not queue.has_overflowed and not feed.is_ending:
                yield self._control("caught-up")
            while not queue.has_overflowed and await self._may_go_on(feed):
                messages, position = await queue.take(self._seconds_to_next_duty())
                for chunk in self._written(messages):
                    yield chunk
                self._position = max(self._position, position)
                if duty := self._duty():
                    yield duty
        finally:
            feed.detach(queue)

    def _is_wanted(self, event: Event) -> bool:
        return self._selection is not None and self._selection.wants(event)

    async def _page_of_history(self, feed: Feed, up_to: int) -> list[bytes]:
        selection: Any = self._selection
        messages = await feed.page(selection.events, self._position or 0, up_to)
        chunks = list(self._written(messages))
        self._position = messages[-1].position if len(messages) == PAGE_EVENTS else up_to
        duty = self._duty()
        return [*chunks, duty] if duty else chunks

    def _written(self, messages: Sequence[Message]) -> Iterator[bytes]:
        """Yield the text of events, some kilobytes at a time."""
        parts: list[bytes] = []
        size = 0
        for message in messages:
            # The settled position of another process may have been ahead when the client was told of it.
            if message.position <= (self._position or 0):
                continue
            parts.append(b"id: %d\ndata: %b\n\n" % (message.position, message.json))
            size += len(message.json)
            self._told, self._told_at = message.position, time.monotonic()
            if size >= CHUNK_BYTES:
                yield b"".join(parts)
                parts, size = [], 0
        if parts:
            yield b"".join(parts)

    def _duty(self) -> bytes | None:
        """Return what is to be sent though no event is: how far the stream has come, or that it is alive."""
        now = time.monotonic()
        if (self._position or 0) > self._told and now - self._told_at >= self._checkpoint_seconds:
            return self._control("checkpoint")
        return HEARTBEAT if now - self._sent_at >= self._heartbeat_seconds else None

    def _control(self, name: str) -> bytes:
        """Return an event about the stream itself. It moves the client's `Last-Event-ID` on, too."""
        self._told, self._told_at = self._position or 0, time.monotonic()
        return b'id: %d\nevent: %b\ndata: {"position":%d}\n\n' % (self._told, name.encode(), self._told)

    def _seconds_to_next_duty(self) -> float:
        next_at = min(
            self._told_at + self._checkpoint_seconds,
            self._sent_at + self._heartbeat_seconds,
            self._permitted_at + self._permission_seconds,
        )
        return max(0.05, next_at - time.monotonic())

    async def _may_go_on(self, feed: Feed) -> bool:
        """Return whether there is a reason to go on; once in a while, ask anew what the user may still read."""
        if time.monotonic() - self._permitted_at >= self._permission_seconds:
            self._selection = await feed.in_thread(self._select_anew)
            self._permitted_at = time.monotonic()
        return self._selection is not None and not feed.is_ending

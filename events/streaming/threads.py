"""The threads of streams: a stream keeps no thread, and blocks no event loop."""

from collections.abc import AsyncIterator, Iterator

from asgiref.sync import SyncToAsync, sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import connections
from django.http import HttpRequest


def streamed(pages: Iterator[bytes], request: HttpRequest) -> Iterator[bytes] | AsyncIterator[bytes]:
    """Return the pages as the content of a `StreamingHttpResponse`.

    Under ASGI, Django would first collect a synchronous iterator into a list.
    """
    return _in_thread(pages) if isinstance(request, ASGIRequest) else pages


async def _in_thread(pages: Iterator[bytes]) -> AsyncIterator[bytes]:
    next_page = sync_to_async(lambda: next(pages, None))
    while page := await next_page():
        yield page


def release_thread() -> None:
    """End the thread in which synchronous code of this request has run; call it in the event loop.

    Django runs each request in a context of asgiref, which has a thread of its own until the request ends: for a
    stream, that may be days. If synchronous code of the request runs later, asgiref starts another thread.
    """
    context = SyncToAsync.thread_sensitive_context.get(None)
    if context is None or getattr(context, "_executor", None):  # the project has given its own threads
        return
    executor = SyncToAsync.context_to_thread_executor.pop(context, None)
    if executor:
        executor.submit(release_connections)
        executor.shutdown(wait=False)


def release_connections() -> None:
    """Close the database connections of this thread."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()

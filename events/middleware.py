"""The middleware that gives the events of a request their context: correlation id, user and trace."""

import re
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Any, Final

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from uuid_utils.compat import uuid7

from .context import event_context, is_traceparent

__all__ = ["EventContextMiddleware"]

RESPONSE_HEADER: Final = "X-Correlation-ID"
# A server joins two headers of one name by a comma, so an id has none.
_ID: Final = re.compile(r"[!-+\--~]{1,255}")


class EventContextMiddleware:
    """Set the metadata of every event that is dispatched while a request is answered.

    - `correlation_id`: the request's header `X-Correlation-ID` or `X-Request-ID`, or else the trace id of its
      `traceparent`, or else a new UUID. An id must have 1 to 255 visible ASCII characters and no comma; others are
      ignored.
    - `user`: the primary key of `request.user` at the moment of each dispatch. REST framework sets it in the view.
    - `traceparent`: the header of that name, if it is valid.

    The response has the correlation id in `X-Correlation-ID`. Put the middleware first, so that the events of all other
    middleware have the context as well; it needs no other.
    """

    sync_capable = async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        correlation_id = _correlation_id(request)
        if self._is_async:
            return self._respond_async(request, correlation_id)
        with _context(request, correlation_id):
            response: HttpResponseBase = self._get_response(request)
        return _with_id(response, correlation_id)

    async def _respond_async(self, request: HttpRequest, correlation_id: str) -> HttpResponseBase:
        with _context(request, correlation_id):
            response: HttpResponseBase = await self._get_response(request)
        return _with_id(response, correlation_id)


def _context(request: HttpRequest, correlation_id: str) -> AbstractContextManager[None]:
    return event_context(correlation_id=correlation_id, user=lambda: _user_key(request), traceparent=_trace(request))


def _with_id(response: HttpResponseBase, correlation_id: str) -> HttpResponseBase:
    response.headers.setdefault(RESPONSE_HEADER, correlation_id)
    return response


def _correlation_id(request: HttpRequest) -> str:
    for name in (RESPONSE_HEADER, "X-Request-ID"):
        if _ID.fullmatch(value := request.headers.get(name, "").strip()):
            return value
    trace = _trace(request)
    return trace[3:35] if trace else str(uuid7())


def _trace(request: HttpRequest) -> str | None:
    value = request.headers.get("traceparent", "").strip()
    return value if is_traceparent(value) else None


def _user_key(request: HttpRequest) -> str | None:
    """Return the primary key of the user as text; None for a user without one, who may be no model."""
    key = getattr(getattr(request, "user", None), "pk", None)
    return None if key is None else str(key)

"""The bodies of requests as a whole: those without a length, which Django takes for empty, and those that break off."""

from io import SEEK_END
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.wsgi import LimitedStream
from django.http import HttpRequest
from rest_framework.exceptions import APIException
from rest_framework.request import Request


class LengthRequired(APIException):
    status_code = 411
    default_detail = (
        "This server does not pass on bodies in chunks: send the body with its Content-Length, or to another server"
    )


def measure(request: HttpRequest) -> None:
    """Set the length of a body that an ASGI server has passed on without one."""
    if isinstance(request, ASGIRequest) and "CONTENT_LENGTH" not in request.META and request.method == "POST":
        body: Any = request._stream  # a file; Django has received all of it
        request.META["CONTENT_LENGTH"] = str(body.seek(0, SEEK_END))
        body.seek(0)


def open_body(request: Request) -> None:
    """Make the whole body of a request readable that a WSGI server passes on while the client sends it.

    Raises:
        LengthRequired: the server does not say where a body in chunks ends.
    """
    plain: Any = request._request
    if isinstance(plain, ASGIRequest):
        return
    environ = plain.META
    is_chunked = "HTTP_TRANSFER_ENCODING" in environ
    length = str(environ.get("CONTENT_LENGTH", ""))
    if length.isdecimal() and not is_chunked:
        if not plain._read_started:  # by a middleware
            plain._stream = _WholeStream(environ["wsgi.input"], int(length))
    elif environ.get("wsgi.input_terminated"):
        # Django reads as many bytes as Content-Length says. With this flag, the stream has an end of its own.
        plain._stream = environ["wsgi.input"]
        request._stream = plain  # REST framework would not read a body without a length
    elif is_chunked:
        raise LengthRequired


class _WholeStream(LimitedStream):
    """A body that raises an error when the connection ends before it, where Django's stream would just end."""

    _pos: int

    def read(self, size: int | None = -1, /) -> bytes:
        return self._checked(super().read(size), size)

    def readline(self, size: int | None = -1, /) -> bytes:
        return self._checked(super().readline(size), size)

    def _checked(self, data: bytes, size: int | None) -> bytes:
        if not data and size != 0 and self._pos < self.limit:
            raise OSError(f"the connection ended {self.limit - self._pos:,} bytes before the body")
        return data

"""Versions in HTTP headers: `ETag`, `If-Match`, `If-None-Match` (RFC 9110, sections 8.8.3 and 13.1)."""

import re

from rest_framework.request import Request

from events.exceptions import InvalidEvent
from events.types import EXISTS, Expectation

# Clients may omit the quotes, and a proxy that compresses responses may make the tag a weak one.
_TAG = re.compile(r'(?:W/)?"([0-9]{1,18})"|([0-9]{1,18})')


def etag(version: int) -> str:
    """Return the entity tag of an aggregate, or its history, at `version`."""
    return f'"{version}"'


def expectation(request: Request) -> int | Expectation | None:
    """Return the expectation in the headers of an append; None without one.

    Raises:
        InvalidEvent: a header is not a valid expectation.
    """
    match, none_match = request.headers.get("If-Match"), request.headers.get("If-None-Match")
    if none_match is not None:
        if match is not None:
            raise InvalidEvent("If-None-Match", "cannot go with If-Match; send one of the two")
        if none_match.strip() != "*":
            raise InvalidEvent("If-None-Match", f"is {none_match!r}; give * if the aggregate must not exist")
        return 0
    if match is None:
        return None
    if match.strip() == "*":
        return EXISTS
    tag = _TAG.fullmatch(match.strip())
    if not tag:
        raise InvalidEvent("If-Match", f'is {match!r}; give a version such as "3", or * if the aggregate must exist')
    return int(tag[1] or tag[2])


def reject(request: Request, remedy: str) -> None:
    """Check that a request whose URL names no aggregate has no precondition, which would not be obeyed.

    Raises:
        InvalidEvent: it has one.
    """
    for name in ("If-Match", "If-None-Match"):
        if name in request.headers:
            raise InvalidEvent(name, f"has no aggregate at this URL; {remedy}")


def is_known(request: Request, version: int) -> bool:
    """Return whether the client already has this version, so that the response may be 304."""
    header = request.headers.get("If-None-Match", "").strip()
    if header == "*":
        return version > 0
    return any(tag.strip().removeprefix("W/") == etag(version) for tag in header.split(","))

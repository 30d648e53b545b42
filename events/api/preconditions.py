"""Versions as HTTP has them: `ETag`, `If-Match`, `If-None-Match` (RFC 9110, sections 8.8.3 and 13.1)."""

import re

from rest_framework.request import Request

from events.exceptions import InvalidEvent
from events.types import EXISTS, Expectation

# Quotes may be missing, and a proxy that compresses answers may have made the tag a weak one: it still names a version.
_TAG = re.compile(r'(?:W/)?"([0-9]{1,18})"|([0-9]{1,18})')


def etag(version: int) -> str:
    """Return the entity tag of an aggregate, or its history, at `version`."""
    return f'"{version}"'


def expectation(request: Request) -> int | Expectation | None:
    """Return the version that the headers of an append expect; None when they say nothing.

    Raises:
        InvalidEvent: a header cannot be read as an expectation.
    """
    match, none_match = request.headers.get("If-Match"), request.headers.get("If-None-Match")
    if none_match is not None:
        if match is not None:
            raise InvalidEvent("If-None-Match", "comes with If-Match; send one of the two")
        if none_match.strip() != "*":
            raise InvalidEvent("If-None-Match", f"is {none_match!r}; an append takes * here: it must not exist yet")
        return 0
    if match is None:
        return None
    if match.strip() == "*":
        return EXISTS
    tag = _TAG.fullmatch(match.strip())
    if not tag:
        raise InvalidEvent("If-Match", f'is {match!r}; give a version such as "3", or * for any that exists')
    return int(tag[1] or tag[2])


def is_known(request: Request, version: int) -> bool:
    """Return whether who reads has this version already, so that the answer may be 304."""
    header = request.headers.get("If-None-Match", "").strip()
    if header == "*":
        return version > 0
    return any(tag.strip().removeprefix("W/") == etag(version) for tag in header.split(","))

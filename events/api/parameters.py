"""Query parameters and headers, read strictly: a typing error is an answer of 400, not a wrong result."""

import re
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from rest_framework.request import Request

from events.conf import conf
from events.exceptions import InvalidEvent
from events.interchange import moment
from events.types import ANY, EXISTS, Expectation

MAX_BIGINT = 2**63 - 1


def check(request: Request, known: Collection[str], repeatable: Collection[str]) -> None:
    """Raise InvalidEvent for the first query parameter that is unknown, empty, repeated in vain, or holds a NUL."""
    for name, values in request.query_params.lists():
        if name not in known and name != "format":
            raise InvalidEvent(name, f"is not a parameter here; these are: {', '.join(sorted(known)) or 'none'}")
        if len(values) > 1 and name not in repeatable:
            raise InvalidEvent(name, "is given more than once")
        if "" in values:
            raise InvalidEvent(name, "is empty; leave it out, or give a value")
        if any("\0" in value for value in values):
            raise InvalidEvent(name, "holds a NUL character; remove it")


def integer(request: Request, name: str, default: Any, *, minimum: int = 0, maximum: int = MAX_BIGINT) -> Any:
    """Return a query parameter as a whole number from `minimum` to `maximum`."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not re.fullmatch("[0-9]{1,19}", text) or not minimum <= int(text) <= maximum:
        raise InvalidEvent(name, f"is {text!r}; give a whole number from {minimum} to {maximum}")
    return int(text)


def limit(request: Request) -> int:
    """Return how many entries a page shall have."""
    maximum = conf.api_max_page_events
    return int(integer(request, "limit", min(conf.api_page_events, maximum), minimum=1, maximum=maximum))


def flag(request: Request, name: str) -> bool:
    """Return a query parameter that is true or false; false when it is left out."""
    text = request.query_params.get(name, "false")
    if text.lower() not in ("true", "1", "false", "0"):
        raise InvalidEvent(name, f"is {text!r}; give true or false")
    return text.lower() in ("true", "1")


def moment_or_none(request: Request, name: str) -> datetime | None:
    """Return a query parameter as a moment in time."""
    text = request.query_params.get(name)
    if text is None:
        return None
    # An unescaped + arrives as a space. In a moment nothing else could have been meant.
    return moment(name, re.sub(r" (?=\d\d:?\d\d$)", "+", text))


def expected_version(request: Request, body: Mapping[str, Any]) -> int | Expectation:
    """Return the expectation that comes in the body (`expected_version`) or as `If-Match`; ANY when there is none."""
    in_header = _if_match(request.headers.get("If-Match"))
    if "expected_version" not in body:
        return ANY if in_header is None else in_header
    in_body = body["expected_version"]
    wanted = {"any": ANY, "exists": EXISTS}.get(in_body, in_body) if isinstance(in_body, str) else in_body
    if in_header is not None and in_header != wanted:
        raise InvalidEvent("expected_version", "differs from If-Match; send one of the two")
    if not isinstance(wanted, Expectation) and (type(wanted) is not int or not 0 <= wanted <= MAX_BIGINT):
        raise InvalidEvent("expected_version", f'is {in_body!r}; give a version from 0 up, "exists" or "any"')
    return wanted


def _if_match(header: str | None) -> int | Expectation | None:
    if header is None:
        return None
    if header.strip() == "*":
        return EXISTS
    match = re.fullmatch(r'\s*"?([0-9]{1,18})"?\s*', header)
    if not match:
        raise InvalidEvent("If-Match", f'is {header!r}; give a version such as "3", or * for any that exists')
    return int(match[1])

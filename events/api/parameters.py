"""Strict query parameters and headers: a typing error gives a 400 response, not a wrong result."""

import re
from collections.abc import Collection
from datetime import datetime
from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.versioning import QueryParameterVersioning

from events.conf import conf
from events.exceptions import InvalidEvent
from events.formats.serialization import moment
from events.types import MAX_BIGINT
from events.validation import MAX_NAME_CHARACTERS, MAX_NAMES, check_name

from . import schema

MAX_HEADER_CHARACTERS = 1024


def check(request: Request, known: Collection[OpenApiParameter]) -> None:
    """Raise InvalidEvent for the first parameter that is unknown, empty, too long, repeated or not a valid name."""
    names = {each.name for each in known if schema.is_name(each)}
    may_repeat = {each.name: schema.may_repeat(each) for each in known}
    for name, values in request.query_params.lists():
        if name not in may_repeat and name not in _of_the_project():
            raise InvalidEvent(
                name, f"is not a parameter here; the parameters are: {', '.join(sorted(may_repeat)) or 'none'}"
            )
        if len(values) > 1 and not may_repeat.get(name):
            raise InvalidEvent(name, "is given more than once")
        if len(values) > MAX_NAMES:
            raise InvalidEvent(name, f"is given {len(values)} times; at most {MAX_NAMES} are allowed")
        if "" in values:
            raise InvalidEvent(name, "is empty; leave it out, or give a value")
        if (longest := max(map(len, values))) > MAX_NAME_CHARACTERS:
            raise InvalidEvent(name, f"has {longest} characters; at most {MAX_NAME_CHARACTERS} are allowed")
        for value in values if name in names else ():
            check_name(name, value)


def _of_the_project() -> set[str]:
    """Return the parameters that REST framework's settings add to each address."""
    names = {api_settings.URL_FORMAT_OVERRIDE or ""}
    versioning: Any = api_settings.DEFAULT_VERSIONING_CLASS
    if versioning and issubclass(versioning, QueryParameterVersioning):
        names.add(versioning.version_param)
    return names


def check_headers(request: Request) -> None:
    """Raise InvalidEvent for the first known header that is longer than any valid value."""
    for name in ("If-Match", "If-None-Match", "Idempotency-Key", "Last-Event-ID"):
        if len(request.headers.get(name, "")) > MAX_HEADER_CHARACTERS:
            raise InvalidEvent(name, f"has more than {MAX_HEADER_CHARACTERS:,} characters; no valid value is so long")


def integer(request: Request, name: str, default: Any, *, minimum: int = 0, maximum: int = MAX_BIGINT) -> Any:
    """Return a query parameter as a whole number from `minimum` to `maximum`."""
    text = request.query_params.get(name)
    return default if text is None else number(name, text, minimum, maximum)


def number(name: str, text: str, minimum: int = 0, maximum: int = MAX_BIGINT) -> int:
    """Return `text` as a whole number from `minimum` to `maximum`."""
    if not re.fullmatch("[0-9]{1,19}", text) or not minimum <= int(text) <= maximum:
        raise InvalidEvent(name, f"is {text!r}; give a whole number from {minimum} to {maximum}")
    return int(text)


def limit(request: Request) -> int:
    """Return the largest number of entries of the page."""
    maximum = conf.api_max_page_events
    return int(integer(request, "limit", min(conf.api_page_events, maximum), minimum=1, maximum=maximum))


def flag(request: Request, name: str) -> bool:
    """Return a query parameter that is true or false; the default is false."""
    text = request.query_params.get(name, "false")
    if text.lower() not in ("true", "1", "false", "0"):
        raise InvalidEvent(name, f"is {text!r}; give true or false")
    return text.lower() in ("true", "1")


def moment_or_none(request: Request, name: str) -> datetime | None:
    """Return a query parameter as a moment in time."""
    text = request.query_params.get(name)
    if text is None:
        return None
    # An unescaped + arrives as a space; before a UTC offset it can only be a plus sign.
    return moment(name, re.sub(r" (?=\d\d:?\d\d$)", "+", text))

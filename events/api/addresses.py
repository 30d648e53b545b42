"""The addresses of the interface. Each ends in a slash, and a request without the slash is redirected to it.

A project may include the URLs under any prefix, in any namespace and several times. So an address is never looked up by
its name: it begins as the address of the request does.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from django.apps import apps
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.urls import URLPattern, path, register_converter
from django.urls.converters import StringConverter
from django.utils.encoding import escape_uri_path, iri_to_uri
from django.utils.http import escape_leading_slashes
from django.utils.module_loading import import_string
from django.views.decorators.csrf import csrf_exempt

from events.exceptions import InvalidEvent
from events.formats.serialization import uuid_of


class AggregateIdConverter(StringConverter):
    """Any text, because the view can explain an error better than a 404."""

    regex = r"(?s:.+)"


class EventIdConverter(StringConverter):
    """A UUID in any form that a new event may have it in. It stays text, because the address has it in this form."""

    def to_python(self, value: str) -> str:
        with suppress(InvalidEvent):
            uuid_of(value)
            return value
        raise ValueError


register_converter(AggregateIdConverter, "aggregate_id")
register_converter(EventIdConverter, "event_id")


class RedirectWithMethod(HttpResponsePermanentRedirect):
    """A 308 redirect. After Django's 301 redirect clients send GET, so an append would be lost."""

    status_code = 308


def addresses(*rows: tuple[str, Any, str]) -> list[URLPattern]:
    """Return the URL patterns of some views, each given as route, class and name, and the redirects to them."""
    views = [path(route, view.as_view(route=route), name=name) for route, view, name in rows]
    # After all views, because an aggregate id may contain slashes.
    return views + [path(route.removesuffix("/"), add_slash, {"route": route}) for route, _, _ in rows if route]


def addresses_of_other_apps() -> list[tuple[str, Any, str]]:
    """Return the addresses that other apps add to the interface: `event_store_addresses` of their `AppConfig`.

    The attribute names a sequence of rows as `addresses` takes them, such as `events.domain.api.urls.ADDRESSES`.
    """
    names = [getattr(config, "event_store_addresses", None) for config in apps.get_app_configs()]
    return [row for name in names if name for row in import_string(name)]


# A redirect reveals and changes nothing, so it needs neither a user nor a token against forged requests.
@csrf_exempt
@login_not_required
def add_slash(request: HttpRequest, *, route: str, **kwargs: Any) -> HttpResponse:
    """Redirect to the same address with a slash."""
    start = prefix(request, route.removesuffix("/"), kwargs)
    if start is None or request.path.endswith("/"):
        raise Http404
    return RedirectWithMethod(_with_query(request, start + _filled(route, kwargs, quote)))


def keep_encoded(request: HttpRequest, route: str, kwargs: Mapping[str, Any]) -> None:
    """Make a request return its own address with the aggregate id percent-encoded, as the client has sent it.

    Django decodes the path, and leaves its slashes and question marks as they are. Of the aggregate `a/../b`, it would
    return an address that clients resolve to that of the aggregate `b`.
    """
    start = prefix(request, route, kwargs) if request.resolver_match else None  # none: it only describes the address
    if start is not None:
        address = _with_query(request, start + _filled(route, kwargs, quote))
        plain: Any = request  # on the object, because Django and REST framework call its own method
        plain.get_full_path = lambda force_append_slash=False: address


def prefix(request: Any, route: str, kwargs: Mapping[str, Any]) -> str | None:
    """Return what the address of a request has before `route`; None if it does not end in this route."""
    own = _filled(route, kwargs, lambda text, safe: text)
    if not request.path.endswith(own):
        return None
    return escape_leading_slashes(escape_uri_path(request.path.removesuffix(own)))


def _with_query(request: HttpRequest, path: str) -> str:
    query = request.META.get("QUERY_STRING", "")
    return path + (query and f"?{iri_to_uri(query)}")


def _filled(route: str, kwargs: Mapping[str, Any], encode: Any) -> str:
    return re.sub(r"<\w+:(\w+)>", lambda argument: encode(str(kwargs[argument[1]]), safe=""), route)

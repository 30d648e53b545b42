"""The base classes of the views: permissions, strict parameters, media types, errors as problem details."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any
from urllib.parse import quote

from django.db import connections, transaction
from django.utils.cache import patch_vary_headers
from django.utils.functional import cached_property
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import PermissionDenied
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer, BrowsableAPIRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.throttling import BaseThrottle
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from events import authorization
from events.conf import conf
from events.exceptions import InvalidEvent
from events.formats import cloudevents
from events.formats.serialization import event_as_dict, event_row_as_dict
from events.models import Event, EventQuerySet
from events.setting_kinds import NONE
from events.storage import ordering
from events.storage.rows import EventRow, Query, fetch_page
from events.store import DispatchResult, EventStore
from events.types import category_of
from events.validation import check_aggregate_id

from . import addresses, bodies, cloudevent_headers, parameters, problems, schema
from .negotiation import (
    CloudEventBatchParser,
    CloudEventBatchRenderer,
    CloudEventDataParser,
    CloudEventParser,
    FastJSONRenderer,
    Negotiation,
    StrictJSONParser,
)
from .permissions import StorePermissions, StoreThrottle


def is_page(renderer: type[BaseRenderer]) -> bool:
    """Return whether a renderer makes REST framework's browsable pages."""
    return issubclass(renderer, BrowsableAPIRenderer)


class _EncodedLinks:
    """Links of browsable pages, percent-encoded: those to `a/../b` would lead to `b`."""

    def get_context(self, data: Any, accepted_media_type: Any, renderer_context: Any) -> Any:
        request = renderer_context["request"]
        address = request.get_full_path().partition("?")[0]
        request.path = address  # for the breadcrumbs, and only on REST framework's object
        context = super().get_context(data, accepted_media_type, renderer_context)  # type: ignore[misc]
        request.path = quote(address)  # for the template, which puts it into a query to log in or out
        return context


def with_encoded_links(page: type[BaseRenderer]) -> type[BaseRenderer]:
    """Return a renderer of browsable pages whose links lead to the same aggregate as the page."""
    return type(page.__name__, (_EncodedLinks, page), {})


# REST framework's browsable pages, if the project has them.
_RENDERERS: Any = api_settings.DEFAULT_RENDERER_CLASSES
_PAGES = [with_encoded_links(each) for each in _RENDERERS if is_page(each)]

# Stored events never change, but only users with permission may see them, so shared caches must not keep them.
UNCHANGING = "private, max-age=31536000, immutable"
ASK_AGAIN = "private, no-cache"


def outside_transactions(view: Any) -> Any:
    """Return a view function whose requests are no transaction, even if a project sets ATOMIC_REQUESTS."""
    for alias in connections:
        view = transaction.non_atomic_requests(using=alias)(view)
    return view


async def no_content() -> AsyncIterator[bytes]:
    """Yield nothing: the body for HEAD of a view that streams under ASGI. The headers are those of GET."""
    return
    yield b""  # makes it a generator


class StoreView(APIView):
    """A view of the store.

    Attributes:
        view_permission: the model permission to read everything here.
        by_category: whether users with permissions for some categories may read those.
        parameters: the query parameters of GET.
        post_parameters: those of POST.
        throttle_kind: the kind of a GET request in `EVENTS_API_THROTTLE_RATES`.
        route: the part of the address that the URLconf of the app has for the view; None for views of projects.
    """

    permission_classes = [StorePermissions]
    parser_classes = [StrictJSONParser]
    renderer_classes: Sequence[type[BaseRenderer]] = [FastJSONRenderer, *_PAGES]
    content_negotiation_class = Negotiation
    versioning_class = None  # there is one version, whatever versions the project has of its own views
    view_permission = authorization.READ
    by_category = True
    parameters: Sequence[OpenApiParameter] = ()
    post_parameters: Sequence[OpenApiParameter] = ()
    throttle_kind = "read"
    route: str | None = None

    @cached_property
    def store(self) -> EventStore:
        return EventStore()

    @cached_property
    def readable(self) -> authorization.Categories:
        """The categories that the user may read here."""
        categories = authorization.readable(self.request.user, self.view_permission)
        return categories if self.by_category or categories.names is None else authorization.Categories(frozenset())

    @cached_property
    def appendable(self) -> authorization.Categories:
        """The categories that the user may append to."""
        return authorization.appendable(self.request.user)

    def initialize_request(self, request: Any, *args: Any, **kwargs: Any) -> Request:
        bodies.measure(request)
        addresses.keep_encoded(request, self.route or "", self.kwargs)
        return super().initialize_request(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if request.method == "POST" and hasattr(self, "post"):
            bodies.open_body(request)  # first, because authentication by a session reads the body
        super().initial(request, *args, **kwargs)
        if request.method not in self.allowed_methods:  # before its parameters and headers, which mean nothing here
            self.http_method_not_allowed(request)
        parameters.check(request, self.parameters if request.method != "POST" else self.post_parameters)
        parameters.check_headers(request)
        if request.headers.get("Content-Encoding", "").lower() not in ("", "identity"):
            raise InvalidEvent("Content-Encoding", "is not supported; send the body without compression")
        if "aggregate_id" in kwargs:
            self._check_aggregate_id(kwargs["aggregate_id"])

    def get_format_suffix(self, **kwargs: Any) -> str | None:
        # An argument of the route is no suffix, even if FORMAT_SUFFIX_KWARG has its name.
        route = self.route or ""
        return super().get_format_suffix(**{name: kwargs[name] for name in kwargs if f":{name}>" not in route})

    def is_usable(self) -> bool:
        """Return whether the user may send the method of the request to at least one address of this view."""
        return all(rule.has_permission(self.request, self) for rule in self.get_permissions())

    def check_readable(self, aggregate_id: str) -> None:
        """Raise PermissionDenied if the user may not read the category of an aggregate."""
        self._check(self.readable, aggregate_id, "read", self.view_permission)

    def check_appendable(self, aggregate_id: str) -> None:
        """Raise PermissionDenied if the user may not append to the category of an aggregate."""
        self._check(self.appendable, aggregate_id, "append to", authorization.APPEND)

    def check_given_out(self, name: str, position: int) -> None:
        """Check a position that a client wants to wait for, or to follow the store from.

        Raises:
            InvalidEvent: no event has taken the position. The client would wait for nothing, or miss events.
        """
        if position > ordering.last_given_out(self.store.using):
            raise InvalidEvent(name, f"is {position}, a position that no event has taken yet; give one of a response")

    def get_throttles(self) -> list[BaseThrottle]:
        if self.request.method == "POST" and self.throttle_kind == "read":
            self.throttle_kind = "append"
        return [*super().get_throttles(), StoreThrottle()]  # the project's own throttles, and EVENTS_API_THROTTLE_RATES

    def get_exception_handler(self) -> Callable[..., Response | None]:
        return problems.answer

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        if self.route is not None and isinstance(response, problems.Problem):
            prefix = addresses.prefix(request, self.route, self.kwargs)
            if prefix is not None:
                response.within(prefix)
        patch_vary_headers(response, ("Authorization", "Cookie"))  # another user of the browser may log in
        if isinstance(response, Response):
            response.add_post_render_callback(self._release)
        return response

    def _release(self, response: Any) -> None:
        """Remove the references from a rendered response to itself.

        Its events would stay in memory until Python's next full garbage collection, and so would those of later ones.
        """
        response.renderer_context = {**response.renderer_context, "response": None}
        vars(self).pop("response", None)

    def link(self, **changes: Any) -> str:
        """Return the address of this request with some parameters changed."""
        url = self.request.build_absolute_uri()
        for name, value in changes.items():
            url = replace_query_param(url, name, value)
        return url

    def _check(self, allowed: authorization.Categories, aggregate_id: str, verb: str, permission: str) -> None:
        if not allowed.contains(aggregate_id):
            category = category_of(aggregate_id)
            own = authorization.for_category(
                authorization.APPEND if permission == authorization.APPEND else authorization.READ, category
            )
            raise PermissionDenied(f"You may not {verb} the category {category!r}; you need {permission} or {own}")

    def _check_aggregate_id(self, aggregate_id: str) -> None:
        check_aggregate_id("aggregate_id", aggregate_id)
        if "\ufffd" in aggregate_id:  # Django replaces bytes that it cannot decode
            raise InvalidEvent("aggregate_id", "is not UTF-8 in the URL; percent-encode it in UTF-8")


class EventsView(StoreView):
    """A view that returns a list of events and may accept appends."""

    parser_classes = [StrictJSONParser, CloudEventParser, CloudEventBatchParser]
    renderer_classes = [*StoreView.renderer_classes, CloudEventBatchRenderer]

    def is_usable(self) -> bool:
        is_closed = self.request.method == "POST" and conf.append_over_http == NONE
        return super().is_usable() and not is_closed

    def get_parsers(self) -> list[BaseParser]:
        request = getattr(self, "request", None)  # the OpenAPI description has none
        return [CloudEventDataParser()] if request and cloudevent_headers.is_binary(request) else super().get_parsers()

    def fetch(self, events: EventQuerySet | Query, limit: int) -> tuple[Sequence[Any], bool]:
        """Return the first events for `page`, and whether more follow; fewer than `limit` if they are large.

        They are rows if the response has their JSON as the database wrote it.
        """
        renderer = self.request.accepted_renderer
        is_as_written = type(renderer) is FastJSONRenderer and not renderer.get_indent(
            self.request.accepted_media_type or "", {}
        )
        page = fetch_page(events, limit + 1, as_rows=is_as_written)
        return page[:limit], page.has_more

    def page(self, events: Sequence[Any], following: str | None, headers: dict[str, str], **envelope: Any) -> Response:
        """Return a response with a page of events. A list of CloudEvents has the next page only in `Link`."""
        if following:
            headers = {**headers, "Link": f'<{following}>; rel="next"'}
        if self._wants_cloudevents():
            return Response([cloudevents.from_event(event) for event in events], headers=headers)
        as_dict: Any = event_row_as_dict if any(isinstance(each, EventRow) for each in events) else event_as_dict
        found = [as_dict(each) for each in events]
        return Response({**envelope, "events": found, "next": following}, headers=headers)

    def appended(self, stored: DispatchResult, headers: dict[str, str], **envelope: Any) -> Response:
        """Return the response to an append, with the content of the events only if the user may read them."""
        events = [self._as_dict(event) for event in stored]
        status = 201 if stored and not stored.is_retry else 200
        if self._wants_cloudevents():
            return Response(events, status=status, headers=headers)
        position = stored[-1].position if stored else None
        return Response({**envelope, "position": position, "events": events}, status=status, headers=headers)

    def _as_dict(self, event: Event) -> dict[str, Any]:
        is_readable = self.readable.contains(event.aggregate_id)
        if not is_readable:
            event.metadata = {}
        content = cloudevents.from_event(event) if self._wants_cloudevents() else event_as_dict(event)
        hidden = () if is_readable else ("data", "metadata")
        return {name: value for name, value in content.items() if name not in hidden}

    def _wants_cloudevents(self) -> bool:
        return isinstance(self.request.accepted_renderer, CloudEventBatchRenderer)


class PageByAggregateId(StoreView):
    """Pages of rows in the order of their aggregate ids."""

    parameters: Sequence[OpenApiParameter] = (schema.AFTER_ID, schema.STARTS_WITH, schema.LIMIT)
    entries = ""

    def page(self, rows: Any, as_dict: Callable[[Any], dict[str, Any]]) -> Response:
        limit = parameters.limit(self.request)
        rows = rows.using(self.store.using).within(self.readable.names).order_by("aggregate_id")
        if after := self.request.query_params.get("after"):
            rows = rows.filter(aggregate_id__gt=after)
        if prefix := self.request.query_params.get("starts_with"):
            rows = rows.filter(aggregate_id__startswith=prefix)
        found = list(rows[: limit + 1])
        return Response(
            {
                self.entries: [as_dict(row) for row in found[:limit]],
                "next": self.link(after=found[limit - 1].aggregate_id) if len(found) > limit else None,
            }
        )

"""The root of the interface: the addresses below it that the user may use."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, NamedTuple

from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.resolvers import RoutePattern
from django.utils.functional import cached_property
from drf_spectacular.views import SpectacularAPIView, SpectacularRedocView, SpectacularSwaggerView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request, clone_request
from rest_framework.response import Response
from rest_framework.views import APIView

from events.api import addresses, schema, serializers
from events.api.base import StoreView

# The views of drf-spectacular that a project may have beside the interface, by the name that a response gives them.
DESCRIPTIONS = {"schema": SpectacularAPIView, "docs": SpectacularSwaggerView, "redoc": SpectacularRedocView}
METHODS = ("get", "post", "put", "patch", "delete")


class Found(NamedTuple):
    """A view of the URLconf.

    Attributes:
        before: the part of the request's path that comes before the route, without the first slash.
        route: the route of the view.
    """

    before: str
    route: str
    view: type[APIView]
    initkwargs: dict[str, Any]


class Root(StoreView):
    """The addresses of the interface that you may use.

    The list "addresses" has those that you can request as they are. "templates" has those with a placeholder, such as
    an aggregate id: put in a value, percent-encoded. "descriptions" has the description in OpenAPI and the pages that
    show it, if the project serves them. Callers that send no token see what is open to anybody.
    """

    permission_classes = [AllowAny]
    name: ClassVar = "The event store"  # the title of the browsable page

    @schema.operation(
        "get_root",
        "The addresses that you may use",
        serializers.RootSerializer,
        serializers.ROOT,
        errors=(400, 401, 406, 429),
    )
    def get(self, request: Request) -> Response:
        here = addresses.prefix(request, "", {}) or "/"
        fixed, templates = [], []
        for route, view in self._views().items():
            operations = self._operations(view)
            if not operations:
                continue
            if "<" in route:
                template = re.sub(r"<\w+:(\w+)>", r"{\1}", route)
                templates.append({"template": here + template, "operations": operations})
            else:
                address = request.build_absolute_uri(here + route)
                fixed.append({"address": address, "operations": operations})
        return Response({"addresses": fixed, "templates": templates, "descriptions": self._descriptions()})

    def _views(self) -> dict[str, StoreView]:
        """Return the views of the interface under the prefix of the request, by their routes."""
        path: str = self.request.path_info.removeprefix("/")
        views: dict[str, StoreView] = {}
        for found in self._found:
            if issubclass(found.view, StoreView) and found.before == path and found.route not in views:
                view = found.view(**found.initkwargs)
                if view.route:  # neither a view of the project, nor this one
                    views[found.route] = view
        return dict(sorted(views.items()))

    def _operations(self, view: StoreView) -> dict[str, str]:
        """Return the methods of a view that the user may use, each with its summary."""
        found = {}
        for method in METHODS:
            if handler := getattr(view, method, None):
                view.setup(clone_request(self.request, method.upper()))
                if view.is_usable():
                    found[method.upper()] = getattr(handler, "summary", "")
        return found

    def _descriptions(self) -> dict[str, str]:
        found = {}
        for name, kind in DESCRIPTIONS.items():
            for each in self._found:
                if issubclass(each.view, kind) and "<" not in each.route and name not in found:
                    view = each.view(**each.initkwargs)
                    if all(rule.has_permission(self.request, view) for rule in view.get_permissions()):
                        script: str = self.request.META.get("SCRIPT_NAME", "")
                        found[name] = self.request.build_absolute_uri(f"{script}/{each.before}{each.route}")
        return found

    @cached_property
    def _found(self) -> list[Found]:
        """The views that the URLconf has for addresses that begin as that of the request."""
        resolver = get_resolver(getattr(self.request, "urlconf", None))
        return list(_views_on_the_way(resolver.url_patterns, self.request.path_info.removeprefix("/"), ""))


def _views_on_the_way(patterns: Iterable[URLPattern | URLResolver], path: str, before: str) -> Iterator[Found]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            if match := pattern.pattern.match(path):
                rest = match[0]
                yield from _views_on_the_way(pattern.url_patterns, rest, before + path.removesuffix(rest))
        else:
            view = getattr(pattern.callback, "cls", None)
            if isinstance(view, type) and issubclass(view, APIView) and isinstance(pattern.pattern, RoutePattern):
                yield Found(before, str(pattern.pattern), view, getattr(pattern.callback, "initkwargs", {}))


ROOT = ("", Root, "root")

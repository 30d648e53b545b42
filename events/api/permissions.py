"""Permissions and throttles of the views."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.throttling import ScopedRateThrottle

from events.conf import conf

from .authentication import user_key


class StorePermissions(BasePermission):
    """Allow authenticated users who may read, or with POST append to, at least one category of the view."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if not request.user or not request.user.is_authenticated:
            return False
        if request.method == "OPTIONS":
            return True
        return bool(view.appendable if request.method == "POST" else view.readable)


class StoreThrottle(ScopedRateThrottle):
    """`EVENTS_API_THROTTLE_RATES`, for each user and each kind of request."""

    # The project's own ScopedRateThrottle may have scopes of the same names, and it reads `throttle_scope`.
    scope_attr = "throttle_kind"
    cache_format = "throttle_events_%(scope)s_%(ident)s"

    def get_cache_key(self, request: Request, view: Any) -> str:
        # REST framework would take users without a primary key for one user.
        ident = user_key(request) or self.get_ident(request)
        return self.cache_format % {"scope": self.scope, "ident": ident}

    def get_rate(self) -> str | None:
        return conf.api_throttle_rates.get(self.scope or "")

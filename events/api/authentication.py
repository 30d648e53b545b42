"""Repeated authentication of long requests."""

from contextlib import suppress
from typing import Any

from django.contrib.auth import get_user
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request


def authenticate_again(request: Request) -> Any:
    """Return the user of `request` with their current permissions; None if they can no longer authenticate.

    Since the request began, the token may be deleted, the session ended, the password changed, the user deactivated.
    """
    plain: Any = request._request
    if hasattr(plain, "session"):
        plain.session = type(plain.session)(plain.session.session_key)
        plain.user = get_user(plain)
    user: Any = None
    with suppress(AuthenticationFailed):
        authenticators: Any = request.authenticators
        user = Request(plain, authenticators=authenticators).user
    if not user or not user.is_authenticated:
        return None
    # A new object has no cached permissions.
    fresh = type(user)._default_manager.filter(pk=user.pk).first()
    return fresh if fresh and fresh.is_active else None

"""Who asks, asked again: for requests that last."""

from contextlib import suppress
from typing import Any

from django.contrib.auth import get_user
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request


def user_by_now(request: Request) -> Any:
    """Return the user of `request` as the database has them now; None when they would not be let in any more.

    The token may have been deleted, the session ended, the password changed, the account closed since.
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
    # Without the permissions that were found the last time.
    fresh = type(user)._default_manager.filter(pk=user.pk).first()
    return fresh if fresh and fresh.is_active else None

"""Who sends a request, and the repeated authentication of long requests."""

from contextlib import suppress
from typing import Any

from django.contrib.auth import get_user
from django.db.models import Model
from rest_framework.exceptions import APIException
from rest_framework.request import Request


def user_key(request: Request) -> str | None:
    """Return what tells the user of `request` from all others: the primary key; None without one."""
    key = getattr(request.user, "pk", None)
    return None if key is None else str(key)


def authenticate_again(request: Request) -> Any:
    """Return the user of `request` with their current permissions; None if they can no longer authenticate.

    Since the request began, the token may be deleted, the session ended, the password changed, the user deactivated.
    """
    plain: Any = request._request
    if hasattr(plain, "session"):
        plain.session = type(plain.session)(plain.session.session_key)
        plain.user = get_user(plain)
    user: Any = None
    with suppress(APIException):
        authenticators: Any = request.authenticators
        user = Request(plain, authenticators=authenticators).user
    if not user or not user.is_authenticated:
        return None
    if isinstance(user, Model):
        # A new object has no cached permissions. `__class__`, because the user may be a lazy object.
        user = user.__class__._default_manager.filter(pk=user.pk).first()
    # A user that is no model, such as that of a signed token, has just been made by the authentication.
    return user if user and getattr(user, "is_active", True) else None

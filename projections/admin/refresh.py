"""Pages that refresh themselves: `board.js` requests them again at intervals, and updates what has changed."""

from typing import Any

from django.http import HttpRequest

HEADER = "X-Board-Refresh"


def refresh_context(request: HttpRequest) -> dict[str, Any]:
    """Return the context of a page that refreshes itself.

    The admin shows a message once, so a refresh in the background must not show messages.
    """
    return {"is_refresh": HEADER in request.headers}

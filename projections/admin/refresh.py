"""Pages that keep themselves up to date: `board.js` asks for them again and again, and takes over what has changed."""

from typing import Any

from django.http import HttpRequest

HEADER = "X-Board-Refresh"


def refreshing(request: HttpRequest) -> dict[str, Any]:
    """Return what the template of such a page needs to know.

    What is said once, such as that an act was done, is for the page that is opened next, not for one in the background.
    """
    return {"is_refresh": HEADER in request.headers}

"""Links to events and aggregates, for users who may read them; plain text for all other users."""

from django.http import HttpRequest
from django.utils.safestring import SafeString

from events import authorization
from events.admin.links import event_url, history_url, link


class Links:
    """The links that the user of a request can follow."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self._readable = authorization.readable(request.user)

    def event(self, position: int, aggregate_id: str) -> SafeString:
        return link(event_url(position) if self._readable.contains(aggregate_id) else "", position)

    def aggregate(self, aggregate_id: str) -> SafeString:
        url = history_url(self._request, aggregate_id) if self._readable.contains(aggregate_id) else ""
        return link(url, aggregate_id)

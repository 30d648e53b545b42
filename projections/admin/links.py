"""Links to events and aggregates, for users who may read them; plain text for all other users."""

from django.http import HttpRequest
from django.utils.safestring import SafeString

from events import authorization
from events.admin.links import event_url, history_url, link, site_of


class Links:
    """The links that the user of a request can follow."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self._site = site_of(request)
        self._readable = authorization.readable(request.user)

    def event(self, position: int, aggregate_id: str) -> SafeString:
        url = event_url(self._site, position) if self._readable.contains(aggregate_id) else ""
        return link(url, position)

    def aggregate(self, aggregate_id: str) -> SafeString:
        url = history_url(self._request, aggregate_id) if self._readable.contains(aggregate_id) else ""
        return link(url, aggregate_id)

"""The settings of the event store, read when they are used, so that `override_settings` works."""

from django.conf import settings


class EventsSettings:
    """Each property is the Django setting `EVENTS_` plus its name in capitals."""

    @property
    def max_event_bytes(self) -> int:
        """Bytes that the JSON of one event's data and metadata may take together. Default 1 MiB."""
        return int(getattr(settings, "EVENTS_MAX_EVENT_BYTES", 1024 * 1024))

    @property
    def max_dispatch_depth(self) -> int:
        """How deep handlers may dispatch inside handlers before it counts as endless recursion. Default 32."""
        return int(getattr(settings, "EVENTS_MAX_DISPATCH_DEPTH", 32))

    @property
    def read_page_events(self) -> int:
        """Events that `read_all` fetches with one query. Default 1,000."""
        return int(getattr(settings, "EVENTS_READ_PAGE_EVENTS", 1000))

    @property
    def api_page_events(self) -> int:
        """Events, or aggregates, on one page of the HTTP API when the request names no limit. Default 100."""
        return int(getattr(settings, "EVENTS_API_PAGE_EVENTS", 100))

    @property
    def api_max_page_events(self) -> int:
        """The largest `limit` a request to the HTTP API may name. Default 1,000."""
        return int(getattr(settings, "EVENTS_API_MAX_PAGE_EVENTS", 1000))


conf = EventsSettings()

"""The settings of the event store, read when they are first used, and anew after `override_settings`."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed


class EventsSettings:
    """Each property is the Django setting `EVENTS_` plus its name in capitals."""

    @cached_property
    def max_event_bytes(self) -> int:
        """Bytes that the JSON of one event's data and metadata may take together. Default 1 MiB."""
        return int(getattr(settings, "EVENTS_MAX_EVENT_BYTES", 1024 * 1024))

    @cached_property
    def max_dispatch_events(self) -> int:
        """Events that one dispatch may hold, and aggregates that its expectations may name. Default 10,000."""
        return int(getattr(settings, "EVENTS_MAX_DISPATCH_EVENTS", 10_000))

    @cached_property
    def max_dispatch_bytes(self) -> int:
        """Bytes that the JSON of all events of one dispatch may take; one event may always have its own limit's.
        Default 64 MiB."""
        return int(getattr(settings, "EVENTS_MAX_DISPATCH_BYTES", 64 * 1024 * 1024))

    @cached_property
    def max_dispatch_depth(self) -> int:
        """How deep handlers may dispatch inside handlers before it counts as endless recursion. Default 32."""
        return int(getattr(settings, "EVENTS_MAX_DISPATCH_DEPTH", 32))

    @cached_property
    def read_page_events(self) -> int:
        """Events that `read_all` fetches with one query. Default 1,000."""
        return int(getattr(settings, "EVENTS_READ_PAGE_EVENTS", 1000))

    @cached_property
    def replica_wait_seconds(self) -> float:
        """How long a reader waits for the standby it reads from to have what the primary has. Default 5."""
        return float(getattr(settings, "EVENTS_REPLICA_WAIT_SECONDS", 5))

    @cached_property
    def api_page_events(self) -> int:
        """Events, or aggregates, on one page of the HTTP API when the request names no limit. Default 100."""
        return int(getattr(settings, "EVENTS_API_PAGE_EVENTS", 100))

    @cached_property
    def api_max_page_events(self) -> int:
        """The largest `limit` a request to the HTTP API may name. Default 1,000."""
        return int(getattr(settings, "EVENTS_API_MAX_PAGE_EVENTS", 1000))

    @cached_property
    def api_throttle_rates(self) -> Mapping[str, str]:
        """How often one user may ask, such as `{"append": "600/min"}`, for `read`, `append`, `import`, `export` and
        `stream`; without limit where none is named. Default none."""
        rates: Mapping[str, str] = getattr(settings, "EVENTS_API_THROTTLE_RATES", {})
        return rates

    @cached_property
    def category_permissions(self) -> Sequence[str]:
        """The categories that have permissions of their own. `migrate` makes them. Default none."""
        categories: Sequence[str] = getattr(settings, "EVENTS_CATEGORY_PERMISSIONS", ())
        return categories

    @cached_property
    def admin_dashboard(self) -> bool:
        """Whether the admin's index shows the dashboard; read at start. Default yes."""
        return bool(getattr(settings, "EVENTS_ADMIN_DASHBOARD", True))

    @cached_property
    def cloudevents_source(self) -> str:
        """The `source` of this store's events as CloudEvents: a URI reference. Default `/events`."""
        return str(getattr(settings, "EVENTS_CLOUDEVENTS_SOURCE", "/events"))

    @cached_property
    def stream_max_streams(self) -> int:
        """Open event streams that one process serves; further ones are refused. Default 1,000."""
        return int(getattr(settings, "EVENTS_STREAM_MAX_STREAMS", 1000))

    @cached_property
    def stream_max_queued_bytes(self) -> int:
        """Bytes of new events kept for a stream whose client is behind; past that it reads them from the database.
        Default 1 MiB."""
        return int(getattr(settings, "EVENTS_STREAM_MAX_QUEUED_BYTES", 1024 * 1024))

    @cached_property
    def stream_send_timeout_seconds(self) -> float:
        """How long a client may leave what it was sent unread before its stream is cut off. Default 30."""
        return float(getattr(settings, "EVENTS_STREAM_SEND_TIMEOUT_SECONDS", 30))

    @cached_property
    def stream_heartbeat_seconds(self) -> float:
        """How long a stream stays silent at most. Default 15."""
        return float(getattr(settings, "EVENTS_STREAM_HEARTBEAT_SECONDS", 15))

    @cached_property
    def stream_checkpoint_seconds(self) -> float:
        """How often a stream tells how far it has come, when no event of its own did. Default 5."""
        return float(getattr(settings, "EVENTS_STREAM_CHECKPOINT_SECONDS", 5))

    @cached_property
    def stream_permission_seconds(self) -> float:
        """How often a stream asks anew whether its user may still read. Default 60."""
        return float(getattr(settings, "EVENTS_STREAM_PERMISSION_SECONDS", 60))

    @cached_property
    def stream_idle_poll_seconds(self) -> float:
        """How long the poller of all streams sleeps at most before it looks for new events. Default 0.02."""
        return float(getattr(settings, "EVENTS_STREAM_IDLE_POLL_SECONDS", 0.02))


conf = EventsSettings()


def _read_anew(**kwargs: Any) -> None:
    vars(conf).clear()


# A setting that is not set costs an exception each time it is asked for, and an append asks for several.
setting_changed.connect(_read_anew, dispatch_uid="events.conf")

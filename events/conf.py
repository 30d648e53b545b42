"""The settings of the event store, and the mechanism by which an app reads its settings."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed


class AppSettings:
    """The settings of one app: each attribute of a subclass is the Django setting PREFIX plus its name in capitals.

    The value of the attribute is the default. A setting is read at its first use and cached, because a missing setting
    costs an exception each time; `override_settings` clears the cache.
    """

    _prefix: str

    def __init_subclass__(cls, *, prefix: str) -> None:
        cls._prefix = prefix
        for name in cls.__annotations__:
            reader = cached_property(_reader(cls.setting(name), getattr(cls, name)))
            reader.__set_name__(cls, name)
            setattr(cls, name, reader)

    def __init__(self) -> None:
        setting_changed.connect(self._forget, weak=False)

    @classmethod
    def setting(cls, name: str) -> str:
        """Return the name of the Django setting behind an attribute."""
        return f"{cls._prefix}{name.upper()}"

    @classmethod
    def settings_of(cls, kind: type) -> list[str]:
        """Return the names of the Django settings whose values are of type `kind`."""
        return [cls.setting(name) for name, each in cls.__annotations__.items() if each is kind]

    def _forget(self, **kwargs: Any) -> None:
        vars(self).clear()


def _reader(setting: str, default: Any) -> Any:
    kind = type(default)
    return lambda conf: kind(getattr(settings, setting, default))


class EventsSettings(AppSettings, prefix="EVENTS_"):
    """The settings `EVENTS_…`."""

    max_event_bytes: int = 1024 * 1024
    """Bytes that the JSON of one event's data and metadata may take together."""

    max_dispatch_events: int = 10_000
    """Events that one dispatch may hold, and aggregates that its expected versions may name."""

    max_dispatch_bytes: int = 64 * 1024 * 1024
    """Bytes that the JSON of all events of one dispatch may take; a single event always has its own limit."""

    max_dispatch_depth: int = 32
    """How deep handlers may dispatch inside handlers before it counts as endless recursion."""

    read_page_events: int = 1000
    """Events that `read_all` fetches with one query."""

    read_page_bytes: int = 8 * 1024 * 1024
    """Bytes of memory that one page of events may take, estimated as eight times their stored size."""

    standby_wait_seconds: float = 5.0
    """How long a read from a standby waits until the standby has replayed what the primary has committed."""

    api_page_events: int = 100
    """Events, or aggregates, on one page of the HTTP API when the request names no limit."""

    api_max_page_events: int = 1000
    """The largest `limit` that a request to the HTTP API may name."""

    api_throttle_rates: Mapping[str, str] = {}
    """How many requests one user may send, such as `{"append": "600/min"}`. The kinds are `read`, `append`, `import`,
    `export` and `stream`; a kind that is missing has no limit."""

    category_permissions: Sequence[str] = ()
    """The categories that have permissions of their own. `migrate` creates the permissions."""

    admin_dashboard: bool = True
    """Whether the admin's index shows the dashboard; read at start."""

    cloudevents_source: str = "/events"
    """The `source` of this store's events as CloudEvents: a URI reference."""

    stream_max_streams: int = 1000
    """Open event streams that one process serves; further ones are rejected."""

    stream_max_queued_bytes: int = 1024 * 1024
    """Bytes of new events kept for a stream whose client is slow; past that the stream reads them from the database."""

    stream_send_timeout_seconds: float = 30.0
    """How long a client may leave sent data unread before its stream is closed."""

    stream_heartbeat_seconds: float = 15.0
    """The longest silence of a stream."""

    stream_checkpoint_seconds: float = 5.0
    """How often a stream reports its position while it has no events to send."""

    stream_permission_seconds: float = 60.0
    """How often a stream checks again whether its user may still read."""

    stream_idle_poll_seconds: float = 0.02
    """The longest pause of the feed between two looks for new events."""


conf = EventsSettings()

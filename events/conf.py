"""The settings of the event store, and the mechanism by which an app reads its settings."""

import logging
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cached_property
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from .setting_kinds import (
    ALL,
    ALLOW,
    AppendOverHttp,
    Categories,
    Kind,
    ListOf,
    MappingOf,
    Mistake,
    Number,
    Rates,
    Seconds,
    Secret,
    Source,
    Switch,
    UnknownTypes,
)

logger = logging.getLogger(__name__)


class AppSettings:
    """The settings of one app: each attribute of a subclass is the Django setting PREFIX plus its name in capitals.

    The value of the attribute is the default, its annotation the kind of the values. A setting is read at its first use
    and cached, because a missing setting costs an exception each time; `override_settings` clears the cache.

    Raises:
        ImproperlyConfigured: code uses a setting whose value is not of its kind. Not every process runs the checks.
    """

    _prefix: str
    _kinds: dict[str, Kind | ListOf | MappingOf]
    _defaults: dict[str, Any]

    def __init_subclass__(cls, *, prefix: str) -> None:
        cls._prefix, cls._kinds, cls._defaults = prefix, {}, {}
        for name, annotation in cls.__annotations__.items():
            (cls._kinds[name],) = annotation.__metadata__
            cls._defaults[name] = getattr(cls, name)
            reader = cached_property(_reader(cls, name, cls._defaults[name]))
            reader.__set_name__(cls, name)
            setattr(cls, name, reader)

    def __init__(self) -> None:
        setting_changed.connect(self._forget, weak=False)

    def at_start(self, name: str) -> Any:
        """Return a setting for code that runs while Django starts; its default if the value is not of its kind.

        An exception would end `check` before it can report the value.
        """
        try:
            return getattr(self, name)
        except ImproperlyConfigured as error:
            logger.error("%s The default is used.", error)
            return self._defaults[name]

    @classmethod
    def setting(cls, name: str) -> str:
        """Return the name of the Django setting behind an attribute."""
        return f"{cls._prefix}{name.upper()}"

    @classmethod
    def mistakes(cls) -> Iterator[tuple[str, Mistake]]:
        """Yield what is wrong with the project's settings, after the name of the setting."""
        for name in cls._kinds:
            for mistake in cls._mistakes_in(name):
                yield cls.setting(name), mistake

    @classmethod
    def misspelt(cls) -> Iterator[tuple[str, str]]:
        """Yield the project's settings that resemble one of these, and the name that is probably meant."""
        known = [cls.setting(name) for name in cls._kinds]
        for name in dir(settings):
            # A name with a prefix of its own belongs to another app, even if the rest is equal.
            if name in known or not get_close_matches(name[: len(cls._prefix)], [cls._prefix], cutoff=0.8):
                continue
            without_unit = [each for each in known if each in (f"{name}_SECONDS", f"{name}_BYTES", f"{name}_EVENTS")]
            if similar := without_unit or get_close_matches(name, known, n=1, cutoff=0.9):
                yield name, similar[0]

    @classmethod
    def _mistakes_in(cls, name: str) -> Iterator[Mistake]:
        setting = cls.setting(name)
        return cls._kinds[name].mistakes(getattr(settings, setting)) if hasattr(settings, setting) else iter(())

    def _forget(self, **kwargs: Any) -> None:
        vars(self).clear()


def _reader(cls: type[AppSettings], name: str, default: Any) -> Any:
    setting, kind = cls.setting(name), type(default)

    def read(conf: AppSettings) -> Any:
        for mistake in conf._mistakes_in(name):
            raise ImproperlyConfigured(f"{mistake.sentence(setting)} {mistake.remedy}")
        return kind(getattr(settings, setting, default))

    return read


class EventsSettings(AppSettings, prefix="EVENTS_"):
    """The settings `EVENTS_…`."""

    max_event_bytes: Number = 1024 * 1024
    """Bytes that the JSON of one event's data and metadata may take together."""

    max_dispatch_events: Number = 10_000
    """Events that one dispatch may hold, and aggregates that its expected versions may name."""

    max_dispatch_bytes: Number = 64 * 1024 * 1024
    """Bytes that the JSON of all events of one dispatch may take; a single event always has its own limit."""

    max_dispatch_depth: Number = 32
    """How deep handlers may dispatch inside handlers before it counts as endless recursion."""

    read_page_events: Number = 1000
    """Events that `read_all` fetches with one query."""

    read_page_bytes: Number = 8 * 1024 * 1024
    """Bytes of memory that one page of events may take, estimated as eight times their stored size."""

    standby_wait_seconds: Seconds = 5.0
    """How long a read from a standby waits until the standby has replayed what the primary has committed."""

    api_page_events: Number = 100
    """Events, or aggregates, on one page of the HTTP API when the request names no limit."""

    api_max_page_events: Number = 1000
    """The largest `limit` that a request to the HTTP API may name."""

    api_throttle_rates: Rates = {}
    """How many requests one user may send, such as `{"append": "600/min"}`. The kinds are `read`, `append`, `import`,
    `export` and `stream`; a kind that is missing has no limit."""

    unknown_types: UnknownTypes = ALLOW
    """Whether events of types that nobody has registered are stored: "allow" or "reject"."""

    append_over_http: AppendOverHttp = ALL
    """Which events the addresses for appends and imports store: "all", "typed" (those of registered types) or "none".
    Commands are not concerned."""

    category_permissions: Categories = ()
    """The categories that have permissions of their own. `migrate` creates the permissions."""

    admin_dashboard: Switch = True
    """Whether the admin's index shows the dashboard; read at start."""

    metrics_token: Secret = ""
    """Programs that send it as `Authorization: Bearer …` may read the metrics; 20 random characters or more. If it is
    empty, only users with the permission may."""

    cloudevents_source: Source = "/events"
    """The `source` of this store's events as CloudEvents: a URI reference."""

    stream_max_streams: Number = 1000
    """Open event streams that one process serves; further ones are rejected."""

    stream_max_streams_per_user: Number = 500
    """Open event streams that one process serves to one user; further ones are rejected."""

    stream_max_queued_bytes: Number = 1024 * 1024
    """Bytes of new events kept for a stream whose client is slow; past that the stream reads them from the database."""

    stream_send_timeout_seconds: Seconds = 30.0
    """How long a client may leave sent data unread before its stream is closed."""

    stream_heartbeat_seconds: Seconds = 15.0
    """The longest silence of a stream."""

    stream_checkpoint_seconds: Seconds = 5.0
    """How often a stream reports its position while it has no events to send."""

    stream_permission_seconds: Seconds = 60.0
    """How often a stream checks again whether its user may still read."""

    stream_idle_poll_seconds: Seconds = 0.02
    """The longest pause of the feed between two looks for new events."""


conf = EventsSettings()

"""Projections: durable consumers that keep read models up to date."""

from importlib.util import find_spec

import events

if not hasattr(events, "__path__") or find_spec("events.hydration") is None:
    raise ImportError(
        f"The package `events` that Python finds, {events.__file__ or list(events.__path__)}, is not the event store."
        " Rename that package, or run the store as a separate service, reached over HTTP."
    )

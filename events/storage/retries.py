"""The comparison of an event of a call with the stored event that has its id."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from events import jsonb
from events.models import Event


class Content(Protocol):
    """The fields of an event that has not been stored yet, such as a `NewEvent`."""

    @property
    def type(self) -> str: ...
    @property
    def data(self) -> Any: ...
    @property
    def metadata(self) -> Any: ...
    @property
    def timestamp(self) -> datetime | None: ...


def differences(new: Content, stored: Event, fields: Sequence[str] = ("type", "data")) -> tuple[str, ...]:
    """Return those of `fields` in which `new` differs from the stored event with its id; none if it is a retry.

    By default the metadata and the timestamp may differ: a client may make both again for each attempt. A timestamp of
    None stands for the moment of storing, so it differs from none.
    """
    return tuple(name for name in fields if not _is_same(name, getattr(new, name), getattr(stored, name)))


def _is_same(name: str, new: Any, stored: Any) -> bool:
    if name in ("data", "metadata"):
        return jsonb.equal(new, stored)
    return new == stored or (name == "timestamp" and new is None)

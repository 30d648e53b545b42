"""The event types with a payload class: their names, their versions, and the code that reads earlier versions."""

from collections.abc import Callable, Collection
from contextlib import suppress
from functools import cached_property
from typing import Any, Final

import msgspec

from events import decoding, jsonb
from events.validation import check_name

from .codecs import Codec, codec_of

Data = dict[str, Any]
Upcaster = Callable[[Data], Data]


class PayloadType:
    """An event type whose payloads are objects of one class.

    Attributes:
        payload_class: the class.
        name, names, version: as `events.decoding.EventType` has them.
        upcasters: the functions that make data of a version from data of the version before, by the version they make.
    """

    def __init__(self, payload_class: type, name: str, version: int, renamed_from: Collection[str]) -> None:
        self.payload_class = payload_class
        self.name = name
        self.names = tuple(dict.fromkeys((name, *renamed_from)))
        self.version = version
        self.upcasters: dict[int, Upcaster] = {}

    def __repr__(self) -> str:
        return f"<event type {self.name} version {self.version}: {self.place}>"

    @property
    def place(self) -> str:
        """Where the class is: its module and its name there."""
        return f"{self.payload_class.__module__}.{self.payload_class.__qualname__}"

    @property
    def missing_upcasters(self) -> list[int]:
        """The versions that no upcaster makes, from 2 up to the newest."""
        return [version for version in range(2, self.version + 1) if version not in self.upcasters]

    @cached_property
    def codec(self) -> Codec:
        # Made at the first use: then each name in an annotation is defined.
        return codec_of(self.payload_class)

    def to_data(self, payload: Any) -> Data:
        return self.codec.to_data(payload)

    def to_payload(self, data: Data) -> Any:
        return self.codec.to_payload(data)

    def upcast(self, data: Data, version: int) -> Data:
        data = msgspec.to_builtins(data)  # a copy: an upcaster may change it, and what was stored must stay
        for to in range(version + 1, self.version + 1):
            if to not in self.upcasters:
                raise LookupError(f"no upcaster to version {to}; write one with @upcasts({self.name}, to={to})")
            data = self._upcast_to(to, data)
            if not isinstance(data, dict):
                raise TypeError(f"the upcaster to version {to} returned a {type(data).__name__}; return the data")
        return _as_json(data)

    def _upcast_to(self, version: int, data: Data) -> Data:
        try:
            return self.upcasters[version](data)
        except SystemExit as error:  # it would end each process that reads the event, worker after worker
            if type(error) is not SystemExit:  # a worker is told to stop
                raise
            raise RuntimeError(f"the upcaster to version {version} called sys.exit({error.code!r})") from error


def _as_json(data: Data) -> Data:
    """Return what an upcaster has made, which may have a Decimal or a set in it, as JSON data.

    Raises:
        Exception: JSON or PostgreSQL cannot represent a part of it.
    """
    with suppress(UnicodeEncodeError):
        text = msgspec.json.encode(data)
        if b"null" not in text and b"u0000" not in text:  # msgspec writes NaN as null
            read: Data = jsonb.loads(text)
            return read
    value: Data = msgspec.to_builtins(data, str_keys=True)
    jsonb.dumps(value, "data")
    return value


# In the order of definition, also those whose name another class has taken, so that the system check finds them.
_defined: dict[str, PayloadType] = {}
REGISTRIES: Final = (*decoding.REGISTRIES, _defined)


def define(
    payload_class: type, *, name: str | None = None, version: int = 1, renamed_from: Collection[str] = ()
) -> PayloadType:
    """Register a class as the payload of an event type; a class that is defined again takes its own place.

    Raises:
        InvalidEvent: a name is not valid as an event type.
        TypeError: the version is not a whole number from 1 up, or `renamed_from` is a string.
    """
    if type(version) is not int or version < 1:
        raise TypeError(f"{payload_class.__qualname__}: version is {version!r}; give a whole number from 1 up")
    if isinstance(renamed_from, str):
        raise TypeError(f"{payload_class.__qualname__}: renamed_from is a string; give a list of names")
    event_type = PayloadType(payload_class, payload_class.__name__ if name is None else name, version, renamed_from)
    for each in event_type.names:
        check_name("type", each)
    _defined[event_type.place] = event_type
    decoding.register(event_type, payload_class)
    return event_type


def defined() -> list[PayloadType]:
    """Return the event types with a payload class in the order of definition."""
    return list(_defined.values())


def by_name() -> list[PayloadType]:
    """Return the event types with a payload class by name; of two classes of one name, the one that reads use."""
    known = {each.name: each for each in decoding.types.values() if isinstance(each, PayloadType)}
    return [known[name] for name in sorted(known)]


def type_of(payload_class: Any) -> PayloadType:
    """Return the event type of a payload class.

    Raises:
        TypeError: it is not a payload class.
    """
    found = decoding.type_of(payload_class) if isinstance(payload_class, type) else None
    if not isinstance(found, PayloadType):
        raise TypeError(
            f"{payload_class!r} is not registered as an event type; derive it from DomainEvent, or mark it with"
            " @event_type"
        )
    return found

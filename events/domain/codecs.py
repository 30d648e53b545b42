"""Payloads to JSON data and back. msgspec does the work for all classes but those of pydantic, which do it themselves.

Users meet msgspec only in constraints, such as `Annotated[int, Meta(ge=1)]`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import fields, is_dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from functools import cache, cached_property
from typing import Any, Final, NamedTuple, Protocol, dataclass_transform, get_args, get_type_hints

import msgspec
from django.utils.functional import Promise

from events.exceptions import InvalidEvent


@dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
class Value(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A value inside payloads that may be one of several classes: its JSON names the class as `type`.

    class Card(Value): number: str
    class Cash(Value): pass
    class OrderPaid(DomainEvent): by: Card | Cash
    """


class OwnCodec(NamedTuple):
    """How values of a class of your own are written and read; see `register_codec`."""

    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]
    schema: Mapping[str, Any]


_own: dict[type, OwnCodec] = {}


def register_codec(
    cls: type, *, encode: Callable[[Any], Any], decode: Callable[[Any], Any], schema: Mapping[str, Any] | None = None
) -> None:
    """Let payloads have values of a class that they do not know, such as Money or a phone number.

    Args:
        cls: the class; its subclasses are written like it.
        encode: returns the JSON value of an object.
        decode: returns the object of a JSON value. A ValueError or TypeError rejects the value.
        schema: the JSON Schema of the JSON value, for the catalogue and OpenAPI; {} allows everything.
    """
    _own[cls] = OwnCodec(encode, decode, dict(schema or {}))


def own_codec(cls: Any) -> OwnCodec | None:
    """Return the codec that is registered for a class or a base of it."""
    return next((_own[base] for base in getattr(cls, "__mro__", ()) if base in _own), None)


class Codec(Protocol):
    """The conversion of the payloads of one class."""

    def to_data(self, payload: Any) -> dict[str, Any]:
        """Return the JSON data of a payload, or of data for one, as a read returns it.

        Raises:
            InvalidEvent: the payload is not valid; the error has the path to the field.
        """

    def to_payload(self, data: Any) -> Any:
        """Return the payload of JSON data; fields that the class does not have are ignored.

        Raises:
            InvalidEvent: the data does not fit the class.
        """


def codec_of(payload_class: type) -> Codec:
    """Return the codec of a class."""
    return _PydanticCodec(payload_class) if _is_of_pydantic(payload_class) else _MsgspecCodec(payload_class)


def _is_of_pydantic(payload_class: type) -> bool:
    return hasattr(payload_class, "model_validate") and hasattr(payload_class, "model_dump")


class _MsgspecCodec:
    def __init__(self, payload_class: Any) -> None:
        self._class = payload_class

    def to_data(self, payload: Any) -> dict[str, Any]:
        cls = self._class
        _check_moments(payload, cls)
        given = _builtins(payload)
        # A constructor checks nothing, so what is stored is what is read back: 5 for a Decimal becomes "5".
        read = self.to_payload(given)
        for name in self._to_check:
            _check_value(getattr(read, name), "data", name)
        # The constructor has set all attributes, unless the payload was read from data without some fields.
        if payload.__class__ is cls and len(given) == self._members:
            # msgspec has made what it read, so a plain class has nothing in it that needs a hook.
            complete: dict[str, Any] = msgspec.to_builtins(read) if self._is_plain else json_value(read)
            if complete == given:
                return complete
        _set_defaults(read)
        data: dict[str, Any] = _builtins(read)
        _check_names(given, data, "data", cls)
        return data

    @cached_property
    def _to_check(self) -> tuple[str, ...]:
        return _members_to_check(self._class)

    @cached_property
    def _members(self) -> int:
        return len(members_of(self._class))

    @cached_property
    def _is_plain(self) -> bool:
        """Whether msgspec converts the class without codecs of ours, and without keys that are no strings."""
        try:
            schemas = msgspec.json.schema_components([self._class])
        except (TypeError, NameError):
            return False
        return "additionalProperties" not in repr(schemas)

    def to_payload(self, data: Any) -> Any:
        try:
            return self._convert(data)
        except msgspec.ValidationError as error:
            raise _invalid(str(error), data, self._convert) from None
        except RecursionError:
            raise InvalidEvent("data", "is nested too deep; flatten it") from None

    def _convert(self, data: Any) -> Any:
        if self._is_plain:  # each keyword argument costs msgspec a third of the time
            return msgspec.convert(data, self._class)
        return msgspec.convert(data, self._class, dec_hook=decoded, str_keys=True)


def _set_defaults(value: Any) -> None:
    """Give each dataclass in a value the defaults as attributes of its own, which msgspec leaves to the class.

    Otherwise they would not be stored, and a later default of the class would change what has happened.
    """
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple, set, frozenset)):
        for member in value:
            _set_defaults(member)
        return
    cls: Any = type(value)
    for name in members_of(cls):
        member = getattr(value, name)
        if is_dataclass(value):
            object.__setattr__(value, name, member)
        _set_defaults(member)


class _PydanticCodec:
    def __init__(self, payload_class: Any) -> None:
        self._class = payload_class

    def to_data(self, payload: Any) -> dict[str, Any]:
        _check_moments(payload, self._class)
        given = payload.model_dump(mode="json") if isinstance(payload, self._class) else payload
        read = self.to_payload(given)
        for name in _members_to_check(self._class):
            _check_value(getattr(read, name), "data", name)
        data: dict[str, Any] = read.model_dump(mode="json")
        if isinstance(given, Mapping):
            _check_names(given, data, "data", self._class)
        return data

    def to_payload(self, data: Any) -> Any:
        try:
            return self._class.model_validate(data)
        except ValueError as error:  # pydantic's error is one
            details = getattr(error, "errors", None)
            if details is None:
                raise InvalidEvent("data", str(error)) from None
            first = details(include_url=False)[0]
            path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in first["loc"])
            raise InvalidEvent(f"data{path}", _lowered(first["msg"])) from None


def _builtins(value: Any) -> Any:
    try:
        return msgspec.to_builtins(value, enc_hook=encoded, str_keys=True)
    except (TypeError, OverflowError, ValueError) as error:
        raise InvalidEvent("data", _lowered(str(error))) from None
    except RecursionError:
        raise InvalidEvent("data", "is nested too deep; flatten it") from None


def json_value(value: Any) -> Any:
    """Return a value as JSON data.

    Raises:
        TypeError: it has no form in JSON.
    """
    return msgspec.to_builtins(value, enc_hook=encoded, str_keys=True)


def encoded(value: Any) -> Any:
    """Return the JSON value of an object that msgspec does not know."""
    if own := own_codec(type(value)):
        return own.encode(value)
    if isinstance(value, str):  # subclasses of str, such as SafeString, which Django's forms and templates hand out
        return "".join(value)
    if isinstance(value, Promise):  # lazy translations
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} has no form in JSON; register one with events.domain.register_codec")


def decoded(cls: type, value: Any) -> Any:
    """Return the object of a JSON value for a class that msgspec does not know."""
    own = own_codec(cls)
    if own is None:
        raise NotImplementedError(f"{cls.__qualname__} has no codec; register one with events.domain.register_codec")
    return own.decode(value)


_MOMENTS: Final = (datetime, time)
_MINUTE: Final = timedelta(minutes=1)

_ERROR = re.compile(r"(?P<reason>.*?)(?: - at (?P<key>`key` in )?`\$(?P<path>[^`]*)`)?", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<name>[^`]*)`")


def _invalid(message: str, data: Any, convert: Callable[[Any], Any]) -> InvalidEvent:
    """Return the error for a message of msgspec, such as "Expected `int`, got `str` - at `$.lines[0].qty`"."""
    found = _parsed(message)
    path, reason = f"data{_with_keys(found['path'] or '', deepcopy(data), convert)}", found["reason"]
    if missing := _MISSING.fullmatch(reason):
        return InvalidEvent(f"{path}.{missing['name']}", "is missing")
    reason = _lowered(reason.replace("`", "").replace(">=", "≥").replace("<=", "≤"))
    return InvalidEvent(path, f"{reason}, as a key" if found["key"] else reason)


def _parsed(message: str) -> re.Match[str]:
    found = _ERROR.fullmatch(message)
    assert found is not None  # noqa: S101  # the expression fits every text
    return found


_ANY_KEY = "[...]"
_STEP = re.compile(r"\.(?P<name>[^.\[]+)|\[(?P<index>\d+)\]|\[\.\.\.\]")


def _with_keys(path: str, data: Any, convert: Callable[[Any], Any]) -> str:
    """Return a path of msgspec with the keys of dictionaries in it, for which msgspec writes `[...]`.

    Args:
        data: the data that `convert` rejects; it is changed.
    """
    if _ANY_KEY not in path:
        return path
    written, value = "", data
    for step in _STEP.finditer(path):
        if step[0] == _ANY_KEY:
            key = _key_of_error(value, path[: step.end()], data, convert)
            written += f".{key}"
        else:
            key = step["name"] or int(step["index"])
            written += step[0]
        value = value[key]
    return written


def _key_of_error(members: dict[Any, Any], path: str, data: Any, convert: Callable[[Any], Any]) -> Any:
    """Return the key in `members`, a part of `data`, whose value gives an error with a path that begins with `path`."""
    rest = list(members.items())
    while len(rest) > 1:
        half = rest[: len(rest) // 2]
        members.clear()
        members.update(half)
        try:
            convert(data)
            is_in_half = False
        except msgspec.ValidationError as error:
            is_in_half = (_parsed(str(error))["path"] or "").startswith(path)
        rest = half if is_in_half else rest[len(half) :]
    members.clear()
    members.update(rest)
    return rest[0][0]


def _lowered(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _check_moments(payload: Any, cls: Any) -> None:
    """Check the moments in a payload of a class as they were given: their form in JSON is rounded."""
    for name in _members_with_moments(cls):
        given = payload.get(name) if isinstance(payload, Mapping) else getattr(payload, name, None)
        _check_value(given, "data", name)


def _check_value(value: Any, path: str, name: str) -> None:
    """Check what JSON Schema and msgspec let pass: a Decimal must be finite, and a moment must have a time zone.

    The zone must be whole minutes from UTC, as those of tables are since about 1900: JSON has no seconds of it.

    Args:
        path, name: where the value is; a name that begins with a bracket is an index.
    """
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise InvalidEvent(_joined(path, name), f"is {value}; give a finite number")
    elif isinstance(value, _MOMENTS):
        offset = value.utcoffset()
        if offset is None:
            if isinstance(value, datetime):
                reason = "has no time zone; add one, for example with django.utils.timezone.make_aware"
                raise InvalidEvent(_joined(path, name), reason)
        elif offset % _MINUTE:
            reason = f"is {offset} from UTC, and JSON has only whole minutes; convert it with .astimezone(UTC)"
            raise InvalidEvent(_joined(path, name), reason)
    elif isinstance(value, dict):
        here = _joined(path, name)
        for key, member in value.items():
            _check_value(key, here, str(key))
            _check_value(member, here, str(key))
    elif isinstance(value, (list, tuple, set, frozenset)):
        here = _joined(path, name)
        for index, member in enumerate(value):
            _check_value(member, here, f"[{index}]")
    else:
        cls: Any = type(value)
        if members := _members_to_check(cls):
            here = _joined(path, name)
            for member in members:
                _check_value(getattr(value, member), here, member)


def _joined(path: str, name: str) -> str:
    return f"{path}{name}" if name.startswith("[") else f"{path}.{name}"


@cache
def _members_to_check(cls: Any) -> tuple[str, ...]:
    """Return the fields of a class that may have a Decimal or a moment in them; most have none."""
    kinds = (Decimal, *_MOMENTS)
    return tuple(name for name, annotation in members_of(cls).items() if _may_have(kinds, annotation, frozenset()))


@cache
def _members_with_moments(cls: Any) -> tuple[str, ...]:
    return tuple(name for name, annotation in members_of(cls).items() if _may_have(_MOMENTS, annotation, frozenset()))


@cache
def members_of(cls: Any) -> dict[str, Any]:
    """Return the fields of a payload class, or of a class inside payloads, with their annotations."""
    names = _member_names(cls)
    hints = get_type_hints(cls, include_extras=True) if names else {}
    return {name: hints[name] for name in names if name in hints}


def _member_names(cls: Any) -> list[str]:
    if is_dataclass(cls):
        return [each.name for each in fields(cls)]  # without class variables
    if (attributes := getattr(cls, "__attrs_attrs__", None)) is not None:
        return [each.name for each in attributes]
    return list(getattr(cls, "__struct_fields__", None) or getattr(cls, "model_fields", None) or ())


def _may_have(kinds: tuple[type, ...], annotation: Any, seen: frozenset[Any]) -> bool:
    if annotation in seen:
        return False
    if isinstance(annotation, type) and issubclass(annotation, kinds):
        return True
    parts = [*get_args(annotation), *members_of(annotation).values()]
    return any(_may_have(kinds, part, seen | {annotation}) for part in _hashable(parts))


def _hashable(parts: list[Any]) -> Iterator[Any]:
    for part in parts:
        if isinstance(part, list):  # the parameters of a Callable
            continue
        try:
            hash(part)
        except TypeError:
            continue
        yield part


def _check_names(given: Any, known: Any, path: str, cls: type) -> None:
    """Check that no name in `given` was ignored: a misspelt field would be lost."""
    if isinstance(given, Mapping) and isinstance(known, Mapping):
        for name, value in given.items():
            if name in known:
                _check_names(value, known[name], f"{path}.{name}", cls)
            elif path != "data" or name not in members_of(cls):  # a Struct may leave out defaults
                fields = ", ".join(known) or "none"
                raise InvalidEvent(f"{path}.{name}", f"is not a field of {cls.__qualname__}; the fields are: {fields}")
    elif isinstance(given, list) and isinstance(known, list) and len(given) == len(known):
        for index, (value, other) in enumerate(zip(given, known, strict=True)):
            _check_names(value, other, f"{path}[{index}]", cls)

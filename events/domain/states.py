"""The states of aggregates as JSON text, and back."""

from dataclasses import fields
from typing import Any, Generic, TypeVar, get_type_hints

import msgspec

from events.exceptions import InvalidEvent
from events.summaries import message

from .aggregates import Aggregate, state_of, undeclared
from .codecs import decoded, encoded, members_of
from .differences import Difference, differences, parts_of
from .schemas import problem_of

A = TypeVar("A", bound=Aggregate)


class NotExact(Exception):
    """A state does not come back from JSON as it was; the text says where."""


def annotations_of(aggregate_class: type[Aggregate]) -> dict[str, Any]:
    """Return the types of the fields of the state.

    Raises:
        NameError: a name in an annotation is not defined yet.
    """
    hints = get_type_hints(aggregate_class, include_extras=True)
    return {each.name: hints[each.name] for each in fields(aggregate_class)}  # type: ignore[arg-type]


class StateCodec(Generic[A]):
    """The conversion of the states of one aggregate class."""

    def __init__(self, aggregate_class: type[A]) -> None:
        """
        Raises:
            InvalidEvent: a field may have a value that has no form in JSON.
            NameError: a name in an annotation is not defined yet.
        """
        self._class = aggregate_class
        annotations = annotations_of(aggregate_class)
        for name, annotation in annotations.items():
            if problem := problem_of(annotation):
                raise InvalidEvent(
                    "snapshot_every", f"{aggregate_class.__qualname__}.{name} has no form in JSON: {problem}"
                )
        form = msgspec.defstruct("State", list(annotations.items()), kw_only=True, forbid_unknown_fields=True)
        self._encoder = msgspec.json.Encoder(enc_hook=encoded)
        self._decoder = msgspec.json.Decoder(form, dec_hook=decoded)

    def to_text(self, aggregate: A) -> str:
        """Return the state as JSON text, from which `to_aggregate` makes exactly the same state.

        Raises:
            NotExact: it would not be the same.
        """
        try:
            text = self._encoder.encode(state_of(aggregate)).decode()
            restored = self.to_aggregate(aggregate.aggregate_id, text)
        except Exception as error:  # also those of a codec of the project
            raise NotExact(f"its state has no exact form in JSON: {message(error)}") from error
        if changed := differences(state_of(aggregate), state_of(restored)):
            raise NotExact(f"its state does not come back from JSON as it was: {_in_words(changed)}")
        if lost := [*undeclared(aggregate), *_lost_in_parts(state_of(aggregate))]:
            raise NotExact(f"it has what a snapshot would lose: {', '.join(lost)}")
        return text

    def to_aggregate(self, aggregate_id: str, text: str) -> A:
        """Return an aggregate, at version 0, with the state of a JSON text.

        Raises:
            Exception: the text does not fit the state; codecs of the project may raise any error.
        """
        state = self._decoder.decode(text)
        aggregate = self._class.blank(aggregate_id)
        for name in state.__struct_fields__:
            setattr(aggregate, name, getattr(state, name))
        return aggregate


_codecs: dict[type[Aggregate], StateCodec[Any]] = {}


def codec_of_states(aggregate_class: type[A]) -> StateCodec[A]:
    """Return the codec of a class, which is made once.

    Raises:
        InvalidEvent: a field may have a value that has no form in JSON.
        NameError: a name in an annotation is not defined yet.
    """
    if aggregate_class not in _codecs:
        _codecs[aggregate_class] = StateCodec(aggregate_class)
    return _codecs[aggregate_class]


def _in_words(changed: list[Difference]) -> str:
    return "; ".join(map(str, changed[:3])) + (f"; and {len(changed) - 3} more" if len(changed) > 3 else "")


def _lost_in_parts(state: dict[str, Any]) -> list[str]:
    """Return what JSON cannot say about the values in a state.

    JSON loses attributes that no class declares. It also loses that a list or object is in two places: a later event
    that changes it would change both places, and after a load only one.
    """
    lost: list[str] = []
    seen: dict[int, str] = {}
    values = list(state.items())
    while values:
        path, value = values.pop()
        cls: Any = type(value)
        parts = parts_of(value)
        if parts is None and not isinstance(value, set):
            continue
        may_change = isinstance(value, (list, dict, set)) or not (isinstance(value, tuple) or _is_frozen(cls))
        if may_change and (other := seen.setdefault(id(value), path)) != path:
            lost.append(f"{path} and {other} are one object")
            continue
        members = members_of(cls)
        lost += [f"{path}.{name} is not a field" for name in getattr(value, "__dict__", {}) if name not in members]
        values += [(f"{path}{name}", part) for name, part in (parts or {}).items()]
    return sorted(lost)


def _is_frozen(cls: Any) -> bool:
    dataclass_params = getattr(cls, "__dataclass_params__", None)
    struct_config = getattr(cls, "__struct_config__", None)
    return bool(getattr(dataclass_params or struct_config, "frozen", False))

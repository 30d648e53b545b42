"""The fingerprint of the code that computes the state of an aggregate: another fingerprint, perhaps another state.

It covers the fields of the state with their types and defaults, the appliers, the event types that they take with their
upcasters, and the codecs of own types; of functions the bytecode, and the functions, classes and constants that they
name in their own top-level package. It is the same in each process with the same code and the same Python. Bytecode,
and not source: the file of a running process may be newer than its code.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import cached_property, partial
from hashlib import sha256
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, get_args
from uuid import UUID

from .aggregates import Aggregate
from .codecs import members_of, own_codec
from .event_types import defined
from .states import annotations_of

# Raise it when this module, or the form of the stored states, changes.
_FORM = 1
_CONSTANTS = (
    type(None),
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    Decimal,
    date,
    time,
    timedelta,
    UUID,
    range,
    re.Pattern,
)
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
# Methods that `dataclass` makes, and one that does not compute a state.
_GENERATED = {"__init__", "__repr__", "__eq__", "__hash__", "__init_subclass__"}


def fingerprint(aggregate_class: type[Aggregate]) -> str:
    """Return the fingerprint of the code of an aggregate class, as hexadecimal digits.

    Raises:
        NameError: a name in an annotation of the state is not defined yet.
    """
    description = _Description(aggregate_class)
    description.add("form", _FORM)
    description.add("snapshot_version", aggregate_class.snapshot_version)
    annotations = annotations_of(aggregate_class)
    for each in fields(aggregate_class):  # type: ignore[arg-type]
        description.add("field", each.name)
        description.annotation(annotations[each.name])
        description.value(each.default if each.default is not MISSING else each.default_factory)
    for name in _methods(aggregate_class):
        description.add("method", name)
        description.value(description.attribute(name))
    for event_type, methods in aggregate_class.appliers.items():
        description.add("applies", event_type, *methods)
    for each_type in sorted(
        filter(lambda each: aggregate_class.takes(each.name), defined()), key=lambda each: each.name
    ):
        description.add("event type", *each_type.names, each_type.version)
        description.annotation(each_type.payload_class)
        for version, upcaster in sorted(each_type.upcasters.items()):
            description.add("upcaster", version)
            description.value(upcaster)
    return description.digest()


def _methods(aggregate_class: type[Aggregate]) -> list[str]:
    """Return the names of the methods that compute the state: the appliers, and what overrides methods of Aggregate."""
    appliers = {name for names in aggregate_class.appliers.values() for name in names}
    own = [base for base in aggregate_class.__mro__ if issubclass(base, Aggregate) and base is not Aggregate]
    overridden = {name for base in own for name in vars(base) if callable(getattr(Aggregate, name, None))}
    return sorted(appliers | (overridden - _GENERATED) | {"__post_init__"})


class _Description:
    """What a fingerprint is made of, as a text without addresses and without the order of sets.

    Functions, classes and objects have numbers, and are described one after the other: in a large package, recursion
    from each to the next would be too deep.
    """

    def __init__(self, aggregate_class: type[Aggregate]) -> None:
        self._class = aggregate_class
        self._numbers: dict[tuple[int, str], int] = {}
        self._kept: list[Any] = []  # so that no other object gets the id of a numbered one
        self._open: set[int] = set()
        self._rest: deque[Callable[[], None]] = deque()
        self._hash = sha256()

    def digest(self) -> str:
        while self._rest:
            self.add("next")
            self._rest.popleft()()
        return self._hash.hexdigest()[:32]

    def add(self, *parts: Any) -> None:
        self._hash.update(repr(parts).encode("utf-8", "surrogatepass"))

    def attribute(self, name: str) -> Any:
        """Return an attribute of the aggregate class as it was written: a function, a property, a constant."""
        return next((vars(base)[name] for base in self._class.__mro__ if name in vars(base)), None)

    def annotation(self, annotation: Any) -> None:
        """Add a type, and the classes in it."""
        self.add(_ADDRESS.sub("", repr(annotation)))
        if (alias := getattr(annotation, "__value__", None)) is not None:  # of a `type` statement
            self.annotation(alias)
        if isinstance(annotation, type):
            self._reference(annotation, "data", self._data_class)
        for part in get_args(annotation):
            self.annotation(part)

    def value(self, value: Any, package: str = "") -> None:
        """Add a value that the code uses; functions and classes of other packages by their name only.

        Args:
            package: the top-level package of the code that uses it; empty for what is described in any package.
        """
        # Not isinstance: it would evaluate a lazy object of Django.
        cls = type(value)
        if issubclass(cls, _CONSTANTS) and not issubclass(cls, Enum):
            self.add(cls.__name__, repr(value))
        elif issubclass(cls, (list, tuple)):
            self._values(value, value, package)
        elif issubclass(cls, (set, frozenset)):
            self._values(value, sorted(value, key=repr), package)
        elif issubclass(cls, Mapping):
            self._values(value, [part for item in value.items() for part in item], package)
        elif issubclass(cls, CodeType):
            self._code(value, package)
        elif issubclass(cls, (staticmethod, classmethod, MethodType)):
            self.value(value.__func__, package)
        elif issubclass(cls, property):
            self._values(value, [value.fget, value.fset], package)
        elif issubclass(cls, cached_property):
            self.value(value.func, package)
        elif issubclass(cls, partial):
            self._values(value, [value.func, value.args, value.keywords], package)
        elif issubclass(cls, ModuleType):
            self.add("module", value.__name__)
        elif issubclass(cls, FunctionType):
            self.add("function", value.__module__, value.__qualname__)
            if not package or _package(value) == package:
                self._reference(value, "code", self._function)
        elif issubclass(cls, type):
            self.add("class", value.__module__, value.__qualname__)
            if own_codec(value):
                self._reference(value, "codec", self._own_codec)
            if _package(value) == package:
                self._reference(value, "code", self._cls)
        else:
            self._reference(value, package, partial(self._object, package=package))

    def _reference(self, value: Any, kind: str, describe: Callable[[Any], None]) -> None:
        """Add the number of a function, a class or an object; describe it later, once."""
        # Constants have none: whether two of them are one object depends on how the code was loaded.
        number = self._numbers.setdefault((id(value), kind), len(self._numbers))
        self.add("number", number)
        if number == len(self._kept):
            self._kept.append(value)
            self._rest.append(partial(describe, value))

    def _values(self, owner: Any, values: Iterable[Any], package: str) -> None:
        if id(owner) in self._open:  # a list in itself
            return
        self._open.add(id(owner))
        self.add("(")
        for each in values:
            self.value(each, package)
        self.add(")")
        self._open.discard(id(owner))

    def _function(self, function: FunctionType) -> None:
        package = _package(function)
        self.value(function.__code__, package)
        self.value((function.__defaults__, function.__kwdefaults__), package)
        for cell in function.__closure__ or ():
            self.value(_content(cell))
        if wrapped := getattr(function, "__wrapped__", None):
            self.value(wrapped)
        names = list(dict.fromkeys(_names(function.__code__)))
        modules = []
        for name in names:
            if name in function.__globals__:
                found = function.__globals__[name]
                self.add("global", name)
                self.value(found, package)
                if type(found) is ModuleType and found.__name__.partition(".")[0] == package:
                    modules.append(found)
            if (found := self.attribute(name)) is not None:
                self.add("attribute", name)
                self.value(found, package)
        for module in modules:
            for name in filter(vars(module).__contains__, names):
                self.add("of module", name)
                self.value(vars(module)[name], package)

    def _code(self, code: CodeType, package: str) -> None:
        self.add(
            code.co_code.hex(),
            code.co_exceptiontable.hex(),
            code.co_flags,
            code.co_argcount,
            code.co_posonlyargcount,
            code.co_kwonlyargcount,
            code.co_names,
            code.co_varnames,
            code.co_freevars,
            code.co_cellvars,
        )
        self.value(code.co_consts, package)

    def _data_class(self, cls: type) -> None:
        """Add a class of the state or of payloads, with its methods if the project declares it."""
        if own_codec(cls):
            self._own_codec(cls)
        if own_codec(cls) or members_of(cls) or issubclass(cls, Enum):
            self._cls(cls)

    def _own_codec(self, cls: type) -> None:
        own = own_codec(cls)
        self.value(own and (own.encode, own.decode))

    def _cls(self, cls: Any) -> None:
        package = _package(cls)
        for name, annotation in members_of(cls).items():
            self.add("member", name)
            self.annotation(annotation)
        factories = [each.default_factory for each in getattr(cls, "__dataclass_fields__", {}).values()]
        self.value((factories, getattr(cls, "__struct_defaults__", ())), package)
        for name, value in vars(cls).items():
            if not name.startswith("__") or _is_written(name, value):
                self.add("in class", name)
                self.value(value, package)
        for base in cls.__bases__:
            self.value(base, package)

    def _object(self, value: Any, package: str) -> None:
        """Add an object by its class and its members; no code can tell what else makes it what it is."""
        cls: Any = type(value)
        self.value(cls, package)
        if issubclass(cls, Enum):
            self.add("named", value.name)
            self.value(value.value, package)
        elif own := own_codec(cls):
            self.value(own.encode(value), package)
        for name in members_of(cls):
            self.add("member", name)
            self.value(getattr(value, name), package)


def _is_written(name: str, value: Any) -> bool:
    """Return whether somebody wrote a method such as `__add__`, and not dataclasses or attrs."""
    if not isinstance(value, FunctionType) or name in ("__repr__", "__annotate__", "__annotate_func__"):
        return False
    return not value.__code__.co_filename.startswith("<")


def _package(value: Any) -> str:
    return str(value.__module__).partition(".")[0]


def _names(code: CodeType) -> list[str]:
    """Return the names in a function, and in the functions and comprehensions inside it."""
    inner = [name for constant in code.co_consts if isinstance(constant, CodeType) for name in _names(constant)]
    return [*code.co_names, *inner]


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a function that refers to a name that is not set yet
        return None

"""Case 15 of the domain toolkit: other code has another fingerprint, and the same code the same one in each process."""

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from events.domain.fingerprints import fingerprint
from tests.ownproject import ROOT, run

RULES = """
RATES = {"a": 2, "b": 3}

class Rate:
    factor = 1

def rate_of(kind):
    return RATES[kind] * Rate.factor

def unused():
    return 1
"""

SHOP = """
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum

from events.domain import Aggregate, DomainEvent, applies, creates, decider, register_codec, upcasts
from . import rules
from .rules import rate_of

LIMIT = 5
IGNORED = {"x", "y", "z", 1, None}

class Size(Enum):
    SMALL = "s"

class Money:
    def __init__(self, cents):
        self.cents = cents
    def __add__(self, other):
        return Money(self.cents + other.cents)

register_codec(Money, encode=lambda money: money.cents, decode=Money)

@dataclass
class Line:
    quantity: int = 1
    size: Size = Size.SMALL
    def double(self):
        return self.quantity * 2

class Added(DomainEvent, version=2):
    kind: str
    quantity: int = 1

@upcasts(Added, to=2)
def with_kind(data):
    return {**data, "kind": "a"}

class Removed(DomainEvent):
    kind: str

class Order(Aggregate, category="order"):
    lines: dict[str, list[Line]] = field(default_factory=dict)
    price: Money = Money(0)
    total: Decimal = Decimal(0)

    step = 1

    @applies(Added)
    def was_added(self, event):
        if event.kind in {"x", "y", "z"} and len(self.lines) < LIMIT:
            self.lines[event.kind] = [Line(quantity=rate_of(event.kind) * self._steps) for _ in range(2)]

    @property
    def _steps(self):
        return self.step * rules.rate_of("a")

    @creates
    def add(self):
        self.record(Added(kind="a"))

def evolve(state: int, event: object) -> int:
    return state + LIMIT

Wallet = decider("wallet", initial=0, evolve=evolve, decide=lambda state, command: [])
"""


def load(rules: str = RULES, shop: str = SHOP) -> Any:
    """Return the module of a project, as a process with this code would have it."""
    package = ModuleType("project_of_fingerprints")
    package.__path__ = []
    sys.modules[package.__name__] = package
    for name, source in (("rules", rules), ("shop", shop)):
        module = ModuleType(f"{package.__name__}.{name}")
        module.__package__ = package.__name__
        sys.modules[module.__name__] = module
        exec(compile(source, f"{name}.py", "exec"), vars(module))  # noqa: S102
        setattr(package, name, module)
    return package.shop


def changed(before: str, after: str) -> Any:
    assert (RULES + SHOP).count(before) == 1
    return load(RULES.replace(before, after), SHOP.replace(before, after))


@pytest.fixture(autouse=True)
def modules() -> Iterator[None]:
    yield
    for name in ("", ".rules", ".shop"):
        sys.modules.pop(f"project_of_fingerprints{name}", None)


def both(shop: Any) -> tuple[str, str]:
    return fingerprint(shop.Order), fingerprint(shop.Wallet)


def test_same_code_has_the_same_fingerprint_in_each_process() -> None:
    script = (
        "import django; django.setup()\n"
        "from events.testing import isolated_registry\n"
        "from tests.events.domain.test_fingerprints import both, load\n"
        "with isolated_registry(empty=True): print(*both(load()))"
    )
    environment = {"PYTHONHASHSEED": "7", "DJANGO_SETTINGS_MODULE": "tests.settings"}
    assert run(sys.executable, "-c", script, cwd=ROOT, **environment).split() == list(both(load()))
    assert both(load()) == both(load("\n\n# moved\n" + RULES, "\n" + SHOP))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("version=2", "version=3"),
        ('"kind": "a"}', '"kind": "b"}'),
        ("class Added(DomainEvent", "class Added(DomainEvent, renamed_from=['Put']"),
        ("    quantity: int = 1\n\n@upcasts", "    quantity: float = 1\n\n@upcasts"),
        ("len(self.lines) < LIMIT", "len(self.lines) <= LIMIT"),
        ('{"x", "y", "z"} and', '{"x", "y"} and'),
        ("LIMIT = 5", "LIMIT = 6"),
        ("step = 1", "step = 2"),
        ("return self.step *", "return 2 * self.step *"),
        ("self.cents + other.cents", "self.cents - other.cents"),
        ("encode=lambda money: money.cents", "encode=lambda money: str(money.cents)"),
        ("return self.quantity * 2", "return self.quantity * 3"),
        ("class Line:\n    quantity: int = 1", "class Line:\n    quantity: int = 2"),
        ('SMALL = "s"', 'SMALL = "small"'),
        ("Money = Money(0)", "Money = Money(1)"),
        ("total: Decimal = Decimal(0)", "total: Decimal = Decimal(1)"),
        ("total: Decimal = Decimal(0)", "total: float = Decimal(0)"),
        ("field(default_factory=dict)", "field(default_factory=lambda: {})"),
        ("    step = 1", "    step = 1\n    snapshot_version = 2"),
        ('RATES = {"a": 2', 'RATES = {"a": 4'),
        ("factor = 1", "factor = 2"),
        ("RATES[kind] *", "2 * RATES[kind] *"),
        ("@applies(Added)\n", "@applies(Added, Removed)\n"),
        ("    @creates", "    def __post_init__(self):\n        self.total += 1\n\n    @creates"),
    ],
)
def test_code_that_computes_another_state_has_another_fingerprint(before: str, after: str) -> None:
    assert fingerprint(changed(before, after).Order) != fingerprint(load().Order)


def test_function_of_a_decider_is_seen() -> None:
    other = load(shop=SHOP.replace("return state + LIMIT", "return state - LIMIT"))
    assert fingerprint(other.Wallet) != fingerprint(load().Wallet)
    other = load(shop=SHOP.replace("LIMIT = 5", "LIMIT = 6"))
    assert fingerprint(other.Wallet) != fingerprint(load().Wallet)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('self.record(Added(kind="a"))', 'self.record(Added(kind="b"))'),
        ("    return 1\n", "    return 2\n"),
        ('IGNORED = {"x"', 'IGNORED = {"w"'),
    ],
)
def test_commands_and_code_that_no_applier_names_do_not_matter(before: str, after: str) -> None:
    assert fingerprint(changed(before, after).Order) == fingerprint(load().Order)


def test_type_that_no_applier_takes_does_not_matter() -> None:
    assert fingerprint(load(shop=SHOP.replace("Removed(DomainEvent)", "Removed(DomainEvent, version=2)")).Order) == (
        fingerprint(load().Order)
    )


def test_long_chain_of_functions_is_followed() -> None:
    chain = "".join(f"def f{number}(): return f{number + 1}()\n" for number in range(2000)) + "def f2000(): return 7\n"
    called = SHOP.replace("rate_of(event.kind)", "rules.f0()")
    assert fingerprint(load(RULES + chain, called).Order) != fingerprint(load(RULES + chain[:-2] + "8\n", called).Order)


def test_function_that_one_package_only_names_is_seen_where_its_own_package_uses_it() -> None:
    other = "def helper(): return {}\n\nclass Other:\n    def value(self): return helper()\n"
    shop = SHOP.replace("if event.kind in", "if helper() and event.kind in")
    shop = shop.replace("    step = 1", "    other: Other | None = None\n    step = 1")
    shop = shop.replace("LIMIT = 5", "LIMIT = 5\nregister_codec(Other, encode=lambda other: 1, decode=Other)")
    shop = f"from other_of_fingerprints import Other, helper\n{shop}"
    found = []
    for number in (1, 2):
        module = sys.modules["other_of_fingerprints"] = ModuleType("other_of_fingerprints")
        exec(other.format(number), vars(module))  # noqa: S102
        found.append(fingerprint(load(shop=shop).Order))
    del sys.modules["other_of_fingerprints"]
    assert found[0] != found[1]

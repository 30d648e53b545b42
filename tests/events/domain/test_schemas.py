"""The JSON Schema of payloads."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
import pydantic
import pytest

from events.domain import DomainEvent, Value, event_type, register_codec
from events.domain.event_types import type_of
from events.domain.schemas import components_of, example_of, schema_of


class Card(Value):
    at: datetime


class Cash(Value):
    at: str


class Cents:
    pass


class Strange:
    pass


@dataclass
class Part:
    at: datetime | None = None
    parts: list["Part"] | None = None


MOMENT = {"type": "string", "format": "date-time"}


def test_schema_has_constraints_defaults_and_the_format_of_moments() -> None:
    register_codec(Cents, encode=vars, decode=lambda value: value, schema={"type": "integer"})

    class Placed(DomainEvent):
        by: Card | Cash | None
        qty: Annotated[int, msgspec.Meta(ge=1)] = 1
        moments: dict[str, list[Annotated[datetime, msgspec.Meta(description="when")]]]
        pair: tuple[str, datetime]
        cents: Cents
        part: Part

    schema = schema_of(type_of(Placed))
    fields, definitions = schema["properties"], schema["$defs"]
    assert schema["required"] == ["by", "moments", "pair", "cents", "part"]
    assert fields["qty"] == {"type": "integer", "minimum": 1, "default": 1}
    assert fields["cents"] == {"type": "integer"}
    assert fields["moments"]["additionalProperties"]["items"]["format"] == "date-time"
    assert fields["pair"]["prefixItems"] == [{"type": "string"}, MOMENT]
    assert MOMENT in definitions["Part"]["properties"]["at"]["anyOf"]
    assert definitions["Card"]["properties"]["at"] == MOMENT
    assert definitions["Cash"]["properties"]["at"] == {"type": "string"}
    assert schema_of(type_of(Placed)) == schema


def test_class_that_contains_itself_is_a_definition_too() -> None:
    schema = schema_of(type_of(event_type("Parted")(Part)))
    assert schema["$defs"]["Part"]["properties"] == schema["properties"]


def test_example_has_the_form_of_the_schema() -> None:
    class Placed(DomainEvent):
        by: Card | None
        qty: Annotated[int, msgspec.Meta(ge=5)]
        kinds: dict[str, Literal["a", "b"]]
        pair: tuple[bool, float]
        total: Decimal
        part: Part
        anything: Any

    schema = schema_of(type_of(Placed))
    example = example_of(schema, schema)
    part = example.pop("part")
    assert example == {
        "by": {"type": "Card", "at": "2030-01-31T12:30:00Z"},
        "qty": 5,
        "kinds": {"name": "a"},
        "pair": [True, 1.5],
        "total": "1.50",
        "anything": {},
    }
    assert part == {"at": "2030-01-31T12:30:00Z", "parts": [{"at": "2030-01-31T12:30:00Z", "parts": []}]}
    assert type_of(Placed).to_payload({**example, "part": part}).qty == 5


def test_components_of_a_type_begin_with_its_name() -> None:
    class Placed(DomainEvent):
        part: Part

    components = components_of(type_of(Placed), "PlacedData", "#/components/schemas/{name}")
    assert [*components] == ["PlacedData", "PlacedData.Part"]
    assert components["PlacedData"]["properties"]["part"] == {"$ref": "#/components/schemas/PlacedData.Part"}
    assert "$defs" not in str(components)


def test_pydantic_describes_its_own_models() -> None:
    model: Any = event_type("Modelled")(pydantic.create_model("Modelled", qty=(int, 1)))
    assert schema_of(type_of(model))["properties"]["qty"]["type"] == "integer"


def test_class_without_a_codec_is_named() -> None:
    class Odd(DomainEvent):
        strange: Strange

    with pytest.raises(TypeError, match=r"Odd has no JSON Schema: Strange has no codec; register one"):
        schema_of(type_of(Odd))

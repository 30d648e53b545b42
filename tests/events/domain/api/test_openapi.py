"""The event types in the OpenAPI description."""

from dataclasses import dataclass
from typing import Any

from django.test import override_settings
from drf_spectacular.generators import SchemaGenerator

from events.domain import Aggregate, DomainEvent, command


@dataclass
class Line:
    sku: str


def components() -> dict[str, Any]:
    found: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)["components"]["schemas"]
    return found


def test_bodies_of_appends_have_the_data_of_each_type() -> None:
    plain = components()
    assert "oneOf" not in plain["NewEvent"]

    class OrderPlaced(DomainEvent, type="order placed", renamed_from=["Submitted"]):
        lines: list[Line]

    found = components()
    for base in ("NewEvent", "NewEventHere"):
        typed = f"#/components/schemas/{base}.order_placed"
        assert found[base]["oneOf"] == [{"$ref": typed}, {"$ref": f"#/components/schemas/{base}.Other"}]
        assert found[base]["discriminator"]["mapping"] == {"order placed": typed, "Submitted": typed}
        fields = found[f"{base}.order_placed"]["properties"]
        assert fields["data"] == {"$ref": "#/components/schemas/order_placedData"}
        assert fields["type"]["enum"] == ["order placed", "Submitted"]
        assert "data" in found[f"{base}.order_placed"]["required"]
        other = found[f"{base}.Other"]["properties"]["type"]["allOf"][1]
        assert other == {"not": {"enum": ["order placed", "Submitted"]}}
    assert found["order_placedData.Line"]["properties"] == {"sku": {"type": "string"}}
    with override_settings(EVENTS_UNKNOWN_TYPES="reject"):
        assert len(components()["NewEvent"]["oneOf"]) == 1


def test_views_are_described() -> None:
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    operation = paths["/api/event-types/{event_type}/"]["get"]
    assert operation["operationId"] == "get_event_type"
    assert [each["name"] for each in operation["parameters"] if each["in"] == "path"] == ["event_type"]


def test_each_command_is_an_operation_with_its_arguments() -> None:
    def paths() -> dict[str, Any]:
        found: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
        return found

    general = "/api/aggregates/{aggregate_id}/commands/{command}/"
    assert general in paths()["paths"]

    class Order(Aggregate, category="order"):
        @command(permission="events.x")
        def add(self, line: Line, note: str = "") -> None:
            """Add a line."""

    class Cart(Aggregate, category="cart"):
        @command(permission="events.x")
        def add(self, sku: str) -> None: ...

        @command(permission="events.x")
        def drop(self) -> None: ...

    found = paths()
    assert general not in found["paths"]
    add = found["paths"][general.replace("{command}", "add")]["post"]
    assert add["operationId"] == "run_command_add"
    assert add["summary"].endswith("category cart, order")
    assert add["description"].startswith("Add a line.")
    assert [each["name"] for each in add["parameters"] if each["in"] == "path"] == ["aggregate_id"]
    bodies = add["requestBody"]["content"]["application/json"]["schema"]["anyOf"]
    assert [each["$ref"].rpartition("/")[2] for each in bodies] == ["Order.add", "Cart.add"]
    schemas = found["components"]["schemas"]
    assert schemas["Order.add"]["required"] == ["line"]
    assert schemas["Order.add"]["properties"]["line"] == {"$ref": "#/components/schemas/Order.add.Line"}
    assert schemas["Order.add.Line"]["properties"] == {"sku": {"type": "string"}}
    assert general.replace("{command}", "drop") in found["paths"]

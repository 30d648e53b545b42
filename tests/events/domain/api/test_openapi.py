"""The event types in the OpenAPI description."""

from dataclasses import dataclass
from typing import Any

from django.test import override_settings
from drf_spectacular.generators import SchemaGenerator

from events.domain import DomainEvent


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

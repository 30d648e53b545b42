"""The description of the HTTP interface is complete and up to date."""

from difflib import unified_diff
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from events import decoding
from events.testing import isolated_registry
from tests import ROOT
from tests.events.api.support import operations

COMMITTED = ROOT / "docs/openapi.yaml"


def test_committed_schema_is_that_of_the_code(tmp_path: Path) -> None:
    now = tmp_path / "openapi.yaml"
    with isolated_registry():
        for name, each in list(decoding.types.items()):
            if each.payload_class.__module__.startswith("tests."):  # type: ignore[attr-defined]
                del decoding.types[name]  # another test of this process has loaded its module
        call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(now))
    changes = unified_diff(COMMITTED.read_text().splitlines(), now.read_text().splitlines(), lineterm="", n=1)
    assert not list(changes), "the interface has changed: `make schema` updates docs/openapi.yaml"


@pytest.mark.parametrize(("name", "content"), operations(), ids=lambda each: each if isinstance(each, str) else "")
def test_every_operation_is_described(name: str, content: dict[str, Any]) -> None:
    assert content["summary"]
    assert content["operationId"].replace("_", "").isalpha()
    for status, response in content["responses"].items():
        assert response["description"]
        if status not in ("204", "304"):
            assert all(kind["examples"] for kind in response["content"].values()), status
    is_probe = name.endswith(("/live/", "/ready/"))  # a probe that is throttled would restart the process
    assert {"400", "406", *(() if is_probe else ("429",))} <= content["responses"].keys()
    for kind in content.get("requestBody", {}).get("content", {}).values():
        assert kind["schema"]


def test_names_of_operations_are_unique() -> None:
    names = [content["operationId"] for _, content in operations()]
    assert len(set(names)) == len(names)


@pytest.mark.django_db
def test_schema_and_its_pages_are_served_from_here(client: Any) -> None:
    assert client.get("/api/schema/").status_code == 200
    for path in ("/api/docs/", "/api/redoc/"):
        page = client.get(path).content.decode()
        assert "/static/drf_spectacular_sidecar/" in page
        assert "cdn" not in page.lower()
        assert "https://" not in page

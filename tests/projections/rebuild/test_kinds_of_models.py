"""Models in several tables are rebuilt with all their tables, however the projection lists them."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from django.db import connection, models

from events.models import Event
from events.store import EventStore
from projections import registry
from projections.base import Projection, handles
from projections.checks import check_projections
from projections.models import Rebuild
from projections.operations import actions
from tests.projections.support import catch_up
from tests.readmodels.models import Box, Crate, Label, Owning
from tests.support import new

pytestmark = pytest.mark.django_db(transaction=True)

Links: Any = Box.labels.through


class Crates(Projection):
    name = "crates"
    models = (Label, Box, Crate, Owning)

    @handles("Packed")
    def pack(self, event: Event) -> None:
        crate = Crate.objects.create(key=event.aggregate_id, weight=event.data["weight"])
        for text in event.data["labels"]:
            label, _ = Label.objects.get_or_create(text=text)
            crate.labels.add(label)
            Owning.objects.create(box=crate, label=label, version=event.version)

    @handles("Unlabelled")
    def unlabel(self, event: Event) -> None:
        Box.objects.get(key=event.aggregate_id).labels.clear()


def content() -> list[Any]:
    return [
        list(Crate.objects.order_by("key").values_list("key", "weight")),
        list(Links.objects.order_by("box", "label__text").values_list("box", "label__text")),
        list(Owning.objects.order_by("box", "label__text").values_list("box", "label__text", "version")),
    ]


@pytest.fixture
def other_schema() -> Iterator[None]:
    """The tables are in another schema, which the role searches."""
    tables = [model._meta.db_table for model in (Label, Box, Crate, Owning, Links)]
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA reports; SET search_path = public, reports")
        cursor.execute("".join(f"ALTER TABLE {table} SET SCHEMA reports;" for table in tables))
    yield
    with connection.cursor() as cursor:
        cursor.execute("".join(f"ALTER TABLE reports.{table} SET SCHEMA public;" for table in tables))
        cursor.execute("DROP SCHEMA reports; RESET search_path")


LISTS = {
    "table of the field follows from its model": (Label, Box, Crate, Owning),
    "table of the field is listed": (Label, Box, Crate, Owning, Links),
    "table of the field comes first": (Links, Owning, Crate, Box, Label),
}


def rebuilt(listed: Sequence[type[models.Model]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Crates, "models", listed)
    monkeypatch.setattr(registry, "_classes", [*registry.registered(), Crates])
    assert check_projections() == []
    store = EventStore()
    store.dispatch(
        new("box-1", "Packed", data={"weight": 1, "labels": ["a", "b"]}),
        new("box-2", "Packed", data={"weight": 2, "labels": ["b"]}),
        new("box-2", "Unlabelled"),
    )
    catch_up("crates")
    right = content()
    assert right[1] == [("box-1", "a"), ("box-1", "b")]
    Crate.objects.update(weight=9)
    Box.objects.get(key="box-2").labels.add(Label.objects.get(text="a"))
    Owning.objects.filter(box="box-1").delete()
    Crate.objects.create(key="box-3", weight=3)
    actions.ask_for_rebuild("crates", by="somebody")
    catch_up("crates")
    assert not Rebuild.objects.exists()
    assert content() == right


@pytest.mark.parametrize("listed", LISTS)
def test_every_table_is_rebuilt(listed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rebuilt(LISTS[listed], monkeypatch)


def test_tables_in_another_schema_are_rebuilt(other_schema: None, monkeypatch: pytest.MonkeyPatch) -> None:
    rebuilt(Crates.models, monkeypatch)

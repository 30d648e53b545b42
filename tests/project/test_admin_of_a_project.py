"""What a project does to the admin's pages: takes some out, makes its own of others, has no dashboard."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.utils import timezone

from events.admin import EventAdmin
from events.models import Aggregate, Event
from events.store import EventStore
from projections.models import AggregateActivity, Heartbeat, Operation, ParkedEvent, ProjectionState
from tests.projections.support import catch_up
from tests.support import new

pytestmark = pytest.mark.django_db(transaction=True)

MODELS = (Event, Aggregate, AggregateActivity, ProjectionState, ParkedEvent, Heartbeat, Operation)


@pytest.fixture
def stored(store: EventStore) -> Event:
    (cause,) = store.dispatch(new("cart-1", metadata={"correlation_id": "flow"}))
    metadata = {"causation_id": str(cause.event_id), "correlation_id": "flow"}
    event, *_ = store.dispatch(
        new("order-1", "Fragile", data={"poison": 1}, metadata=metadata), new("order-1", "Fragile", metadata=metadata)
    )
    catch_up("fragile")
    Heartbeat.objects.create(id=uuid4(), host="h", pid=1, started_at=timezone.now(), seen_at=timezone.now())
    return event


@pytest.mark.parametrize("model", MODELS)
def test_pages_do_without_one_that_was_taken_out(
    site: Callable[[], None], stored: Event, admin_client: Client, model: type[Model]
) -> None:
    admin.site.unregister(model)
    site()
    parked = ParkedEvent.objects.failed().get()
    pages = {
        Event: ["event/", f"event/{stored.position}/change/", "event/add/"],
        Aggregate: ["aggregate/", "aggregate/order-1/change/"],
        AggregateActivity: ["aggregateactivity/"],
        ProjectionState: ["projectionstate/", "projectionstate/fragile/change/"],
        ParkedEvent: ["parkedevent/", f"parkedevent/{parked.pk}/change/"],
        Heartbeat: ["heartbeat/"],
        Operation: ["operation/"],
    }
    assert admin_client.get("/admin/").status_code == 200
    for each, paths in pages.items():
        for path in paths:
            response = admin_client.get(f"/admin/{each._meta.app_label}/{path}")
            assert response.status_code == (404 if each is model else 200), path
            assert 'href=""' not in response.content.decode()


def test_page_can_be_a_subclass(site: Callable[[], None], stored: Event, admin_client: Client) -> None:
    class TypeBeginning(admin.SimpleListFilter):
        title = parameter_name = "beginning"

        def lookups(self, *args: Any) -> list[tuple[str, str]]:
            return [("F", "F")]

        def queryset(self, request: HttpRequest, queryset: Any) -> Any:
            return queryset.filter(type__startswith=self.value()) if self.value() else queryset

    class MyEventAdmin(EventAdmin):
        list_filter = [*EventAdmin.list_filter, TypeBeginning]
        list_per_page = 1

        def change_view(
            self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
        ) -> HttpResponse:
            return super().change_view(request, object_id, form_url, {"title": "Mine", **(extra_context or {})})

    admin.site.unregister(Event)
    admin.site.register(Event, MyEventAdmin)
    site()
    html = admin_client.get("/admin/events/event/?beginning=F").content.decode()
    assert html.count("field-position") == 1
    assert "Older" in html
    assert "<h1>Mine</h1>" in admin_client.get(f"/admin/events/event/{stored.position}/change/").content.decode()


LISTS = [
    f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
    for model in admin.site._registry
    if model._meta.app_label in ("events", "projections")
]
QUERIES = ["q=x", "q=%00", "o=1", "o=99.-1", "p=3", "p=x", "all=", "_facets=", "e=1", "no_such=1"]


@pytest.mark.parametrize("url", LISTS)
def test_list_takes_any_parameter(admin_client: Client, url: str) -> None:
    for query in QUERIES:
        response = admin_client.get(f"{url}?{query}", follow=True)
        assert (response.status_code, response.request["PATH_INFO"]) == (200, url), query

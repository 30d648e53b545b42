"""Event types in the admin of the store: the catalogue beside the events, and fields in the form that appends."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from events import decoding
from events.admin.events import EventAdmin, MorePage
from events.admin.forms import register_data_forms
from events.admin.links import event_list_url, page_url
from events.domain import catalogue
from events.domain.event_types import PayloadType
from events.domain.forms import PayloadForm, form_of_type
from events.monitoring.consumers import Consumer
from events.routing import database

TEMPLATE = "admin/events/event/types.html"


def catalogue_page(model_admin: EventAdmin, request: HttpRequest) -> HttpResponse:
    """Return the catalogue."""
    site, using = model_admin.admin_site.name, database()
    request.current_app = site  # as Django's views do
    counts = catalogue.counts(using)
    may_append = model_admin.has_add_permission(request)
    rows = [
        {
            "entry": entry,
            "anchor": f"type-{number}",
            "place": entry.event_type.place.split("."),
            "count": counts.shown(entry.event_type.name),
            "events_url": event_list_url(site, type=entry.event_type.name),
            "append_url": page_url(site, "events_event_add", type=entry.event_type.name) if may_append else "",
            "consumers": [(each, _url(request, site, each)) for each in entry.consumers],
        }
        for number, entry in enumerate(catalogue.entries(using), 1)
    ]
    context: dict[str, Any] = {
        **model_admin.admin_site.each_context(request),
        "title": "Event types",
        "opts": model_admin.opts,
        "media": model_admin.media,
        "rows": rows,
        "others": [
            (name, counts.shown(name), event_list_url(site, type=name))
            for name in sorted(counts.by_name)
            if name not in decoding.types
        ],
    }
    return TemplateResponse(request, TEMPLATE, context)


def data_form(event_type: str) -> type[PayloadForm] | None:
    """Return the form with the fields of a type's data, for the form that appends."""
    found = decoding.types.get(event_type)
    return form_of_type(found) if isinstance(found, PayloadType) else None


def _url(request: HttpRequest, site: str, consumer: Consumer) -> str:
    if not consumer.page or not request.user.has_perm(consumer.permission):
        return ""
    name, *keys = consumer.page
    return page_url(site, name, *keys)


if all(page.name != "events_event_types" for page in EventAdmin.more_pages):
    EventAdmin.more_pages.append(MorePage("types/", "events_event_types", "Event types", catalogue_page))
register_data_forms(data_form)

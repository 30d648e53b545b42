"""Links between the pages of an admin site, left out if the site has no such page or the user may not open it.

A project may have several sites: `site` is the name of the one whose page has the link.
"""

from typing import Any

from django.contrib.admin.utils import quote
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from events import authorization
from events.visible import visible


def site_of(request: HttpRequest) -> str:
    """Return the name of the admin site that a request came to; outside of every site, that of the default one."""
    return request.resolver_match.namespace if request.resolver_match else ""


def page_url(site: str, name: str, *keys: Any, **parameters: str) -> str:
    """Return the URL of a page of a site by its name; an empty string if there is no such page."""
    try:
        url = reverse(f"admin:{name}", args=[quote(key) for key in keys], current_app=site)
    except NoReverseMatch:
        return ""
    return f"{url}?{urlencode(parameters)}" if parameters else url


def event_url(site: str, position: int) -> str:
    """Return the URL of an event's page."""
    return page_url(site, "events_event_change", position)


def event_list_url(site: str, **parameters: str) -> str:
    """Return the URL of the list of events with some filters."""
    return page_url(site, "events_event_changelist", **parameters)


def flow_url(site: str, correlation_id: str, **parameters: str) -> str:
    """Return the URL of the page of a flow."""
    return page_url(site, "events_event_flow", correlation_id=correlation_id, **parameters)


def history_url(request: HttpRequest, aggregate_id: str) -> str:
    """Return the URL of an aggregate's history; an empty string if the user may not see it."""
    visible = authorization.readable(request.user, "events.view_aggregate")
    return page_url(site_of(request), "events_aggregate_change", aggregate_id) if visible.contains(aggregate_id) else ""


def clipped(url: str, text: str) -> SafeString:
    """Return a link, or the text, that ends in an ellipsis where a list has no room for it; a tooltip has all of it."""
    shown = visible(text)
    if not url:
        return format_html('<span class="event-clip" dir="auto" title="{}">{}</span>', shown, shown)
    return format_html('<a class="event-clip" dir="auto" href="{}" title="{}">{}</a>', url, shown, shown)


def link(url: str, text: Any) -> SafeString:
    """Return a link; without a URL, only the text. Unseen characters of the text are shown."""
    return format_html('<a href="{}">{}</a>', url, visible(text)) if url else format_html("{}", visible(text))

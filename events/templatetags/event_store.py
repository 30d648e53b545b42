"""Template tags of the admin: the dashboard, and filters that format text, numbers and times."""

from datetime import datetime
from typing import Any

from django import template
from django.contrib.messages import get_messages
from django.contrib.messages.storage.base import BaseStorage
from django.utils import timezone, translation
from django.utils.safestring import SafeString

from events.admin import dashboard
from events.admin.browsing import to_the_second
from events.visible import visible

register = template.Library()
register.filter("visible", visible)

REFRESH_HEADER = "X-Event-Refresh"  # of the requests of refresh.js


@register.inclusion_tag("admin/events/dashboard.html", takes_context=True)
def event_store_dashboard(context: template.RequestContext) -> dict[str, Any]:
    """Show of the dashboard what its user may see."""
    with translation.override("en"):  # dates, sizes and durations are parts of its sentences
        return dashboard.context(context.request)


@register.inclusion_tag("admin/events/refresh_bar.html", takes_context=True)
def refresh_bar(context: template.RequestContext, seconds: int) -> dict[str, Any]:
    """Show when the page was drawn, and refresh its marked regions at intervals."""
    request = context.request
    messages = get_messages(request)
    if REFRESH_HEADER in request.headers and isinstance(messages, BaseStorage):
        messages.used = False  # the admin shows a message once: keep it for a page that is looked at
    return {"seconds": seconds, "drawn_at": timezone.now()}


@register.filter
def grouped(number: int) -> str:
    """Return a number with commas between groups of three digits."""
    return f"{number:,}"


@register.filter
def moment(value: datetime | None) -> SafeString:
    """Return a time as HTML: its date, its time of day and its time zone."""
    return to_the_second(value)


@register.filter
def time_of_day(value: datetime | None) -> SafeString:
    """Return a time as HTML, without the date, for places that name the date."""
    return to_the_second(value, "%H:%M:%S")

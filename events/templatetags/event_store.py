"""Template tags of the admin: the dashboard, and filters that format numbers and times."""

from datetime import datetime
from typing import Any

from django import template
from django.utils.safestring import SafeString

from events.admin import dashboard
from events.admin.browsing import to_the_second

register = template.Library()


@register.inclusion_tag("admin/events/dashboard.html", takes_context=True)
def event_store_dashboard(context: template.Context) -> dict[str, Any]:
    """Show the dashboard to users who may read events; show nothing to others."""
    return dashboard.context(context["request"])


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

"""Template tags of the admin: the dashboard, and a filter that formats numbers."""

from typing import Any

from django import template
from django.utils import translation

from events.admin import dashboard

register = template.Library()


@register.inclusion_tag("admin/events/dashboard.html", takes_context=True)
def event_store_dashboard(context: template.Context) -> dict[str, Any]:
    """Show the dashboard to users who may read events; show nothing to others."""
    with translation.override("en"):  # dates, sizes and durations are parts of its sentences
        return dashboard.context(context["request"])


@register.filter
def grouped(number: int) -> str:
    """Return a number with commas between groups of three digits."""
    return f"{number:,}"

"""For templates of the admin: the dashboard, and numbers that read well."""

from typing import Any

from django import template

from events.admin import dashboard

register = template.Library()


@register.inclusion_tag("admin/events/dashboard.html", takes_context=True)
def event_store_dashboard(context: template.Context) -> dict[str, Any]:
    """Show the dashboard to who may read events; to others, nothing."""
    return dashboard.context(context["request"])


@register.filter
def grouped(number: int) -> str:
    """Return a number with its digits in groups of three."""
    return f"{number:,}"

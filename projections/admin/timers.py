"""The timers of reactions in the admin: the list, and a page for each timer with the event that it stores."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from events import authorization
from events.admin import json_tree
from events.admin.browsing import to_the_second
from events.admin.links import clipped
from events.visible import visible
from projections import registry
from projections.base import Kind
from projections.models import Operation, ProjectionState, Status, Timer
from projections.reactions import operating

from .actions import ActionResult, Button, OperatingAdmin, ReasonForm
from .links import Links

Action = Operation.Action

FIRE = Button("fire", "Fire now", "Store the event now, with the present as its time if the timer is not due.")
CANCEL = Button("cancel", "Cancel timer", "Delete the timer. Its event is never stored.")


class TimerActionForm(ReasonForm):
    """The form of the action bar, with the reaction that timers are moved to."""

    to = forms.ChoiceField(required=False, label="Move to:")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = [each.name for each in registry.all_projections() if each.kind is Kind.REACTION]
        self.fields["to"].choices = [("", "(a reaction)"), *((name, name) for name in names)]  # type: ignore[attr-defined]


@admin.register(Timer)
class TimerAdmin(OperatingAdmin):
    page_template = "admin/projections/timer/change_form.html"
    missing_row = "This timer has fired, or was cancelled."
    list_display = ["name", "of_reaction", "due", "event", "state"]
    list_filter = ["reaction"]
    ordering = ["due_at", "id"]
    search_fields = ["key"]
    search_help_text = "The beginning of a key"
    prefix_field = "key"
    actions = ["fire", "cancel", "move"]
    action_form = TimerActionForm

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).defer("data", "metadata")

    @admin.display(description="key")
    def name(self, timer: Timer) -> SafeString:
        return clipped("", timer.key)

    @admin.display(description="reaction")
    def of_reaction(self, timer: Timer) -> SafeString | str:
        gone = format_html('{} <span class="board-badge board-bad">gone</span>', timer.reaction)
        return timer.reaction if registry.has_reaction(timer.reaction) else gone

    @admin.display
    def due(self, timer: Timer) -> SafeString:
        return to_the_second(timer.due_at)

    @admin.display
    def event(self, timer: Timer) -> SafeString:
        return format_html("{}{}", clipped("", timer.type), clipped("", timer.aggregate_id))

    @admin.display
    def state(self, timer: Timer) -> SafeString | str:
        if timer.next_attempt_at is None:
            return format_html("rejected: {}", visible(timer.error))
        if not timer.attempts:
            return "waiting"
        return format_html("retrying at {}: {}", to_the_second(timer.next_attempt_at), visible(timer.error))

    def page_context(self, request: HttpRequest, row: Timer) -> dict[str, Any]:
        """Return a timer with its event; the data for users who may read the event's category."""
        links = Links(request)
        may_read = authorization.readable(request.user).contains(row.aggregate_id)
        return {
            "timer": row,
            "is_gone": not registry.has_reaction(row.reaction),
            "is_running": ProjectionState.objects.filter(pk=row.reaction, status=Status.RUNNING).exists(),
            "due_at": to_the_second(row.due_at),
            "scheduled_at": to_the_second(row.scheduled_at),
            "source": links.event(row.source_position, row.aggregate_id),
            "aggregate": links.aggregate(row.aggregate_id),
            "data": json_tree.block(row.data) if may_read else None,
            "metadata": json_tree.block(row.metadata) if may_read else None,
            "may_view_projections": request.user.has_perm("projections.view_projectionstate"),
            "buttons": [FIRE, CANCEL] if self.has_operate_permission(request) else [],
        }

    @admin.action(description="Fire now", permissions=["operate"])
    def fire(self, request: HttpRequest, queryset: QuerySet) -> None:
        self._each(request, queryset, Action.FIRE_TIMERS, operating.fire, "fired")

    @admin.action(description="Cancel", permissions=["operate"])
    def cancel(self, request: HttpRequest, queryset: QuerySet) -> None:
        self._each(request, queryset, Action.CANCEL_TIMERS, operating.cancel, "cancelled")

    @admin.action(description="Move all timers of a reaction that is gone", permissions=["operate"])
    def move(self, request: HttpRequest, queryset: QuerySet) -> None:
        to = request.POST.get("to", "")
        if not to:
            messages.error(request, "Choose the reaction to move the timers to.")
            return
        for reaction, timer in {timer.reaction: timer for timer in queryset}.items():
            act = partial(_move, reaction, to)
            self._operate(request, timer, Action.MOVE_TIMERS, act)

    def _each(
        self, request: HttpRequest, queryset: QuerySet, action: Action, operation: Callable[..., int], done: str
    ) -> None:
        def act(timer: Timer, by: str, reason: str) -> ActionResult:
            operation(timer.reaction, [timer.key], by=by, reason=reason)
            return ActionResult(f"Timer {visible(timer.key)} of {timer.reaction} {done}.")

        for timer in list(queryset.order_by("due_at", "id")):
            self._operate(request, timer, action, partial(act, timer))


def _move(old: str, new: str, by: str, reason: str) -> ActionResult:
    moved = operating.move(old, new, by=by, reason=reason)
    return ActionResult(f"{moved:,} timers of {old} now belong to {new}.")

"""Operating from the admin: every act is an admin action, and `_operate` is where it is done and written down."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME, ActionForm
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme

from events.admin.browsing import BrowsingAdmin, without_nul
from projections.base import Mode
from projections.exceptions import ProjectionError
from projections.models import Operation, ProjectionState, Rebuild, Status
from projections.operations import actions
from projections.operations.status import Report, ReportedStatus

MAY_OPERATE = "projections.operate_projections"
REASON_CHARACTERS = 1000


@dataclass(frozen=True)
class Button:
    """A button of the form that operates on something.

    Attributes:
        action: the admin action that it asks for.
        label: what is on it.
        effect: what comes of it.
        needs_reason: whether it is rejected without one.
    """

    action: str
    label: str
    effect: str
    needs_reason: bool = False


PAUSE = Button("pause", "Pause", "Workers leave the projection alone until it is resumed.")
RESUME = Button("resume", "Resume", "Workers continue, and retry the event that failed.")
REBUILD = Button("rebuild", "Rebuild", "Rebuild the rows from the events. The old rows are served meanwhile.")
CANCEL = Button("cancel", "Cancel rebuild", "Drop the rows rebuilt so far. The rows that are served stay.")
RETRY_ALL = Button("retry", "Retry parked", "Handle all its parked events again, in order.")
RETRY = Button("retry", "Retry", "Handle the parked events of this aggregate again, in order.")
SKIP = Button("skip", "Skip", "Give up the failed event permanently, and handle those behind it.", needs_reason=True)


def buttons_for(report: Report, state: ProjectionState | None) -> list[Button]:
    """Return what makes sense to do to a projection as it is. What is rejected all the same says why."""
    if state is None or report.status is ReportedStatus.ORPHANED:
        return []
    if report.status is ReportedStatus.OUTDATED:
        return [REBUILD]
    rebuild: Rebuild | None = getattr(state, "rebuild", None)
    buttons = []
    if state.status in (Status.PAUSED, Status.STOPPED) or (rebuild and rebuild.error):
        buttons.append(RESUME)
    elif state.status == Status.RUNNING and report.mode == Mode.ASYNC:
        buttons.append(PAUSE)
    if report.parked and state.version == report.version:
        buttons.append(RETRY_ALL)
    if rebuild is None:
        buttons.append(REBUILD)
    elif state.status != Status.BUILDING:  # that one fills the rows that are served; it has to come to its end
        buttons.append(CANCEL)
    return buttons


@dataclass(frozen=True)
class ActionResult:
    """What an act came to.

    Attributes:
        said: in a sentence.
        is_complete: whether nothing is left to be done.
    """

    said: str
    is_complete: bool = True


def retried(name: str, aggregate_id: str | None, by: str, reason: str) -> ActionResult:
    """Retry what a projection has parked, of one aggregate or of all."""
    handled, left = actions.retry(name, by=by, reason=reason, aggregate_id=aggregate_id)
    of = f" of {aggregate_id}" if aggregate_id else ""
    return ActionResult(f"Projection {name}: {handled} parked events{of} handled, {left} still parked.", left == 0)


class ReasonForm(ActionForm):
    """The bar with the actions, and a field for the reason, which goes into the record."""

    reason = forms.CharField(required=False, max_length=REASON_CHARACTERS, label="Reason:")


class OperatingAdmin(BrowsingAdmin):
    """Rows that can be operated on, by those who may; each act is recorded with who did it and why.

    Forms elsewhere post to the changelist as the bar with its actions does, with where to return to as `back`.
    """

    action_form = ReasonForm

    class Media:
        css = {"all": ["projections/board.css"]}

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(MAY_OPERATE)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method == "POST" and not self.has_operate_permission(request):
            raise PermissionDenied
        return super().changelist_view(request, extra_context)

    def response_action(
        self, request: HttpRequest, queryset: QuerySet, *args: Any, **options: Any
    ) -> HttpResponse | None:
        """Do what was asked for, then go back to where the form was."""
        chosen = request.POST.getlist(ACTION_CHECKBOX_NAME)
        if chosen and not queryset.filter(pk__in=self._keys(chosen)).exists():
            # Sent twice, or from a page that was out of date.
            messages.warning(request, "Nothing was done: it is not there any more.")
            response: HttpResponse | None = HttpResponseRedirect(request.get_full_path())
        else:
            response = super().response_action(request, queryset, *args, **options)
        back = request.POST.get("back", "")
        if response and back.startswith("/") and url_has_allowed_host_and_scheme(back, allowed_hosts=None):
            return HttpResponseRedirect(back)
        return response

    def _operate(
        self, request: HttpRequest, projection: ProjectionState, action: str, act: Callable[[str, str], ActionResult]
    ) -> None:
        """Do `act(by, reason)`, and show what came of it, or why it was rejected.

        What was done is in the project's own record, which the operation writes, and in the admin's log.
        """
        by, reason = request.user.get_username(), " ".join(request.POST.get("reason", "").split())
        try:
            outcome = act(by, reason)
        except ProjectionError as error:
            messages.error(request, str(error))
            return
        messages.add_message(request, messages.SUCCESS if outcome.is_complete else messages.WARNING, outcome.said)
        label = Operation.Action(action).label
        self.log_change(request, projection, f"{label}: {outcome.said} Reason: {reason or 'none given'}")

    def _keys(self, chosen: list[str]) -> list[Any]:
        """Return those of the chosen keys that could be of this model's rows."""
        texts = [without_nul(text) for text in chosen]
        return texts if self.opts.pk.get_internal_type() == "CharField" else [key for key in texts if key.isdecimal()]

"""The operations as admin actions; `_operate` does and records each of them."""

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
from events.visible import visible
from projections.base import Mode
from projections.exceptions import ProjectionError
from projections.models import Operation, ProjectionState, Rebuild, Status, Timer
from projections.operations import actions
from projections.operations.status import Report, ReportedStatus

Action = Operation.Action
OPERATE_PERMISSION = "projections.operate_projections"
REASON_CHARACTERS = 1000


@dataclass(frozen=True)
class Button:
    """A button of the form that posts an admin action.

    Attributes:
        action: the name of the admin action.
        label: the text of the button.
        effect: what the action does, in one sentence.
        needs_reason: whether the action is rejected without a reason.
        is_quiet: whether the button is less prominent than the others, because it is seldom the right one.
    """

    action: str
    label: str
    effect: str
    needs_reason: bool = False
    is_quiet: bool = False


PAUSE = Button(Action.PAUSE, "Pause", "Workers handle no more events of the projection until it is resumed.")
RESUME = Button(Action.RESUME, "Resume", "Workers continue, and retry failed events at once.")
REBUILD = Button(
    Action.REBUILD,
    "Rebuild …",
    "Rebuild the rows from the events. The next page says what that takes, and asks.",
    is_quiet=True,
)
CANCEL = Button(Action.CANCEL, "Cancel rebuild", "Drop the rows rebuilt so far. The served rows stay.")
KEEP = Button(Action.KEEP, "Keep rows", "Keep the rows that were there, and start with the next event.")
RETRY_ALL = Button(Action.RETRY, "Retry parked", "Handle all parked events of the projection again, in order.")
RETRY = Button(Action.RETRY, "Retry", "Handle the parked events of this aggregate again, in order.")
SKIP = Button(Action.SKIP, "Skip", "Skip this event permanently, and handle the events behind it.", needs_reason=True)


def buttons_for(report: Report, state: ProjectionState | None) -> list[Button]:
    """Return the buttons that suit the state of a projection. A rejected action returns the reason."""
    if state is None or report.status is ReportedStatus.ORPHANED:
        return []
    if report.status is ReportedStatus.OUTDATED:
        return [REBUILD]
    rebuild: Rebuild | None = getattr(state, "rebuild", None)
    buttons = []
    if state.status == Status.UNDECIDED and rebuild is None:
        return [REBUILD, KEEP]
    if state.status in (Status.PAUSED, Status.STOPPED) or (rebuild and rebuild.error):
        buttons.append(RESUME)
    elif state.status == Status.RUNNING and report.mode == Mode.ASYNC:
        buttons.append(PAUSE)
    if (report.parked or report.retrying) and state.version == report.version:
        buttons.append(RETRY_ALL)
    if rebuild is None:
        buttons.append(REBUILD)
    elif state.status != Status.BUILDING:  # a rebuild in place has deleted the served rows and cannot be cancelled
        buttons.append(CANCEL)
    return buttons


@dataclass(frozen=True)
class ActionResult:
    """The result of an operation.

    Attributes:
        message: the result in one sentence.
        is_complete: whether nothing is left to do.
    """

    message: str
    is_complete: bool = True


def retry_parked(name: str, aggregate_id: str | None, by: str, reason: str) -> ActionResult:
    """Retry the parked events of a projection, of one aggregate or of all."""
    handled, left = actions.retry(name, by=by, reason=reason, aggregate_id=aggregate_id)
    of = f" of {visible(aggregate_id)}" if aggregate_id else ""
    events = "event" if handled == 1 else "events"
    return ActionResult(f"Projection {name}: {handled} parked {events}{of} handled, {left} still parked.", left == 0)


class ReasonForm(ActionForm):
    """The form of the action bar, with a field for the reason that is recorded."""

    reason = forms.CharField(required=False, max_length=REASON_CHARACTERS, label="Reason:")


class OperatingAdmin(BrowsingAdmin):
    """An admin whose actions are operations, for users with the permission; each is recorded, with who did it and why.

    Forms on other pages post to the changelist too. Their field `back` is the URL to return to.
    """

    action_form = ReasonForm

    class Media:
        css = {"all": ["projections/board.css"]}

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(OPERATE_PERMISSION)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method == "POST" and not self.has_operate_permission(request):
            raise PermissionDenied
        return super().changelist_view(request, extra_context)

    def response_action(
        self, request: HttpRequest, queryset: QuerySet, *args: Any, **options: Any
    ) -> HttpResponse | None:
        """Do the action, then return to the page of the form."""
        chosen = request.POST.getlist(ACTION_CHECKBOX_NAME)
        if chosen and not queryset.filter(pk__in=self._keys(chosen)).exists():
            # The form was sent twice, or from a page that was out of date.
            messages.warning(request, "Nothing was done: the chosen row no longer exists.")
            response: HttpResponse | None = HttpResponseRedirect(request.get_full_path())
        else:
            response = super().response_action(request, queryset, *args, **options)
        back = request.POST.get("back", "")
        if isinstance(response, HttpResponseRedirect) and is_path(back):
            return HttpResponseRedirect(back)
        return response

    def _operate(
        self,
        request: HttpRequest,
        row: ProjectionState | Timer,
        action: Action,
        act: Callable[[str, str], ActionResult],
    ) -> None:
        """Do `act(by, reason)`, and show its result, or why it was rejected.

        The operation saves a row of `Operation`, and this method an entry in the admin's log.
        """
        by, reason = request.user.get_username(), " ".join(request.POST.get("reason", "").split())
        try:
            outcome = act(by, reason)
        except ProjectionError as error:
            messages.error(request, str(error))
            return
        messages.add_message(request, messages.SUCCESS if outcome.is_complete else messages.WARNING, outcome.message)
        self.log_change(request, row, f"{action.label}: {outcome.message} Reason: {reason or 'none given'}")

    def _keys(self, chosen: list[str]) -> list[Any]:
        """Return the chosen keys that are valid for this model."""
        texts = [without_nul(text) for text in chosen]
        return texts if self.opts.pk.get_internal_type() == "CharField" else [key for key in texts if key.isdecimal()]


def is_path(address: str) -> bool:
    """Return whether an address is a path of this site, so that a redirect to it is safe."""
    return address.startswith("/") and url_has_allowed_host_and_scheme(address, allowed_hosts=None)

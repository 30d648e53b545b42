"""The timers of reactions: list them, cancel one, fire one now."""

from collections.abc import Callable
from typing import Any

from django.http import Http404
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.status import HTTP_204_NO_CONTENT, HTTP_409_CONFLICT

from events.api import parameters, schema
from events.api import serializers as store_serializers
from events.api.base import StoreView
from events.api.problems import Problem
from events.routing import database
from projections import registry
from projections.api import serializers
from projections.exceptions import OperationRejected
from projections.models import Timer
from projections.reactions import operating

from .base import page_after

OPERATE = "projections.operate_projections"
AFTER = schema.query("after", store_serializers.POSITION, "Timers after this id.")
REACTION = schema.query("reaction", store_serializers.NAME, "Timers of this reaction, which may be gone from the code.")
REASON = schema.query("reason", {"type": "string"}, "The reason, for the record of the operation.")
ERRORS = (*schema.READ_ERRORS, 404, 409)


class OperatePermission(BasePermission):
    """Allow users who may operate projections."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return bool(request.user and request.user.is_authenticated and request.user.has_perm(OPERATE))


class TimerList(StoreView):
    """The timers of the reactions, by id, which is the order in which they were first scheduled."""

    view_permission = "projections.view_timer"
    by_category = False
    parameters = (AFTER, schema.LIMIT, REACTION)

    @schema.operation("list_timers", "The timers of the reactions", serializers.TimerPageSerializer, serializers.TIMERS)
    def get(self, request: Request) -> Response:
        timers = Timer.objects.using(self.store.using).filter(pk__gt=parameters.integer(request, "after", 0))
        if reaction := request.query_params.get("reaction"):
            timers = timers.of(reaction)
        found, following = page_after(self, timers.defer("data", "metadata"), "id")
        return Response({"timers": [_as_dict(timer) for timer in found], "next": following})


class TimerDetail(StoreView):
    """One timer."""

    view_permission = "projections.view_timer"
    by_category = False
    permission_classes = [OperatePermission]
    parameters = post_parameters = (REASON,)

    @schema.operation("cancel_timer", "Cancel a timer", None, None, errors=ERRORS, status=(), no_content=(204,))
    def delete(self, request: Request, timer_id: int) -> Response:
        return _operate(request, timer_id, operating.cancel)


class TimerFiring(StoreView):
    """The firing of a timer now."""

    view_permission = "projections.view_timer"
    by_category = False
    permission_classes = [OperatePermission]
    parameters = post_parameters = (REASON,)

    @schema.operation("fire_timer", "Fire a timer now", None, None, errors=ERRORS, status=(), no_content=(204,))
    def post(self, request: Request, timer_id: int) -> Response:
        return _operate(request, timer_id, operating.fire)


def _operate(request: Request, timer_id: int, act: Callable[..., int]) -> Response:
    timer = Timer.objects.using(database()).filter(pk=timer_id).first()
    if timer is None:
        raise Http404(f"There is no timer {timer_id}; it may have fired or been cancelled")
    reason = request.query_params.get("reason", "")
    try:
        act(timer.reaction, [timer.key], by=request.user.get_username(), reason=reason)
    except OperationRejected as error:
        return Problem(HTTP_409_CONFLICT, str(error))
    return Response(status=HTTP_204_NO_CONTENT)


def _as_dict(timer: Timer) -> dict[str, Any]:
    return {
        "id": timer.pk,
        "reaction": timer.reaction,
        "is_gone": not registry.has_reaction(timer.reaction),
        "key": timer.key,
        "due_at": timer.due_at.isoformat(),
        "scheduled_at": timer.scheduled_at.isoformat(),
        "source_position": timer.source_position,
        "aggregate_id": timer.aggregate_id,
        "type": timer.type,
        "attempts": timer.attempts,
        "next_attempt_at": timer.next_attempt_at.isoformat() if timer.next_attempt_at else None,
        "error": timer.error,
    }

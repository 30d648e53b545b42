"""The read models over HTTP."""

from typing import Any

from django.http import Http404
from rest_framework.request import Request
from rest_framework.response import Response

from events.api.views import PageByAggregateId, StoreView
from projections.models import AggregateActivity


class AggregateActivityList(PageByAggregateId):
    """What has happened to each aggregate, by aggregate id, a page at a time."""

    queryset = AggregateActivity.objects.none()
    parameters = (*PageByAggregateId.parameters, "last_type")
    entries = "activity"

    def get(self, request: Request) -> Response:
        rows = AggregateActivity.objects.all()
        if last_type := request.query_params.get("last_type"):
            rows = rows.filter(last_type=last_type)
        return self.page(rows, activity_as_dict)


class AggregateActivityDetail(StoreView):
    """What has happened to one aggregate."""

    queryset = AggregateActivity.objects.none()

    def get(self, request: Request, aggregate_id: str) -> Response:
        row = AggregateActivity.objects.using(self.store.using).filter(aggregate_id=aggregate_id).first()
        if row is None:
            raise Http404(f"Nothing is known of an aggregate {aggregate_id!r}")
        return Response(activity_as_dict(row))


def activity_as_dict(row: AggregateActivity) -> dict[str, Any]:
    return {
        "aggregate_id": row.aggregate_id,
        "event_count": row.event_count,
        "first_type": row.first_type,
        "first_timestamp": row.first_timestamp.isoformat(),
        "first_recorded_at": row.first_recorded_at.isoformat(),
        "last_type": row.last_type,
        "last_timestamp": row.last_timestamp.isoformat(),
        "last_recorded_at": row.last_recorded_at.isoformat(),
    }

"""The views of aggregates: the list, one aggregate, and its history, which also accepts appends."""

from collections.abc import Sequence
from typing import Any

from django.http import Http404
from rest_framework.request import Request
from rest_framework.response import Response

from events.api import appending, parameters, preconditions, schema, serializers
from events.api.base import ASK_AGAIN, UNCHANGING, EventsView, PageByAggregateId, StoreView
from events.models import Aggregate
from events.storage import reader
from events.validation import check_moment


class AggregateList(PageByAggregateId):
    """Aggregates by id, a page at a time."""

    view_permission = "events.view_aggregate"
    parameters = (*PageByAggregateId.parameters, schema.CATEGORY)
    entries = "aggregates"

    @schema.operation(
        "list_aggregates",
        "Aggregates by id",
        serializers.AggregatePageSerializer,
        {"aggregates": [serializers.ORDER_18], "next": None},
    )
    def get(self, request: Request) -> Response:
        aggregates = Aggregate.objects.all()
        if category := request.query_params.get("category"):
            aggregates = aggregates.in_category(category)
        return self.page(aggregates, aggregate_as_dict)


class AggregateDetail(StoreView):
    """One aggregate, without its events."""

    view_permission = "events.view_aggregate"

    @schema.operation(
        "get_aggregate",
        "One aggregate",
        serializers.AggregateSerializer,
        serializers.ORDER_18,
        errors=(*schema.READ_ERRORS, 404),
        no_content=[304],
        parameters=[schema.IF_CHANGED, schema.ETAG],
    )
    def get(self, request: Request, aggregate_id: str) -> Response:
        self.check_readable(aggregate_id)
        aggregate = Aggregate.objects.using(self.store.using).filter(aggregate_id=aggregate_id).first()
        if aggregate is None:
            raise Http404(f"There is no aggregate {aggregate_id!r}")
        headers = {"ETag": preconditions.etag(aggregate.version), "Cache-Control": ASK_AGAIN}
        if preconditions.is_known(request, aggregate.version):
            return Response(status=304, headers=headers)
        return Response(aggregate_as_dict(aggregate), headers=headers)


class AggregateEvents(EventsView):
    """The history of one aggregate: read it, append to it. One without events has version 0."""

    parameters = (schema.AFTER_VERSION, schema.UP_TO_VERSION, schema.AS_OF, schema.REVERSE, schema.LIMIT)

    @schema.operation(
        "read_history",
        "The history of an aggregate",
        serializers.HistorySerializer,
        {"aggregate_id": "order-18", "version": 1, "events": [serializers.PLACED], "next": None},
        also=serializers.AS_CLOUDEVENTS,
        no_content=[304],
        parameters=[schema.IF_CHANGED, schema.ETAG, schema.LINK],
    )
    def get(self, request: Request, aggregate_id: str) -> Response:
        self.check_readable(aggregate_id)
        limit, reverse = parameters.limit(request), parameters.flag(request, "reverse")
        up_to = parameters.integer(request, "up_to_version", None)
        as_of = parameters.moment_or_none(request, "as_of")
        after = parameters.integer(request, "after_version", 0)
        current = self._version(aggregate_id)
        headers = {"ETag": preconditions.etag(current), "Cache-Control": ASK_AGAIN}
        if preconditions.is_known(request, current):
            return Response(status=304, headers=headers)
        check_moment("as_of", as_of)
        history = reader.history(
            aggregate_id,
            after_version=after,
            up_to_version=up_to,
            as_of=as_of,
            reverse=reverse,
            using=self.store.using,
        )
        events, more = self.fetch(history, limit)
        following = None
        if more:
            last = events[-1].version
            following = self.link(up_to_version=last - 1) if reverse else self.link(after_version=last)
        if as_of is None and _is_complete(events, more, reverse, up_to, current):
            headers["Cache-Control"] = UNCHANGING
        # The version up to which this page shows the history: the expected version for decisions based on it.
        seen = current if as_of is None else min(after, current)
        version = max(event.version for event in (events[0], events[-1])) if events else seen
        return self.page(events, following, headers, aggregate_id=aggregate_id, version=version)

    @schema.operation(
        "append",
        "Append events to an aggregate",
        serializers.AppendedSerializer,
        {"aggregate_id": "order-18", "version": 1, "position": 7, "events": [serializers.PLACED]},
        status=[201, 200],
        also=serializers.AS_CLOUDEVENTS,
        errors=(*schema.APPEND_ERRORS, 412),
        parameters=[schema.IF_MATCH, schema.IF_NONE_MATCH, schema.IDEMPOTENCY_KEY, schema.ETAG],
        request=schema.bodies(here=True),
    )
    def post(self, request: Request, aggregate_id: str) -> Response:
        self.check_appendable(aggregate_id)
        stored = appending.append(self, appending.read(request, aggregate_id))
        version = stored[-1].version if stored else self._version(aggregate_id)
        headers = {"ETag": preconditions.etag(version)}
        return self.appended(stored, headers, aggregate_id=aggregate_id, version=version)

    def _version(self, aggregate_id: str) -> int:
        versions = Aggregate.objects.using(self.store.using).filter(aggregate_id=aggregate_id)
        return versions.values_list("version", flat=True).first() or 0


def aggregate_as_dict(aggregate: Aggregate) -> dict[str, Any]:
    return {
        "aggregate_id": aggregate.aggregate_id,
        "category": aggregate.category,
        "version": aggregate.version,
        "created_at": aggregate.created_at.isoformat(),
        "updated_at": aggregate.updated_at.isoformat(),
    }


def _is_complete(events: Sequence[Any], more: bool, reverse: bool, up_to: int | None, current: int) -> bool:
    """Return whether a page can never change, because no future event belongs to it."""
    ends_below = up_to is not None and up_to <= current
    return ends_below if reverse else ends_below or more

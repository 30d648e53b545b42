"""What a type checker makes of reactions; read as `public_api` is."""

from collections.abc import Sequence
from datetime import timedelta
from typing import assert_type

from django.utils import timezone

from events.domain import Aggregate, DomainEvent, Repository, creates
from events.models import Event
from events.types import NewEvent
from projections.base import FIRST_EVENT, handles
from projections.exceptions import Unavailable
from projections.reactions import EXTERNAL, INTERNAL, Actions, Reaction


class OrderPaid(DomainEvent):
    method: str


class Parcel(Aggregate, category="parcel"):
    @creates
    def pack(self, address: str, *, weight: int = 0) -> None: ...


parcels = Repository(Parcel)


class Parcels(Reaction):
    name = "parcels"
    start = FIRST_EVENT
    effects = INTERNAL

    @handles(OrderPaid)
    def pack(self, event: Event[OrderPaid], do: Actions) -> None:
        assert_type(event.payload.method, str)
        assert_type(do.idempotency_key, str)
        do.handle(parcels, event.aggregate_id, Parcel.pack, "1 Long Street", weight=5)
        do.handle(parcels, event.aggregate_id, Parcel.pack, 1)  # type: ignore[arg-type]
        do.handle(parcels, event.aggregate_id, Parcel.pack)  # type: ignore[call-arg]
        do.handle(parcels, event.aggregate_id, Parcel.pack, "1 Long Street", height=5)  # type: ignore[call-arg]
        do.dispatch(NewEvent("parcel-1", "ParcelRequested"), key="parcel")
        do.dispatch("parcel-1")  # type: ignore[arg-type]
        do.schedule(NewEvent("parcel-1", "ParcelLate"), key="late", after=timedelta(days=1))
        do.schedule(NewEvent("parcel-1", "ParcelLate"), key="late", at=timezone.now())
        do.schedule(NewEvent("parcel-1", "ParcelLate"))  # type: ignore[call-arg]
        assert_type(do.cancel("late"), bool)

    @handles(OrderPaid)
    def forgets_to_take_the_actions(self, event: Event[OrderPaid]) -> None: ...


class Batches(Reaction):
    name = "batches"
    effects = EXTERNAL
    time_limit_seconds = 5

    def project_batch(self, events: Sequence[Event], do: Actions) -> None:
        for event in events:
            assert_type(do.idempotency_key_of(event), str)
            with do.because_of(event):
                do.dispatch(NewEvent("a-1", "Sent"))
        raise Unavailable("away", retry_after_seconds=5, done=events[0].position)

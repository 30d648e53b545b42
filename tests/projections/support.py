"""Helpers for tests of projections: the rows they made, and workers in this process."""

from typing import Any

from projections import registry
from projections.base import Projection
from projections.models import Checkpoint
from projections.workers.worker import Until, Worker
from tests.readmodels.models import Case, FragileNote, ShardedTotal, Step, Total


def catch_up(*names: str) -> None:
    """Let a worker in this process do all there is to do, rebuilds included."""
    Worker(registry.named(names), until=Until.CAUGHT_UP).run()


def checkpoint(name: str) -> Checkpoint:
    return Checkpoint.objects.live().get(projection=name)


def tally() -> dict[str, int]:
    return dict(Total.objects.values_list("key", "count"))


def sharded() -> dict[str, list[int]]:
    return dict(ShardedTotal.objects.values_list("aggregate_id", "versions"))


def notes() -> list[tuple[str, int]]:
    return list(FragileNote.objects.order_by("pk").values_list("aggregate_id", "version"))


def cases() -> tuple[list[Any], list[Any]]:
    """The content of both tables, without the generated keys."""
    return (
        list(Case.objects.order_by("case_id").values_list("case_id", "last_activity", "steps")),
        list(
            Step.objects.order_by("case__case_id", "number").values_list(
                "case__case_id", "number", "activity", "resource"
            )
        ),
    )


def instance(projection: type[Projection]) -> Projection:
    return registry.get(projection.name)

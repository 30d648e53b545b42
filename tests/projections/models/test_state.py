"""The rows that keep the state of projections."""

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from projections.models import Build, Checkpoint, ParkedEvent, ProjectionState, Status

pytestmark = pytest.mark.django_db


@pytest.fixture
def state() -> ProjectionState:
    return ProjectionState.objects.create(name="mine", mode="async", version=2)


def checkpoint(state: ProjectionState, **fields: Any) -> Checkpoint:
    return Checkpoint.objects.create(**{"projection": state, "version": 2, "position": 7, **fields})


def test_projection_runs_from_its_first_event_unless_it_is_told_otherwise(state: ProjectionState) -> None:
    assert (state.status, state.start_position) == (Status.RUNNING, 0)


def test_checkpoints_of_a_rebuild_are_apart_from_those_that_are_served(state: ProjectionState) -> None:
    live, rebuild = checkpoint(state), checkpoint(state, build=Build.REBUILD)
    mine = Checkpoint.objects.filter(projection=state)
    assert (mine.live().get(), mine.of_rebuild().get()) == (live, rebuild)
    with transaction.atomic():
        assert mine.lock() == [live, rebuild]


def test_shard_has_one_checkpoint(state: ProjectionState) -> None:
    checkpoint(state)
    with pytest.raises(IntegrityError), transaction.atomic():
        checkpoint(state)
    assert str(checkpoint(state, shard=1, shards=2)) == "mine live 2/2 at 7"


def test_parked_events_are_those_that_failed_and_those_behind_them(state: ProjectionState) -> None:
    fields = {"projection": state, "aggregate_id": "a-1", "type": "T"}
    behind = ParkedEvent.objects.create(position=2, **fields)
    failed = ParkedEvent.objects.create(position=1, error="broken", **fields)
    ParkedEvent.objects.create(position=1, build=Build.REBUILD, **fields)
    parked = ParkedEvent.objects.of(checkpoint(state))
    assert list(parked) == [failed, behind]
    assert list(parked.failed()) == [failed]

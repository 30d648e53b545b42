"""The store does what its model does, whatever is done to it: generated steps, everything compared after each.

`make model` takes many more steps, other ones each time.
"""

import logging
import os
import secrets
import time
from collections.abc import Iterator
from itertools import count
from typing import Any

import psycopg
import pytest
from django.db import connection
from hypothesis import HealthCheck, seed
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import run_state_machine_as_test

from projections import registry
from projections.workers import scheduler
from tests.model.machine import StoreMachine, empty_the_store
from tests.model.store_model import MAX_DEPTH
from tests.readmodels.projections import Broken, Cases, Fragile, ShardedTally, Tally

pytestmark = pytest.mark.django_db(transaction=True)

STEPS_OF_AN_EXAMPLE = 40
MORE_ATTEMPTS = 4
"""How often more steps are taken because some outcome has not been met yet."""


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[type[StoreMachine]]:
    """The machine, in a store of small pages and batches, so that they end where it matters."""
    settings.EVENTS_MAX_DISPATCH_DEPTH = MAX_DEPTH
    settings.EVENTS_MAX_EVENT_BYTES = 1500
    settings.EVENTS_READ_PAGE_EVENTS = 7
    for projection, batch_events in ((Tally, 2), (ShardedTally, 2), (Cases, 5), (Fragile, 3)):
        monkeypatch.setattr(projection, "batch_events", batch_events)
    for name in ("event_type_activity", "daily_activity"):
        monkeypatch.setattr(type(registry.get(name)), "batch_events", 4)
    monkeypatch.setattr(Fragile, "retry_delays_seconds", ())
    monkeypatch.setattr(scheduler, "PLAN_SECONDS", 0.0)  # a worker that waits for nobody need not wait

    class Machine(StoreMachine):
        def __init__(self) -> None:
            super().__init__()
            monkeypatch.setattr(Fragile, "check", lambda projection, event: self.check_poison())

        def check_poison(self) -> None:
            if not self.is_mended:
                raise Broken("cannot handle poison")

    logging.disable(logging.ERROR)  # what on-commit handlers raise, and every rebuild
    StoreMachine.steps = 0
    StoreMachine.outcomes.clear()
    parameters = connection.get_connection_params()
    known = {name: parameters[name] for name in ("dbname", "user", "password", "host", "port") if parameters.get(name)}
    with psycopg.connect(**known, autocommit=True) as StoreMachine.outside:
        yield Machine
    logging.disable(logging.NOTSET)
    empty_the_store()


RARE_OUTCOMES = {"DispatchTooDeep", "held back", "rebuild beside", "rebuild in place"}
OUTCOMES = RARE_OUTCOMES | {
    *("stored", "retry", "checked", "commit", "rolled back", "savepoint rolled back", "caught up"),
    *("VersionConflict", "DuplicateEvent", "InvalidEvent", "Broken"),
}


def test_store_does_what_its_model_does(machine: type[StoreMachine]) -> None:
    wanted_steps = int(os.environ.get("MODEL_STEPS", "0"))
    wanted_outcomes = OUTCOMES if wanted_steps else OUTCOMES - RARE_OUTCOMES
    started = time.monotonic()
    for attempt in count():
        # The normal tests take the same steps each time; many more of them are other ones each time.
        run_state_machine_as_test(
            seed(secrets.randbits(64) if wanted_steps else attempt)(machine),
            settings=hypothesis_settings(
                max_examples=100 if wanted_steps else 16,
                stateful_step_count=STEPS_OF_AN_EXAMPLE,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
        print(f"{machine.steps:,} steps", flush=True)
        missing = sorted(outcome for outcome in wanted_outcomes if not machine.outcomes[outcome])
        if machine.steps >= wanted_steps and (not missing or attempt >= MORE_ATTEMPTS):
            break
    print(f"\n{machine.steps:,} steps in {time.monotonic() - started:.0f} s; {dict(machine.outcomes)}")
    # A machine that has never come there has shown nothing about it.
    assert not missing, f"never: {', '.join(missing)}"

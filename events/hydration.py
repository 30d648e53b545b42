"""Model instances from stored rows without `Model.__init__`, which does more work than a stored row needs.

This module depends on an internal of Django: the attributes of a model instance and of its `_state`. Checked with
Django 5.2 and 6.1; `tests/events/test_hydration.py` compares such instances with instances that Django makes.
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from django.db import models
from django.db.models.base import ModelState
from django.db.models.signals import post_init, pre_init

Instance = TypeVar("Instance", bound=models.Model)


def is_initialization_observed(model: type[models.Model]) -> bool:
    """Return whether `pre_init` or `post_init` has a receiver for `model`; then Django must create the instances."""
    # `has_listeners` is slow even without receivers.
    return any(signal.receivers and signal.has_listeners(model) for signal in (pre_init, post_init))


def hydrate(
    model: type[Instance], rows: Iterable[dict[str, Any]], using: str | None, state: Mapping[str, Any]
) -> list[Instance]:
    """Return an instance for each of `rows`; each row has the attributes by name and becomes the instance's `__dict__`.

    Args:
        state: further attributes of `_state`; Django 6.1 passes a `fetch_mode`.
    """
    instances = []
    for row in rows:
        instance = model.__new__(model)
        row["_state"] = of_row = ModelState()
        of_row.__dict__ = {**state, "adding": False, "db": using}
        instance.__dict__ = row
        instances.append(instance)
    return instances

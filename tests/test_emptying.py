"""The database is empty after a test that commits, as `flush` and `post_migrate` would leave it."""

from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command

from events.models import Event
from events.store import EventStore
from projections.models import Checkpoint, ParkedEvent, ProjectionState
from projections.workers.worker import Until, Worker
from tests import emptying
from tests.readmodels.models import Case, Note, Step
from tests.support import new, some

pytestmark = pytest.mark.django_db(transaction=True)

# What differs from one time to the next, and means nothing.
TIMES = ("moved_at", "status_since")


def content() -> dict[str, list[Any]]:
    """Every row there is, by table; generated keys of checkpoints left out."""
    found = {}
    for model in apps.get_models(include_auto_created=True):
        left_out = {*TIMES, "id"} if model is Checkpoint else {*TIMES}
        names = [field.attname for field in model._meta.concrete_fields if field.attname not in left_out]
        if rows := sorted(model._base_manager.values_list(*names), key=repr):
            found[model._meta.db_table] = rows
    return found


def fill(number: int) -> None:
    EventStore().dispatch(*some(number), new("a-2", "Fragile", data={"poison": 1}), new("a-3", "Counted"))
    Worker(until=Until.CAUGHT_UP).run()
    assert ParkedEvent.objects.exists()
    Note.objects.create(case=Case.objects.first())
    User.objects.create_user("somebody").user_permissions.add(
        Permission.objects.create(content_type=ContentType.objects.create(app_label="x", model="y"), codename="z")
    )
    ProjectionState.objects.filter(pk="tally").update(status="paused")


@pytest.mark.parametrize("number", [1, emptying.FEW_ROWS + 1])
def test_nothing_is_left_that_flush_would_remove(number: int) -> None:
    """Few rows are deleted, and more are truncated, whatever refers to them."""
    call_command("flush", interactive=False, verbosity=0)
    before = content()
    assert before.keys() >= {"auth_permission", "django_content_type", "projections_projectionstate"}
    fill(number)
    assert Step.objects.count() > number
    emptying.empty("default")
    assert content() == before


def test_it_is_what_empties_the_database_after_tests() -> None:
    EventStore().dispatch(new())
    case = type("AnyTest", (emptying.TransactionTestCase,), {"databases": {"default"}})
    case._fixture_teardown(case.__new__(case))  # type: ignore[attr-defined]
    assert not Event.objects.exists()

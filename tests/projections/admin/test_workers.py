"""Workers in the admin."""

import re
from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from projections.models import Heartbeat
from tests.projections.admin.support import LIST, read

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(("seconds", "word"), [(1, "alive"), (60, "silent")])
def test_worker_that_is_not_heard_of_is_silent(client_of: Callable[..., Client], seconds: int, word: str) -> None:
    seen = timezone.now() - timedelta(seconds=seconds)
    Heartbeat.objects.create(id=uuid4(), host="host", pid=7, started_at=seen, seen_at=seen, projections="tally")
    viewer = client_of("projections.view_projectionstate", "projections.view_heartbeat")
    page = read(viewer, LIST)
    assert re.search(rf"host:7.*>{word}<.*\d s ago", page, re.DOTALL)
    assert ("silent" in read(viewer, "/admin/projections/heartbeat/")) == (word == "silent")

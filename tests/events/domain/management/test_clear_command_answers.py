"""Old answers to commands are removed."""

from datetime import timedelta
from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.utils import timezone

from events.domain.models import CommandAnswer


@pytest.mark.django_db
def test_answers_of_some_age_are_removed() -> None:
    for days in (0, 10, 29, 31, 100):
        answer = CommandAnswer.objects.create(key=uuid4(), body_digest=b"")
        CommandAnswer.objects.filter(pk=answer.pk).update(handled_at=timezone.now() - timedelta(days=days))

    def removed(**options: int) -> str:
        out = StringIO()
        call_command("clear_command_answers", stdout=out, **options)
        return out.getvalue()

    assert removed() == "2 answers removed.\n"
    assert removed(days=20) == "1 answer removed.\n"
    assert CommandAnswer.objects.count() == 2

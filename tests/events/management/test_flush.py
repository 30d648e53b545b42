"""`flush` empties test databases only."""

import pytest
from django.core.management import CommandError, call_command

from events.models import Event

pytestmark = pytest.mark.django_db


@pytest.mark.django_db(transaction=True)
def test_flush_empties_test_databases_only(event: Event, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.core import mail

    with monkeypatch.context() as patch:
        patch.delattr(mail, "outbox")
        with pytest.raises(CommandError, match="Rejected: flush would remove every event"):
            call_command("flush", interactive=False, verbosity=0)
    assert Event.objects.count() == 1
    call_command("flush", interactive=False, verbosity=0)
    assert Event.objects.count() == 0

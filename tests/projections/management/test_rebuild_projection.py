"""The command that rebuilds."""

from typing import Any

import pytest
from django.core.management import CommandError, call_command

from events.store import EventStore
from tests.projections.support import tally
from tests.support import new

pytestmark = pytest.mark.django_db(transaction=True)


def test_command_asks_names_what_is_wrong_and_reports(store: EventStore, capsys: Any) -> None:
    store.dispatch(new("a-1", "Counted"))
    with pytest.raises(CommandError, match=r"There is no projection 'nothing'; registered projections: .*tally"):
        call_command("rebuild_projection", "nothing", yes=True)
    with pytest.raises(CommandError, match="pass --yes"):
        call_command("rebuild_projection", "tally")
    call_command("rebuild_projection", "tally", yes=True)
    assert "tally is rebuilt: version 1, up to position" in capsys.readouterr().out
    call_command("rebuild_projection", "tally", yes=True, in_place=True)
    assert tally() == {"all": 1, "a-1": 1}

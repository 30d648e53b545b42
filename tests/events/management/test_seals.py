"""The commands that seal, verify and print the digest."""

import pytest
from django.core.management import CommandError, call_command

from events.integrity import seals
from events.models import Event
from events.store import EventStore
from tests.events.integrity.support import SQL, tamper, verify
from tests.support import some

pytestmark = pytest.mark.django_db


def test_commands(store: EventStore, sealed: list[Event], capsys: pytest.CaptureFixture[str]) -> None:
    store.dispatch(*some(3))
    call_command("events_digest")
    out, err = capsys.readouterr()
    assert out == f"{seals.newest_digest('default')}\n"
    assert "Not sealed yet: 3 events; the first was stored at 2" in err
    call_command("seal_events")
    last = Event.objects.latest("position").position
    assert f"3 events sealed. Seals reach up to position {last}." in capsys.readouterr().out
    call_command("verify_events", against=out)
    assert f"Verified: 15 events in 4 seals, all from position 1 to {last}" in (text := capsys.readouterr().out)
    assert "match the digest.\nEvery event is sealed." in text

    tamper(f"{SQL} type = 'Other' WHERE position = %(sixth)s", sixth=sealed[5].position)
    named = r"The event at position \d+ \(Other, version 2 of c-1\) .*\nVerified before it: 5 events\."
    with pytest.raises(CommandError, match=named):
        call_command("verify_events")
    call_command("verify_events", "--from", str(last))
    text = capsys.readouterr().out
    assert f"Verified: 3 events in 1 seal, all from position {sealed[-1].position + 1} to {last}" in text
    assert f"The events up to position {sealed[-1].position} were not verified." in text
    for beyond in (0, -1, last + 1):
        with pytest.raises(CommandError, match=f"--from: give a position from 1 to {last}"):
            call_command("verify_events", f"--from={beyond}")
    with pytest.raises(CommandError, match="--against: 'x' is not a digest; give it as events_digest prints it"):
        call_command("verify_events", against="x")
    with pytest.raises(CommandError, match="leave out --from"):
        call_command("verify_events", "--from=7", against=out)
    with pytest.raises(CommandError, match="there is no 'other' in DATABASES"):
        call_command("seal_events", database="other")


def test_digest_of_nothing_is_none() -> None:
    with pytest.raises(CommandError, match="Nothing is sealed yet: run seal_events"):
        call_command("events_digest")
    assert verify().events == 0

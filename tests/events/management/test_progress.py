"""The progress bar shows on a terminal only."""

import sys

import pytest

from events.management.progress import progress


@pytest.mark.parametrize("is_terminal", [True, False])
def test_bar_shows_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], is_terminal: bool
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress() as bar:
        task = bar.add_task("Importing", total=2000, events=0)
        bar.update(task, completed=1000, events=1000)
    out, err = capsys.readouterr()
    assert out == ""
    assert ("Importing" in err and "1,000 events" in err) is is_terminal

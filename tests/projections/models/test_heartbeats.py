"""A worker is alive until it has been silent for longer than a handler may take."""

from datetime import timedelta

from django.utils import timezone

from projections.models import MAX_SILENCE, Heartbeat


def test_worker_is_alive_until_it_is_silent() -> None:
    now = timezone.now()
    assert Heartbeat(seen_at=now - MAX_SILENCE + timedelta(seconds=5)).is_alive
    assert not Heartbeat(seen_at=now - MAX_SILENCE).is_alive


def test_worker_says_what_it_works_for() -> None:
    assert Heartbeat(projections=["a", "b"]).works_for == "a, b"
    assert Heartbeat(projections=["a"], rebuilds_only=True).works_for == "rebuild of a"

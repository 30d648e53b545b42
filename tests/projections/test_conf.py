"""The settings of the projections."""

from typing import Any

from projections.conf import ProjectionsSettings, conf


def test_setting_is_read_when_it_is_used(settings: Any) -> None:
    assert conf.max_lag_seconds == 60
    settings.PROJECTIONS_MAX_LAG_SECONDS = 5
    assert (conf.max_lag_seconds, type(conf.max_lag_seconds)) == (5, float)


def test_delays_are_a_sequence_of_any_length(settings: Any) -> None:
    settings.PROJECTIONS_RETRY_DELAYS_SECONDS = []
    assert conf.retry_delays_seconds == ()


def test_read_models_are_off_unless_the_project_asks_for_them() -> None:
    switches = ProjectionsSettings.settings_of(bool)
    assert len(switches) == 4
    bare = ProjectionsSettings()
    assert all(name.startswith("PROJECTIONS_") for name in switches)
    assert bare.seals is True, "the tests' settings ask for it"

"""The settings of the projections."""

from typing import Any

from events.setting_kinds import Switch
from projections.conf import ProjectionsSettings, conf


def test_setting_is_read_when_it_is_used(settings: Any) -> None:
    assert conf.max_lag_seconds == 60
    settings.PROJECTIONS_MAX_LAG_SECONDS = 5
    assert (conf.max_lag_seconds, type(conf.max_lag_seconds)) == (5, float)


def test_delays_are_a_sequence_of_any_length(settings: Any) -> None:
    settings.PROJECTIONS_RETRY_DELAYS_SECONDS = []
    assert conf.retry_delays_seconds == ()


def test_read_models_are_off_unless_the_project_asks_for_them(settings: Any) -> None:
    switches = [name for name, annotation in ProjectionsSettings.__annotations__.items() if annotation is Switch]
    assert len(switches) == 4
    for name in switches:
        assert getattr(conf, name) is True, "the tests' settings ask for it"
        delattr(settings, conf.setting(name))
        assert getattr(ProjectionsSettings(), name) is False

"""The addresses that each URLconf has."""

from importlib import import_module

import pytest

from events.api.views.everywhere import EVERYWHERE


@pytest.mark.parametrize("urls", ["events.api.urls", "projections.api.urls"])
def test_each_urlconf_has_the_root_the_probes_the_metrics_and_the_problems(urls: str) -> None:
    names = [each.name for each in import_module(urls).urlpatterns]
    assert [name for _, _, name in EVERYWHERE] == ["root", "liveness", "readiness", "metrics", "problem-type"]
    assert {name for _, _, name in EVERYWHERE} <= set(names)

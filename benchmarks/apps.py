"""The app that registers the measured projections, in worker processes too."""

from django.apps import AppConfig


class BenchmarksConfig(AppConfig):
    name = "benchmarks"

    def ready(self) -> None:
        from benchmarks.readmodels import ByEvent, BySets, Failing, Selective, Sharded, WithFollowUps, WithTimers
        from projections.registry import register

        for projection in (ByEvent, BySets, Failing, Selective, Sharded, WithFollowUps, WithTimers):
            register(projection)

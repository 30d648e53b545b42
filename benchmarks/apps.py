"""What is measured, as an app: so that worker processes know of it."""

from django.apps import AppConfig


class BenchmarksConfig(AppConfig):
    name = "benchmarks"

    def ready(self) -> None:
        from projections.registry import register

        from .readmodels import ByEvent, BySets, Selective, Sharded

        for projection in (ByEvent, BySets, Selective, Sharded):
            register(projection)

"""Tests of `Event[OrderPaid]`, which only type checkers take apart; tests/typing shows what they make of it."""

from typing import Any

from django.db.migrations.state import ModelState

from events.models import Event


def test_an_event_of_a_payload_class_is_the_model_at_run_time() -> None:
    class OrderPaid:
        pass

    def handler(event: Event[OrderPaid], **kwargs: Any) -> None: ...

    assert Event[OrderPaid] is Event
    assert Event[OrderPaid | str] is Event
    assert handler.__annotations__["event"] is Event


def test_migrations_of_events_have_plain_models_as_bases() -> None:
    assert [getattr(base, "__name__", base) for base in ModelState.from_model(Event).bases] == ["Model"]

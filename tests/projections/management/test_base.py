"""Commands of operators: who gives them, and how they report."""

import getpass
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from projections.exceptions import OperationRejected
from projections.management.base import OperationCommand, operator

pytestmark = pytest.mark.django_db  # a command sees to it that autocommit is on


class Command(OperationCommand):
    requires_system_checks: list[str] = []

    def operate(self, name: str, by: str, reason: str, options: dict[str, Any]) -> str:
        if name == "wrong":
            raise OperationRejected("not now")
        return f"{name} by {by}: {reason}"


def test_command_passes_name_operator_and_reason(capsys: pytest.CaptureFixture[str]) -> None:
    call_command(Command(), "tally", reason="a look")
    assert capsys.readouterr().out == f"tally by {operator()}: a look\n"


def test_rejection_is_an_error_of_the_command() -> None:
    with pytest.raises(CommandError, match="not now"):
        call_command(Command(), "wrong")


@pytest.mark.parametrize("error", [KeyError, OSError])
def test_account_without_a_name_is_the_command(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    def fail() -> str:
        raise error

    monkeypatch.setattr(getpass, "getuser", fail)
    assert operator() == "manage.py"

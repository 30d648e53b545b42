"""Every setting of both apps rejects the values that people give by mistake."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from events.checks import check_settings
from events.conf import AppSettings
from events.conf import conf as events_conf
from events.setting_kinds import (
    AppendOverHttp,
    Categories,
    Delays,
    LockSeconds,
    Number,
    Rates,
    Seconds,
    Secret,
    Source,
    Switch,
    UnknownTypes,
)
from projections.checks import check_settings as check_projections_settings
from projections.conf import conf as projections_conf

WRONG_SECONDS = [0, -1, -0.5, "5", "00:00:05", timedelta(seconds=5), Decimal(5), [5], None, True, 1e300]
WRONG_SECONDS += [float("inf"), float("nan")]
# A kind that is missing here has no test. The comment says what a value is mistaken for.
WRONG: dict[Any, list[Any]] = {
    Number: [0, -1, "10", "1_000", 1.5, 10.0, None, True, [10], 2**31, float("nan")],
    Seconds: WRONG_SECONDS,
    LockSeconds: [*WRONG_SECONDS, 2_000_001],  # PostgreSQL's `lock_timeout` would overflow
    Switch: ["False", "false", "", "0", 0, 1, None, []],
    Delays: ["5", 5, "1,2", None, {0: 5}, b"12", ["5"], [-1], [True], [None], [1, timedelta(1)], [float("inf")], [[1]]],
    Categories: [
        *("order", b"order", "order, cart", 5, None, {"order": True}, True),
        *(["order-1"], [""], ["x" * 81], [5], [None], [["order"]], ["a\0"], ["a\n"], ["\ud800"]),
    ],
    Rates: [
        *("10/min", ["10/min"], None, 10, {"append"}, {"reading": "1/min"}, {"Append": "1/min"}, {5: "1/min"}),
        *({"read": each} for each in ("often", 5, None, "1/month", "0/min", "-1/min", "1 / min", "1/min ", ["1/min"])),
    ],
    AppendOverHttp: ["", "All", "some", True, None, 5, ["all"], b"all"],
    UnknownTypes: ["", "Allow", "forbid", True, None, 5, ["allow"], b"allow"],
    Secret: [None, 5, b"secret", ["secret"], True, "a secret", "sécret", "secret\n"],
    Source: ["", "a shop", "https://shop.example/ä", None, 5, b"/events", ["/events"], "/a\n"],
}
SETTINGS = [
    pytest.param(conf, name, check, id=conf.setting(name))
    for conf, check in ((events_conf, check_settings), (projections_conf, check_projections_settings))
    for name in type(conf).__annotations__
]


@pytest.mark.parametrize(("conf", "name", "check"), SETTINGS)
def test_wrong_values_of_a_setting_are_errors(conf: AppSettings, name: str, check: Any) -> None:
    setting = conf.setting(name)
    assert check() == []
    for wrong in WRONG[type(conf).__annotations__[name]]:
        with override_settings(**{setting: wrong}):
            errors = check()
            assert [error.msg.partition(setting)[0] for error in errors] != [], f"{wrong!r} passes"
            assert all(
                error.hint.startswith("Give ") and error.hint.endswith(", or remove the setting.") for error in errors
            )
            with pytest.raises(ImproperlyConfigured, match=setting):
                getattr(conf, name)


def test_error_names_the_part_that_is_wrong() -> None:
    with override_settings(
        EVENTS_CATEGORY_PERMISSIONS=["order", "cart-1"], EVENTS_API_THROTTLE_RATES={"read": "often", "get": "1/s"}
    ):
        assert [error.msg for error in check_settings()] == [
            "EVENTS_API_THROTTLE_RATES['read'] is 'often'.",
            "EVENTS_API_THROTTLE_RATES['get'] is '1/s'.",
            "EVENTS_CATEGORY_PERMISSIONS[1] is 'cart-1'.",
        ]

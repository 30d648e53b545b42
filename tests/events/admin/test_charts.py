"""Charts show their numbers."""

import pytest

from events.admin.charts import COLOURS, short, stacked_bars

pytestmark = pytest.mark.django_db


def test_bars_stand_for_their_numbers() -> None:
    chart = stacked_bars(["a", "b", "c"], {"order": [1, 0, 4], "cart": [2, 0, 0]})
    assert [(each.colour, each.height, each.y) for each in chart.segments] == [(0, 25, 75), (1, 50, 25), (0, 100, 0)]
    assert [(each.number, each.y, each.tick) for each in chart.bars] == [
        ("3", 25, "a"),
        ("", 100, "b"),
        ("4", 0, "now"),
    ]
    assert chart.highest == ("c", 4)
    assert chart.rows == [("a", (1, 2), 3), ("b", (0, 0), 0), ("c", (4, 0), 4)]
    assert chart.segments[1].text == "a: 2 cart"


def test_beyond_the_colours_there_is_one_for_the_rest() -> None:
    numbers = {f"c{n}": [10 - n, 1] for n in range(COLOURS + 3)}
    chart = stacked_bars(["a", "b"], numbers)
    assert [name for name, *_ in chart.series] == [*list(numbers)[:COLOURS], "3 others"]
    assert chart.series[-1][2:] == ([4 + 3 + 2, 3], 12)
    assert sum(total for *_, total in chart.rows) == sum(map(sum, numbers.values()))
    assert len(stacked_bars(["a"], {f"c{n}": [1] for n in range(COLOURS + 1)}).series) == COLOURS + 1


def test_rare_series_share_a_colour() -> None:
    """Aggregate ids without a kind make each aggregate a category."""
    chart = stacked_bars(["a"], {"order": [60_000], "cart": [8_000], **{f"{n:x}": [1] for n in range(4_000)}})
    assert [(name, total) for name, *_, total in chart.series] == [
        ("order", 60_000),
        ("cart", 8_000),
        ("4,000 others", 4_000),
    ]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (7, "7"),
        (9999, "9,999"),
        (10_000, "10.0k"),
        (99_999, "99.9k"),
        (123_456, "123k"),
        (1_234_567, "1.2M"),
        (10**9 + 1, "1.0G"),
        (10**12, "1.0T"),
    ],
)
def test_numbers_above_bars_are_short(number: int, text: str) -> None:
    assert short(number) == text


def test_numbers_that_do_not_fit_beside_each_other_are_turned() -> None:
    bars = 24
    assert stacked_bars(["a"] * bars, {"x": [7] * bars}).fits == "all"
    assert stacked_bars(["a"] * bars, {"x": [1234] * bars}).fits == "wide"
    assert stacked_bars(["a"] * 60, {"x": [1234] * 60}).fits == "none"


def test_chart_of_nothing_is_drawn() -> None:
    chart = stacked_bars(["a", "b"], {})
    assert (chart.highest, list(chart.segments), chart.rows) == (None, [], [("a", (), 0), ("b", (), 0)])

"""Charts show their numbers."""

import pytest

from events.admin.charts import COLOURS, HEIGHT, stacked_bars

pytestmark = pytest.mark.django_db


def test_bars_stand_for_their_numbers() -> None:
    chart = stacked_bars(["a", "b", "c"], {"order": [1, 0, 4], "cart": [2, 0, 0]})
    assert chart.top == 5
    assert [(each.colour, each.height, each.y) for each in chart.segments] == [
        (0, HEIGHT / 5, HEIGHT * 4 / 5),
        (1, HEIGHT * 2 / 5, HEIGHT * 2 / 5),
        (0, HEIGHT * 4 / 5, HEIGHT / 5),
    ]
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
    ("most", "top"), [(0, 1), (1, 1), (2, 2), (3, 5), (7, 10), (10, 10), (11, 20), (999, 1000), (10**9 + 1, 2 * 10**9)]
)
def test_axis_ends_at_a_number_that_reads_well(most: int, top: int) -> None:
    assert stacked_bars(["a"], {"x": [most]}).top == top


def test_chart_of_nothing_is_drawn() -> None:
    chart = stacked_bars(["a", "b"], {})
    assert (chart.top, list(chart.segments), chart.rows) == (1, [], [("a", (), 0), ("b", (), 0)])

"""Charts as SVG from the server: they need no script, use the theme's colours, and have a table of their data."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from .visible import visible

# The number of categories with their own colour; the others share one.
COLOURS = 6
# Below this part of all events, a category shares it too, if they are too many: bare UUIDs or numbers as aggregate ids
# make each aggregate a category.
RARE = 0.01
BAR, GAP, HEIGHT = 8, 2, 100


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A part of a bar, in the units of the drawing."""

    x: float
    y: float
    height: float
    width: float = BAR
    colour: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart of stacked bars.

    Attributes:
        width: the width of the drawing, whose height is 100.
        top: the number at the upper edge.
        segments: the segments of the bars.
        labels: the labels of the bars.
        series: the name, colour, numbers and total of each series, the largest first.
        rows: the label, numbers and total of each bar, for the table.
    """

    width: float
    top: int
    segments: Sequence[Segment]
    labels: Sequence[str]
    series: Sequence[tuple[str, int, Sequence[int], int]]
    rows: Sequence[tuple[str, Sequence[int], int]]

    @property
    def middle(self) -> str:
        """The label in the middle of the axis."""
        return self.labels[len(self.labels) // 2]


def stacked_bars(labels: Sequence[str], numbers: dict[str, list[int]]) -> Chart:
    """Return a chart with a bar for each label.

    Args:
        numbers: a number for each label, by series, the largest series first.
    """
    stacked = _merge_small_series({visible(name): values for name, values in numbers.items()})
    columns = list(zip(*(values for _, values in stacked), strict=True)) or [()] * len(labels)
    top = _round_up(max(map(sum, columns), default=0))
    segments = [
        Segment(
            x=bar * (BAR + GAP) + GAP / 2,
            y=HEIGHT - HEIGHT * reached / top,
            height=HEIGHT * number / top,
            colour=colour,
            text=f"{label}: {number:,} {stacked[colour][0]}",
        )
        for bar, (label, column) in enumerate(zip(labels, columns, strict=True))
        for colour, (number, reached) in enumerate(zip(column, accumulate(column), strict=True))
        if number
    ]
    return Chart(
        width=len(labels) * (BAR + GAP),
        top=top,
        segments=segments,
        labels=labels,
        series=[(name, colour, values, sum(values)) for colour, (name, values) in enumerate(stacked)],
        rows=[(label, column, sum(column)) for label, column in zip(labels, columns, strict=True)],
    )


def _merge_small_series(numbers: dict[str, list[int]]) -> list[tuple[str, list[int]]]:
    stacked = list(numbers.items())
    if len(stacked) <= COLOURS + 1:
        return stacked
    least = RARE * sum(map(sum, numbers.values()))
    own = [(name, values) for name, values in stacked[:COLOURS] if sum(values) >= least]
    rest = [sum(column) for column in zip(*(values for _, values in stacked[len(own) :]), strict=True)]
    return [*own, (f"{len(stacked) - len(own):,} others", rest)]


def _round_up(number: int) -> int:
    """Return the next number for an axis: 1, 2 or 5 times a power of ten."""
    if number <= 1:
        return 1
    power = 10 ** math.floor(math.log10(number))
    return next(int(step * power) for step in (1, 2, 5, 10) if step * power >= number)

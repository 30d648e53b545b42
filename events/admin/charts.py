"""Charts as SVG from the server: they need no script, use the theme's colours, and have a table of their data."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from events.visible import visible

# The number of categories with their own colour; the others share one.
COLOURS = 6
# Below this part of all events, a category shares it too, if they are too many: bare UUIDs or numbers as aggregate ids
# make each aggregate a category.
RARE = 0.01
# The part of its place that a bar fills.
FILLED = 0.8
# The pixels of a digit, and of the space between two numbers.
DIGIT, SPACE = 6, 4
# The pixels of a chart on a telephone and on a desk.
NARROW, WIDE = 330, 860


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A part of a bar, in percent of the drawing."""

    x: float
    y: float
    width: float
    height: float
    colour: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A bar with its number and its label.

    Attributes:
        x, y: the middle of its upper edge, in percent of the drawing.
        number: its number, as it stands above it; empty for 0.
        tick: its label below it; empty if there is only space for other labels.
    """

    x: float
    y: float
    number: str
    tick: str


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart of stacked bars. The highest bar is as high as the drawing.

    Attributes:
        bars, segments: the bars, and the parts that they consist of.
        highest: the label and the number of the highest bar; None if all numbers are 0.
        fits: where the numbers fit beside each other: on "all" screens, on "wide" ones or on "none".
        series: the name, colour, numbers and total of each series, the largest first.
        rows: the label, numbers and total of each bar, for the table.
    """

    bars: Sequence[Bar]
    segments: Sequence[Segment]
    highest: tuple[str, int] | None
    fits: str
    series: Sequence[tuple[str, int, Sequence[int], int]]
    rows: Sequence[tuple[str, Sequence[int], int]]


def stacked_bars(labels: Sequence[str], numbers: dict[str, list[int]]) -> Chart:
    """Return a chart with a bar for each label; the last one is now.

    Args:
        numbers: a number for each label, by series, the largest series first.
    """
    stacked = _merge_small_series({visible(name): values for name, values in numbers.items()})
    columns = list(zip(*(values for _, values in stacked), strict=True)) or [()] * len(labels)
    totals = [sum(column) for column in columns]
    top = max([*totals, 1])
    place = 100 / len(labels)
    texts = [short(total) if total else "" for total in totals]
    between = max(1, len(labels) // 8)
    segments = [
        Segment(
            x=place * (bar + (1 - FILLED) / 2),
            y=100 - 100 * reached / top,
            width=place * FILLED,
            height=100 * number / top,
            colour=colour,
            text=f"{label}: {number:,} {stacked[colour][0]}",
        )
        for bar, (label, column) in enumerate(zip(labels, columns, strict=True))
        for colour, (number, reached) in enumerate(zip(column, accumulate(column), strict=True))
        if number
    ]
    last = len(labels) - 1
    return Chart(
        bars=[
            Bar(
                x=place * (bar + 0.5),
                y=100 - 100 * totals[bar] / top,
                number=texts[bar],
                tick="now" if bar == last else "" if (last - bar) % between else label,
            )
            for bar, label in enumerate(labels)
        ],
        segments=segments,
        highest=max(zip(labels, totals, strict=True), key=lambda each: each[1]) if any(totals) else None,
        fits=_where_fit(texts),
        series=[(name, colour, values, sum(values)) for colour, (name, values) in enumerate(stacked)],
        rows=list(zip(labels, columns, totals, strict=True)),
    )


def short(number: int) -> str:
    """Return a number below 10 quadrillion with at most five characters: exact up to 9,999."""
    if number < 10_000:
        return f"{number:,}"
    for power, sign in ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= power:
            # Rounded down: 99,999 is not 100.0k.
            return f"{number * 10 // power / 10:.1f}{sign}" if number < 100 * power else f"{number // power}{sign}"
    raise AssertionError(number)


def _where_fit(texts: Sequence[str]) -> str:
    needed = len(texts) * (max(map(len, texts)) * DIGIT + SPACE)
    return "all" if needed <= NARROW else "wide" if needed <= WIDE else "none"


def _merge_small_series(numbers: dict[str, list[int]]) -> list[tuple[str, list[int]]]:
    stacked = list(numbers.items())
    if len(stacked) <= COLOURS + 1:
        return stacked
    least = RARE * sum(map(sum, numbers.values()))
    own = [(name, values) for name, values in stacked[:COLOURS] if sum(values) >= least]
    rest = [sum(column) for column in zip(*(values for _, values in stacked[len(own) :]), strict=True)]
    return [*own, (f"{len(stacked) - len(own):,} others", rest)]

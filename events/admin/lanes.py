"""Swim lanes as SVG from the server: a lane for each aggregate, its events in order, and arrows from their causes.

The drawing needs no script and uses the theme's colours. Its numbers are pixels.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final

# The height is in the style sheet, too: the names of the lanes lie over the drawing.
LANE: Final = 84
NAME: Final = 30  # the part of a lane that has its name
BOX_WIDTH, BOX_HEIGHT = 172, 44
GAP: Final = 28  # between two events of an aggregate
STEP: Final = 110  # from the left edge of an event to that of the next one: an arrow to it ends in front of its box
EDGE: Final = 12
CORNER: Final = 8


@dataclass(frozen=True, kw_only=True)
class Box:
    """An event: the left upper corner of its box."""

    x: int
    y: int

    @property
    def middle_x(self) -> int:
        return self.x + BOX_WIDTH // 2

    @property
    def middle_y(self) -> int:
        return self.y + BOX_HEIGHT // 2

    @property
    def right(self) -> int:
        return self.x + BOX_WIDTH


@dataclass(frozen=True, kw_only=True)
class Lanes:
    """A drawing.

    Attributes:
        boxes: for each event.
        arrows: SVG paths from the causes to their effects.
        lines: for each lane, the height of the line that joins its events.
    """

    width: int
    height: int
    boxes: Sequence[Box]
    arrows: Sequence[str]
    lines: Sequence[int]
    box_width: int = BOX_WIDTH
    box_height: int = BOX_HEIGHT


def draw(lanes: Sequence[Hashable], causes: Sequence[int | None]) -> Lanes:
    """Return the drawing of events in their order.

    Args:
        lanes: for each event, the lane that it is in; the lanes are in the order of their first events.
        causes: for each event, the index of the event that caused it; None if that is not in the drawing.
    """
    rows = {lane: row for row, lane in enumerate(dict.fromkeys(lanes))}
    boxes: list[Box] = []
    ends: dict[Hashable, int] = {}
    for lane in lanes:
        after_last = boxes[-1].x + STEP if boxes else EDGE
        x = max(after_last, ends.get(lane, 0) + GAP if lane in ends else 0)
        boxes.append(Box(x=x, y=rows[lane] * LANE + NAME))
        ends[lane] = boxes[-1].right
    return Lanes(
        width=max(ends.values(), default=0) + EDGE,
        height=len(rows) * LANE,
        boxes=boxes,
        arrows=[_arrow(boxes[cause], box) for box, cause in zip(boxes, causes, strict=True) if cause is not None],
        lines=[row * LANE + NAME + BOX_HEIGHT // 2 for row in rows.values()],
    )


def _arrow(cause: Box, effect: Box) -> str:
    """Return the path from an event to a later one: straight in its lane, otherwise up or down, then to the right."""
    end = f"H{effect.x - 1}"
    if cause.y == effect.y:
        return f"M{cause.right},{cause.middle_y}{end}"
    down = effect.y > cause.y
    start = cause.y + BOX_HEIGHT if down else cause.y
    turn = effect.middle_y - CORNER if down else effect.middle_y + CORNER
    return (
        f"M{cause.middle_x},{start}V{turn}"
        f"Q{cause.middle_x},{effect.middle_y} {cause.middle_x + CORNER},{effect.middle_y}{end}"
    )

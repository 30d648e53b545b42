"""Swim lanes: where events and arrows are."""

import itertools

from events.admin.lanes import BOX_HEIGHT, BOX_WIDTH, GAP, LANE, STEP, draw


def test_events_are_in_their_order_and_never_on_one_another() -> None:
    drawing = draw(["a", "b", "a", "a", "c"], [None, 0, 1, 2, 0])
    places = [(box.x, box.y) for box in drawing.boxes]
    assert [x for x, _ in places] == sorted({x for x, _ in places})
    lanes = [y // LANE for _, y in places]
    assert lanes == [0, 1, 0, 0, 2]
    of_a = [x for (x, _), lane in zip(places, lanes, strict=True) if lane == 0]
    assert all(later - earlier >= BOX_WIDTH + GAP for earlier, later in itertools.pairwise(of_a))
    assert places[1][0] - places[0][0] == STEP
    assert (drawing.height, len(drawing.lines)) == (3 * LANE, 3)
    assert drawing.width > drawing.boxes[-1].right


def test_arrow_leads_from_the_cause_to_the_left_edge_of_its_effect() -> None:
    below, same, above = draw(["a", "b", "b", "a"], [None, 0, 1, 2]).arrows
    first, second, third, fourth = draw(["a", "b", "b", "a"], [None, 0, 1, 2]).boxes
    assert below.startswith(f"M{first.middle_x},{first.y + BOX_HEIGHT}V")
    assert below.endswith(f"{second.middle_y}H{second.x - 1}")
    assert same == f"M{second.right},{second.middle_y}H{third.x - 1}"
    assert above.startswith(f"M{third.middle_x},{third.y}V")
    assert above.endswith(f"{fourth.middle_y}H{fourth.x - 1}")


def test_nothing_is_an_empty_drawing() -> None:
    assert draw([], []).boxes == []

"""One is singular, any other number is plural."""

from events.plurals import number_of, number_of_events


def test_noun_agrees_with_its_number() -> None:
    assert [number_of(number, "seal") for number in (0, 1, 2000)] == ["0 seals", "1 seal", "2,000 seals"]
    assert number_of_events(1) == "1 event"

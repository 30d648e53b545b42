"""Numbers with their nouns, such as `1 event` and `2,000 events`."""


def number_of(number: int, noun: str) -> str:
    """Return a number with a noun, which takes an s in the plural."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def number_of_events(events: int) -> str:
    """Return a number of events in words."""
    return number_of(events, "event")

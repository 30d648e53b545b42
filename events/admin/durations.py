"""Durations as text."""


def format_duration(seconds: float) -> str:
    """Return a duration in the largest unit of which it has at least two; one below a second in milliseconds."""
    sign, seconds = "−" if seconds < 0 else "", abs(seconds)
    for unit, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{sign}{seconds / unit:,.0f} {name}"
    return f"{sign}{seconds:.0f} s" if seconds >= 1 or not seconds else f"{sign}{1000 * seconds:.0f} ms"

"""How numbers are written in the comparison and in the model card: `80.4 %`, `+6.7 (+1.7 to +11.9)`, `2 h 10 min`."""

from datetime import date


def percent(share: float) -> str:
    """`80.4 %`."""
    return f"{100 * share:.1f} %"


def plain_percent(share: float) -> str:
    """With the digits that it has: `90 %`, `97.5 %`."""
    return f"{100 * share:g} %"


def between(low: float | None, high: float | None) -> str:
    """An interval of shares, in percent: `74.7 to 85.4`; empty where there is none."""
    return "" if low is None or high is None else f"{100 * low:.1f} to {100 * high:.1f}"


def points(difference: float) -> str:
    """A difference of shares, in percentage points: `+6.7`."""
    return f"{100 * difference:+.1f}"


def points_between(low: float | None, high: float | None) -> str:
    """An interval of differences, in percentage points: `+1.7 to +11.9`; empty where there is none."""
    return "" if low is None or high is None else f"{points(low)} to {points(high)}"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """`1 photograph`, `1,200 photographs`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def duration(seconds: float) -> str:
    """`35 s`, `12 min`, `2 h 10 min`, `3 days 4 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} days {hours % 24} h"


def day(when: date) -> str:
    """`26 November 2026`."""
    return f"{when.day} {when:%B %Y}"


def listed(words: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"

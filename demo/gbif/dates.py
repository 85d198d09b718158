"""What GBIF makes of a date of observation: the year, the month and the day that its whole span shares."""

import re
from typing import NamedTuple


class DateParts(NamedTuple):
    """Parts of a date; a blank is not known, or differs between the two ends of a range."""

    year: str
    month: str
    day: str


def date_parts(event_date: str) -> DateParts:
    """The parts of a day, a moment, a month, a year, or a range of them (ISO 8601), without leading zeros."""
    spans = [one.split("T")[0].split("-") for one in event_date.split("/")]
    shared: list[str] = []
    for parts in zip(*spans, strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0].lstrip("0"))
    return DateParts(*[*shared, "", "", ""][:3])


def first_day(event_date: str) -> str:
    """The first day of a date (ISO 8601), or blank where no day is known."""
    found = re.match(r"\d{4}-\d{2}-\d{2}", event_date)
    return found[0] if found else ""

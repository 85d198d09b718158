"""What people type, copy or send as a place or a date: read strictly, or refused with what to write instead."""

import calendar
import math
import re
from collections.abc import Sequence
from datetime import date, time, timedelta
from typing import Final, NamedTuple

from ml.errors import MlError

LONGEST_SPAN: Final = 31
"""Days that a date may span and still tell the season: a month."""

_WRITE: Final = "write latitude and longitude in degrees, as in -41.29,174.78"
_WRITE_DAY: Final = "write a date as in 2024-05-17, or --05-17 without a year"
_LONGEST: Final = 100
"""Letters of a place or a date; whatever is longer is something else."""
_NUMBER: Final = r"(?:\d+\.?\d*|\.\d+)"
_SIGNED: Final = re.compile(rf"[-+]?{_NUMBER}(?:[eE][-+]\d+)?", re.ASCII)
_ANGLE: Final = re.compile(
    rf"(?P<sign>[-+])? ?(?P<degrees>{_NUMBER})"
    rf"(?: ?° ?(?:(?P<minutes>{_NUMBER}) ?' ?(?:(?P<seconds>{_NUMBER}) ?\")?)?"
    rf"| (?P<plain_minutes>{_NUMBER})(?: (?P<plain_seconds>{_NUMBER}))?)?",
    re.ASCII,
)
"""Degrees, with or without marks. Minutes and seconds that follow have all marks or none."""
_MARKS: Final = str.maketrans(
    {
        mark: plain
        for plain, marks in {
            "°": "\u00ba\u02da\u2218",
            "'": "\u2018\u2019\u2032\u00b4\u0060",
            '"': "\u201c\u201d\u2033",
            "-": "\u2010\u2011\u2013\u2014\u2212",
        }.items()
        for mark in marks
    }
)
"""What maps, word processors and telephones write instead of the plain marks."""
_LETTER: Final = re.compile(r"[NSWO]|E(?![-+]\d)", re.ASCII)
"""A side of the equator or of Greenwich; no exponent, as in 1E-05."""
_BESIDE_O: Final = re.compile(r"[\d.][°'\" ]*O|\bO ?[\d.]", re.ASCII)
_BETWEEN_AFTER: Final = re.compile(r" ?[,;/]? ?$")
_BETWEEN_BEFORE: Final = re.compile(r"^ ?[,;/]? ?")
"""What stands between two coordinates, at the end of the first and at the beginning of the second."""
_DECIMAL_COMMA: Final = re.compile(r"(?<=\d),(?=\d)", re.ASCII)

_DAY: Final = re.compile(
    r"(?:(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d))?)?"
    r"|--(?P<any_month>\d\d)(?:-(?P<any_day>\d\d))?|(?P<short_month>\d\d)-(?P<short_day>\d\d))"
    r"(?:[T ](?P<time>.+))?",
    re.ASCII,
)
_SLASHES: Final = re.compile(r"(\d{4})/(\d\d)/(\d\d)", re.ASCII)
_LEAP: Final = 2000
"""Stands for any year where none is named: it has a 29 February."""


class PlaceError(MlError, ValueError):
    """What was given is no place or no date; the message says what to write."""


def place_of(given: str | Sequence[str | float]) -> tuple[float, float]:
    """Latitude and longitude in degrees (WGS 84), from a text or a pair.

    Understood are decimal degrees, degrees and minutes, and degrees, minutes and seconds; signs, or the letters N, S, E
    and W before or after; with or without marks; the latitude first unless letters say otherwise; between them a comma,
    a semicolon or blanks; and the address that telephones share (`geo:-41.29,174.78`, RFC 5870). A decimal comma
    is understood where it cannot be taken for the comma between two numbers (`-41,29; 174,78`).

    A longitude from 180 to 360 is counted westward from 360, and -180 is 180: each place has one longitude. 0,0 is
    refused: devices and spreadsheets write it where there is no place, and nothing is photographed there.

    Args:
        given: `-41.29,174.78`, or two numbers or texts, the latitude first.

    Returns:
        Latitude from -90 to 90, longitude above -180 and up to 180.

    Raises:
        PlaceError: it is no such place. Where latitude and longitude look swapped, the message gives the other order.
    """
    if isinstance(given, str):
        latitude, longitude = _pair(given)
    else:
        if len(given) != 2:
            raise PlaceError(f"a place is a latitude and a longitude, not {len(given)} values; {_WRITE}")
        latitude, longitude = (_single(value, axis) for value, axis in zip(given, ("NS", "EW"), strict=True))
    return _checked(latitude, longitude)


def day_of(text: str) -> int | None:
    """The day of the year of a date in ISO 8601, from 1 to 366: 29 February is day 60, 1 March day 61 in every year.

    Understood are dates with or without a time and its zone (the day is the one that is written), without a year
    (`--05-17`, `05-17`), months (`2024-05`, `--05`), years, and ranges (`2024-05-01/2024-05-17`, `2024-05-01/17`). A
    date that spans several days, but no more than `LONGEST_SPAN`, is its middle, the earlier of two.

    Args:
        text: The date.

    Returns:
        None where the date is right and spans too many days to tell the season, such as a year.

    Raises:
        PlaceError: it is no such date.
    """
    cleaned = " ".join(text.translate(_MARKS).split()) if len(text) <= _LONGEST else ""
    if not cleaned:
        raise PlaceError(
            f"{_shown(text)} is no date; {_WRITE_DAY}" if text.strip() else f"the date is empty; {_WRITE_DAY}"
        )
    if slashes := _SLASHES.fullmatch(cleaned):
        cleaned = "-".join(slashes.groups())
    first, bar, last = cleaned.partition("/")
    begin = _span(first, text)
    end = _span(_completed(first, last), text) if bar else begin
    if begin.dated != end.dated:
        raise PlaceError(f"{_shown(text)} names a year once; name it at both ends, or at neither")
    final = end.last
    if final < begin.first:
        if begin.dated:
            raise PlaceError(f"{_shown(text)} ends before it begins; write the earlier date first")
        # A winter: from December to January of no year in particular.
        final += timedelta(days=366)
    days = (final - begin.first).days + 1
    if days > LONGEST_SPAN:
        return None
    middle = begin.first + timedelta(days=(days - 1) // 2)
    return middle.replace(year=_LEAP).timetuple().tm_yday


class _Span(NamedTuple):
    first: date
    last: date
    dated: bool
    """Whether a year is named."""


def _pair(text: str) -> tuple[float, float]:
    """Latitude and longitude as they are written, of a text in which commas may be decimal."""
    cleaned = " ".join(text.translate(_MARKS).replace("''", '"').upper().split()) if len(text) <= _LONGEST else ""
    if not cleaned:
        raise PlaceError(f"{_shown(text)} is no place; {_WRITE}" if text.strip() else f"the place is empty; {_WRITE}")
    if cleaned.startswith("GEO:"):
        cleaned = re.split("[;?]", cleaned.removeprefix("GEO:"))[0]
    elif cleaned[0] + cleaned[-1] in {"()", "[]"}:
        cleaned = cleaned[1:-1].strip()
    readings = [cleaned]
    if "." not in cleaned and _DECIMAL_COMMA.search(cleaned):
        readings.append(_DECIMAL_COMMA.sub(".", cleaned))
    found: set[tuple[float, float]] = set()
    problems: list[PlaceError] = []
    for reading in readings:
        try:
            found.add(_degrees_of(reading, text))
        except PlaceError as problem:
            problems.append(problem)
    if len(found) > 1:
        raise PlaceError(f"{_shown(text)} can be read in two ways; write decimal points, as in -41.29,174.78")
    if not found:
        raise problems[-1]
    return found.pop()


def _degrees_of(cleaned: str, text: str) -> tuple[float, float]:
    halves = _halves(cleaned)
    if halves is None:
        raise PlaceError(f"{_shown(text)} is no place; {_WRITE}")
    letters = [_LETTER.findall(half) for half in halves]
    if _BESIDE_O.search(cleaned):
        raise PlaceError(f"{_shown(text)} has the letter O, which is east in German and west in French; write E or W")
    if not any(letters):
        return _angle(halves[0], text), _angle(halves[1], text)
    axes = ["NS" if set(half) & {"N", "S"} else "EW" for half in letters]
    if axes[0] == axes[1]:
        raise PlaceError(f"{_shown(text)} has two {'latitudes' if axes[0] == 'NS' else 'longitudes'}; {_WRITE}")
    values = {axis: _angle(half, text, axis) for axis, half in zip(axes, halves, strict=True)}
    return values["NS"], values["EW"]


def _halves(cleaned: str) -> tuple[str, str] | None:
    """The two coordinates of a text; None where there are not two."""
    letters = [match.start() for match in _LETTER.finditer(cleaned)]
    if letters:
        if len(letters) != 2:
            return None
        # Before both numbers, or after both.
        cut = letters[1] if letters[0] == 0 else letters[0] + 1
        return _BETWEEN_AFTER.sub("", cleaned[:cut]), _BETWEEN_BEFORE.sub("", cleaned[cut:])
    for separator in ",;/":
        if separator in cleaned:
            first, *others = cleaned.split(separator)
            return (first.strip(), others[0].strip()) if len(others) == 1 else None
    if cleaned.count("°") == 2:
        marked = re.fullmatch(rf"([^°]*°[^°]*?) ?((?<![\d.])[-+]? ?{_NUMBER} ?°[^°]*)", cleaned)
        return None if marked is None else (marked[1].strip(), marked[2].strip())
    first, *others = cleaned.split(" ")
    return (first, others[0]) if len(others) == 1 else None


def _single(value: str | float, axis: str) -> float:
    """One coordinate as it is written, from a number or a text; `axis` has the letters that it may have."""
    what = "latitude" if axis == "NS" else "longitude"
    if isinstance(value, str):
        # Most values of a long table are plain numbers.
        if len(value) <= _LONGEST and _SIGNED.fullmatch(value):
            return float(value)
        cleaned = " ".join(value.translate(_MARKS).replace("''", '"').upper().split()) if len(value) <= _LONGEST else ""
        if not cleaned:
            raise PlaceError(f"the {what} is {_shown(value) if value.strip() else 'empty'}; {_WRITE}")
        return _angle(_DECIMAL_COMMA.sub(".", cleaned) if "." not in cleaned else cleaned, value, axis)
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise PlaceError(f"the {what} is {_shown(value)}, which is no number of degrees; {_WRITE}")
    return number


def _angle(part: str, text: str, axis: str = "") -> float:
    """Degrees of one coordinate; letters of `axis` say which side of the equator or of Greenwich."""
    if _SIGNED.fullmatch(part):
        return float(part)
    side = part[:1] if part[:1] and part[:1] in axis else part[-1:] if part[-1:] and part[-1:] in axis else ""
    bare = part.removeprefix(side).strip() if part.startswith(side) else part.removesuffix(side).strip()
    found = _ANGLE.fullmatch(bare)
    if found is None:
        raise PlaceError(f"{_shown(text)} is no place; {_WRITE}")
    if side and found["sign"]:
        raise PlaceError(f"{_shown(text)} has a sign and a letter; write -41.29 or 41.29 S")
    numbers = [found["degrees"], found["minutes"] or found["plain_minutes"], found["seconds"] or found["plain_seconds"]]
    given = [number for number in numbers if number is not None]
    values = [float(number) for number in given]
    if any("." in number for number in given[:-1]):
        raise PlaceError(f"{_shown(text)} has a fraction before its last number; {_WRITE}")
    if any(value >= 60 for value in values[1:]):
        raise PlaceError(f"{_shown(text)} has more than 59 minutes or seconds; {_WRITE}")
    size: float = sum(value / 60**power for power, value in enumerate(values))
    return -size if (side and side in "SW") or found["sign"] == "-" else size


def _checked(latitude: float, longitude: float) -> tuple[float, float]:
    if abs(latitude) > 90:
        swapped = abs(longitude) <= 90 and abs(latitude) <= 180
        advice = f"did you mean {longitude:g},{latitude:g}?" if swapped else _WRITE
        raise PlaceError(f"the latitude {latitude:g} is not between -90 and 90; {advice}")
    if not -180 <= longitude <= 360:
        raise PlaceError(f"the longitude {longitude:g} is not between -180 and 180; {_WRITE}")
    if latitude == 0 == longitude:
        raise PlaceError(
            "0,0 is what devices and spreadsheets write where there is no place; leave the place out, or write 0,0.001 "
            "if you mean that point of the sea"
        )
    if longitude > 180:
        longitude -= 360
    # No negative zero, which would be shown as one.
    return latitude + 0.0, 180.0 if longitude == -180 else longitude + 0.0


def _span(part: str, text: str) -> _Span:
    """The first and the last day of one date."""
    found = _DAY.fullmatch(part)
    if found is None:
        raise PlaceError(f"{_shown(text)} is no date; {_WRITE_DAY}")
    dated = found["year"] is not None
    year = int(found["year"]) if dated else _LEAP
    month, day = (found[name] or found[f"any_{name}"] or found[f"short_{name}"] for name in ("month", "day"))
    if not year:
        raise PlaceError(f"{_shown(text)} has the year 0, which no photograph was taken in; {_WRITE_DAY}")
    if month is not None and not 1 <= int(month) <= 12:
        raise PlaceError(f"{_shown(text)} has the month {month}, of 12; {_WRITE_DAY}")
    if found["time"] is not None:
        _check_time(found["time"], text, whole=day is not None)
    if month is None:
        return _Span(date(year, 1, 1), date(year, 12, 31), dated)
    length = calendar.monthrange(year, int(month))[1]
    if day is None:
        return _Span(date(year, int(month), 1), date(year, int(month), length), dated)
    if not 1 <= int(day) <= length:
        of_year = f" {year}" if dated else ""
        raise PlaceError(
            f"{_shown(text)} has the day {day}, but {calendar.month_name[int(month)]}{of_year} has {length}"
        )
    exact = date(year, int(month), int(day))
    return _Span(exact, exact, dated)


def _check_time(written: str, text: str, *, whole: bool) -> None:
    """Refuse what stands for a time and is none; the time itself does not matter."""
    try:
        time.fromisoformat(written.replace(" ", "").replace("UTC", "Z"))
    except ValueError:
        whole = False
    if not whole:
        raise PlaceError(f"{_shown(text)} has no time of the day after its date; {_WRITE_DAY}")


def _completed(first: str, last: str) -> str:
    """The end of a range, with what it leaves out and the beginning has: `17` of `2024-05-01/17` is `2024-05-17`."""
    day = re.split("[T ]", first)[0]
    if re.match(r"\d\d:", last):
        return f"{day}T{last}"
    head = re.split("[T ]", last)[0]
    if day.startswith("--") or not re.fullmatch(r"\d\d(?:-\d\d)?", head):
        return last
    return day[: max(len(day) - len(head), 0)] + last


def _shown(value: object) -> str:
    """What was given, short and on one line."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

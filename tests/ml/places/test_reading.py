"""Places and dates of people: every usual way to write one is read, and everything else is refused with advice."""

import calendar
import math
from datetime import date, timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ml.errors import MlError
from ml.places.reading import LONGEST_SPAN, PlaceError, day_of, place_of

WELLINGTON = (-41.29, 174.78)


@pytest.mark.parametrize(
    "text",
    [
        "-41.29,174.78",
        " -41.29 ,\t174.78\n",
        "-41.29 174.78",
        "-41.29; 174.78",
        "-41.29/174.78",
        "(-41.29, 174.78)",
        "[-41.29,174.78]",
        "geo:-41.29,174.78",
        "geo:-41.29,174.78;u=35?z=17",
        "\u221241.29\u00b0, 174.78\u00b0",
        "41.29S,174.78E",
        "41.29\u00b0\u00a0s 174.78\u00b0\u00a0e",
        "S41.29E174.78",
        "S 41.29, E 174.78",
        "174.78 E, 41.29 S",
        "41\u00b017'24\"S 174\u00b046'48\"E",
        "41\u00b0 17\u2032 24\u2033 S, 174\u00b0 46\u2032 48\u2033 E",
        "41\u00ba17\u201924''S174\u00ba46\u201948''E",
        "-41\u00b0 17' 24\" 174\u00b0 46' 48\"",
        "41\u00b0 17.4' S; 174\u00b0 46.8' E",
        "-41 17.4, 174 46.8",
        "41 17 24 S 174 46 48 E",
        "-41,29; 174,78",
        "-41,29 174,78",
        "-41,29, 174,78",
        "41,29\u00b0S 174,78\u00b0E",
    ],
)
def test_a_place_is_read_however_it_is_copied_from_a_map(text: str) -> None:
    assert place_of(text) == pytest.approx(WELLINGTON)


@pytest.mark.parametrize(
    ("pair", "place"),
    [
        ((-41.29, 174.78), WELLINGTON),
        (["-41.29", " 174.78 "], WELLINGTON),
        (("-41,29", "174,78"), WELLINGTON),
        (("41.29 S", "174\u00b046'48\"E"), WELLINGTON),
        ((1, 2), (1.0, 2.0)),
        (("1e-05", "2"), (1e-05, 2.0)),
        ("1e-05,2", (1e-05, 2.0)),
    ],
)
def test_a_pair_is_a_latitude_and_a_longitude(pair: str | list[str] | tuple[float, float], place: object) -> None:
    assert place_of(pair) == pytest.approx(place)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("90,0", (90.0, 0.0)),
        ("-90,10", (-90.0, 10.0)),
        ("5,180", (5.0, 180.0)),
        ("5,-180", (5.0, 180.0)),
        ("5,180.5", (5.0, -179.5)),
        ("5,359", (5.0, -1.0)),
        ("5,360", (5.0, 0.0)),
        ("0,30", (0.0, 30.0)),
        ("-0\u00b030' 0\u00b030'", (-0.5, 0.5)),
    ],
)
def test_poles_and_the_date_line_are_places_each_with_one_longitude(text: str, place: tuple[float, float]) -> None:
    assert place_of(text) == place


def test_no_coordinate_is_a_negative_zero() -> None:
    assert [math.copysign(1, number) for number in (*place_of("-0.0,5"), *place_of("5,-0"))] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("174.78,-41.29", "did you mean -41.29,174.78?"),
        ((174.78, -41.29), "did you mean -41.29,174.78?"),
        ("95,100", "the latitude 95 is not between -90 and 90; write"),
        ("41,361", "the longitude 361 is not between -180 and 180"),
        ("41,-181", "the longitude -181"),
        ("0,0", "leave the place out, or write 0,0.001"),
        ((0.0, -0.0), "leave the place out"),
        ("", "the place is empty; write latitude and longitude"),
        ("  ", "the place is empty"),
        ("nan,nan", "'nan,nan' is no place"),
        ("inf,3", "is no place"),
        ((math.nan, 3), "the latitude is nan, which is no number of degrees"),
        ((3, math.inf), "the longitude is inf"),
        ((True, 3), "the latitude is True"),
        ((10**400, 3), "no number of degrees"),
        (("", "3"), "the latitude is empty"),
        (("3", "4 N"), "'4 N' is no place"),
        ((1.0, 2.0, 3.0), "not 3 values"),
        ("Wellington", "is no place; write"),
        ("50 N", "is no place"),
        ("41.29,174.78,12", "is no place"),
        ("41 17 174 46", "is no place"),
        ("-41,29,174,78", "is no place"),
        ("\u0967,\u0968", "is no place"),
        ("41,29 30", "can be read in two ways; write decimal points"),
        ("41 N 42 N", "two latitudes"),
        ("41 W 42 E", "two longitudes"),
        ("north", "'north' is no place"),
        ("geo:", "is no place"),
        ("O 12, N 41", "east in German and west in French"),
        ("41 N 12 O", "east in German and west in French"),
        ("-41 S 3 E", "a sign and a letter"),
        ("41\u00b060'S 3E", "more than 59 minutes"),
        ("41.5\u00b030'S 3E", "a fraction before its last number"),
        ("1" * 1000, "is no place"),
    ],
)
def test_whatever_is_no_place_is_refused_with_advice_on_one_short_line(
    given: str | tuple[float, float], said: str
) -> None:
    with pytest.raises(PlaceError) as refused:
        place_of(given)
    assert said in str(refused.value)
    assert len(str(refused.value)) < 200
    assert isinstance(refused.value, MlError)
    assert isinstance(refused.value, ValueError)


LATITUDES, LONGITUDES = st.floats(-90, 90), st.floats(-180, 180, exclude_min=True)


@given(LATITUDES, LONGITUDES)
def test_every_pair_of_numbers_is_the_same_place_as_its_text(latitude: float, longitude: float) -> None:
    assume(latitude or longitude)
    assert place_of(f"{latitude},{longitude}") == place_of((latitude, longitude)) == (latitude, longitude)


@given(LATITUDES, LONGITUDES)
def test_degrees_minutes_and_seconds_are_the_same_place_as_decimal_degrees(latitude: float, longitude: float) -> None:
    def marked(size: float, letters: str) -> str:
        seconds = round(abs(size) * 36000)
        whole, minutes, rest = seconds // 36000, seconds // 600 % 60, seconds % 600 / 10
        return f"{whole}\u00b0{minutes:02}'{rest:04.1f}\"{letters[size < 0]}"

    assume(max(abs(latitude), abs(longitude)) > 1e-4)
    assume(longitude > -179.9999)
    text = f"{marked(latitude, 'NS')} {marked(longitude, 'EW')}"
    assert place_of(text) == pytest.approx((latitude, longitude), abs=1e-4)


@given(st.decimals(-90, 90, places=3), st.decimals(-179, 180, places=3))
def test_a_decimal_comma_is_never_taken_for_another_place(latitude: object, longitude: object) -> None:
    assume(float(str(latitude)) or float(str(longitude)))
    commas = f"{latitude} {longitude}".replace(".", ",")
    assert place_of(commas) == place_of(f"{latitude},{longitude}")


@given(st.text(alphabet="0123456789.,;/-+ NSEWO\u00b0'\"e()", max_size=24) | st.text(max_size=30))
@settings(max_examples=300)
def test_any_text_is_a_place_on_earth_or_refused(text: str) -> None:
    try:
        latitude, longitude = place_of(text)
    except PlaceError:
        return
    assert -90 <= latitude <= 90
    assert -180 < longitude <= 180


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2024-05-17", 138),
        ("2023-05-17", 138),
        ("2024/05/17", 138),
        (" 2024-05-17 ", 138),
        ("2024-05-17T23:59:59+12:00", 138),
        ("2024-05-17T10:00Z", 138),
        ("2024-05-17 10:00:00 UTC", 138),
        ("2024-02-29", 60),
        ("--02-29", 60),
        ("2023-03-01", 61),
        ("2024-03-01", 61),
        ("1999-12-31", 366),
        ("--05-17", 138),
        ("05-17", 138),
        ("2024-05", 137),
        ("--02", 46),
        ("2023-02", 45),
        ("2024-05-01/2024-05-17", 130),
        ("2024-05-01/17", 130),
        ("2024-05-17T10:00/12:00", 138),
        ("2024-05-17T10:00:00Z/2024-05-18T10:00:00Z", 138),
        ("2023-12-20/2024-01-10", 365),
        ("--12-20/--01-10", 365),
        ("2024-04-20/05-20", 126),
        ("2024-04-20/05-21", None),
        ("2024-05/06", None),
        ("2024", None),
        ("2023/2024", None),
    ],
)
def test_a_date_is_its_day_and_a_span_of_up_to_a_month_its_middle(text: str, day: int | None) -> None:
    assert day_of(text) == day


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the date is empty; write a date as in 2024-05-17"),
        ("2023-02-29", "the day 29, but February 2023 has 28"),
        ("2024-04-31", "April 2024 has 30"),
        ("--04-31", "April has 30"),
        ("2024-05-00", "the day 00"),
        ("2024-13-01", "the month 13"),
        ("0000-05-17", "the year 0"),
        ("0000-00-00", "the year 0"),
        ("2024-05-17T25:00", "no time of the day"),
        ("2024-05-17Tnoon", "no time of the day"),
        ("2024-05T10:00", "no time of the day"),
        ("2024-05-17/2024-05-01", "ends before it begins"),
        ("2024-05-17/--05-18", "names a year once"),
        ("2024-05-01/..", "is no date"),
        ("17.05.2024", "is no date; write a date as in 2024-05-17"),
        ("05/17/2024", "is no date"),
        ("2024-5-17", "is no date"),
        ("May 2024", "is no date"),
        ("nan", "is no date"),
        ("\u0662\u0660\u0662\u0664-05-17", "is no date"),
        ("2" * 1000, "is no date"),
    ],
)
def test_whatever_is_no_date_is_refused_with_advice_on_one_short_line(text: str, said: str) -> None:
    with pytest.raises(PlaceError) as refused:
        day_of(text)
    assert said in str(refused.value)
    assert len(str(refused.value)) < 200


@given(st.dates())
def test_a_day_has_the_same_number_in_every_year(day: date) -> None:
    number = day_of(day.isoformat())
    assert number == day_of(f"--{day:%m-%d}")
    assert number == day.timetuple().tm_yday + (day.month > 2 and not calendar.isleap(day.year))


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)), st.integers(0, 60))
def test_a_range_is_its_middle_or_too_long(first: date, more: int) -> None:
    last = first + timedelta(days=more)
    middle = first + timedelta(days=more // 2)
    expected = day_of(middle.isoformat()) if more < LONGEST_SPAN else None
    assert day_of(f"{first.isoformat()}/{last.isoformat()}") == expected


@given(st.text(alphabet="0123456789-/T: Z.", max_size=24) | st.text(max_size=30))
@settings(max_examples=300)
def test_any_text_is_a_day_or_refused(text: str) -> None:
    try:
        day = day_of(text)
    except PlaceError:
        return
    assert day is None or 1 <= day <= 366

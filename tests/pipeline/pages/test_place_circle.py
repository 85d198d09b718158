"""A box holds its whole circle, at poles and on both sides of the 180th meridian; places are written as people do."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.pages.place_circle import COMPASS, EARTH_KM, FARTHEST_KM, Box, Circle, direction, kilometres, written

LATITUDES = st.floats(-90, 90) | st.sampled_from([-90.0, -89.999, 0.0, 89.999, 90.0])
LONGITUDES = st.floats(-180, 180) | st.sampled_from([-180.0, -179.9, 179.9, 180.0])


def gone(latitude: float, longitude: float, *, bearing: float, distance: float) -> tuple[float, float]:
    """Where one arrives, from the formula of navigation."""
    here, angle = math.radians(latitude), distance / EARTH_KM
    sine = math.sin(here) * math.cos(angle) + math.cos(here) * math.sin(angle) * math.cos(bearing)
    there = math.asin(max(-1.0, min(1.0, sine)))
    east = math.atan2(
        math.sin(bearing) * math.sin(angle) * math.cos(here), math.cos(angle) - math.sin(here) * math.sin(there)
    )
    return math.degrees(there), (longitude + math.degrees(east) + 180) % 360 - 180


def holds(box: Box, latitude: float, longitude: float) -> bool:
    spans = ((box.west, box.east), (box.west_beyond, box.east_beyond))
    slack = 1e-6
    inside = any(west - slack <= longitude + turn <= east + slack for west, east in spans for turn in (-360, 0, 360))
    return box.south - slack <= latitude <= box.north + slack and inside


@given(LATITUDES, LONGITUDES, st.floats(0, FARTHEST_KM), st.floats(0, 2 * math.pi), st.floats(0, 1))
def test_whatever_is_within_the_radius_is_in_the_box(
    latitude: float, longitude: float, radius: float, bearing: float, share: float
) -> None:
    box = Circle(latitude=latitude, longitude=longitude, radius_km=radius).box()
    assert holds(box, *gone(latitude, longitude, bearing=bearing, distance=share * radius))


def test_a_box_is_no_wider_than_it_must_be() -> None:
    box = Circle(latitude=60, longitude=10, radius_km=111.195).box()
    assert (box.south, box.north) == pytest.approx((59, 61), abs=1e-4)
    assert (box.east - box.west) == pytest.approx(4.0009, abs=1e-3), "a degree at 60 degrees is half as long"
    assert box.west_beyond > box.east_beyond, "no second span"
    across = Circle(latitude=0.5, longitude=179.5, radius_km=111.195).box()
    assert (across.east, across.west_beyond) == (180.0, -180.0)
    assert across.west == pytest.approx(178.5, abs=1e-3)
    assert across.east_beyond == pytest.approx(-179.5, abs=1e-3)


def test_directions_are_those_of_the_compass() -> None:
    assert direction(0, 0, to=(1, 0)) == "north"
    assert direction(10, 179, to=(10, -179)) == "east", "across the 180th meridian"
    assert direction(-90, 0, to=(-80, 30)) in COMPASS
    assert direction(50, 0, to=(49, -1.5)) == "south-west"


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ((-41.29, 174.78), "41.29° S, 174.78° E"), ((52.0, -0.1), "52° N, 0.1° W"), ((0.0, 180.0), "0°, 180°"),
        ((-90.0, 0.0), "90° S, 0°"), ((0.1 + 0.2, 1e-9), "0.3° N, 0° E"),
    ],
)  # fmt: skip
def test_places_are_written_with_the_digits_that_they_have(place: tuple[float, float], said: str) -> None:
    assert written(*place) == said


def test_distances_have_digits_that_mean_something() -> None:
    assert [kilometres(each) for each in (0, 0.04, 0.44, 9, 9.94, 9.96, 1240.4)] == [
        "0 km", "0 km", "0.4 km", "9 km", "9.9 km", "10 km", "1,240 km",
    ]  # fmt: skip

"""The map of a list: true distances from the place wherever it is, land where there is land, and nothing cut off."""

from typing import Any

import numpy as np
import pytest
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from pipeline.pages.place_circle import Circle
from pipeline.pages.place_map import draw_place_map, projected
from tests.pictures import blemishes

PLACES: dict[str, tuple[float, float, float, float]] = {
    "a coast": (-41.29, 174.78, 25, 50), "across the 180th meridian": (-43.95, 179.9, 300, 600),
    "a pole": (-90, 0, 900, 1800), "nothing around": (52, 13.4, 0, 10), "the world": (0.5, 0.5, 20_000, 40_000),
}  # fmt: skip


def points(latitude: float, longitude: float) -> list[dict[str, Any]]:
    flags = [(obscured, here) for obscured in (False, True) for here in (False, True)]
    return [
        {"latitude": latitude, "longitude": longitude, "obscured": obscured, "here": here, "records": 1}
        for obscured, here in flags
    ]


@pytest.mark.parametrize("name", PLACES)
def test_maps_can_be_read(name: str) -> None:
    latitude, longitude, radius, near = PLACES[name]
    assert blemishes(draw_place_map(latitude, longitude, radius, near, points(latitude, longitude))) == []


def test_distances_and_directions_from_the_place_are_true() -> None:
    circle = Circle(latitude=60, longitude=179.5, radius_km=0)
    east, north = projected(circle, np.array([60, 61, 60, 0]), np.array([179.5, 179.5, -179.5, 179.5]))
    assert np.hypot(east, north) == pytest.approx([0, 111.195, 55.596, 6671.7], abs=0.1)
    assert (east[2] > 0, north[1]) == (True, pytest.approx(111.195, abs=0.01))


def test_land_is_where_it_is() -> None:
    def on_land(latitude: float, longitude: float) -> bool:
        figure = draw_place_map(latitude, longitude, 25, 50, [])
        rings = [
            ring for patch in figure.axes[0].patches if isinstance(patch, PathPatch)
            for ring in patch.get_path().to_polygons(closed_only=False)
        ]  # fmt: skip
        return sum(bool(Path(ring).contains_point((0.1, 0.1))) for ring in rings) % 2 == 1

    assert [on_land(*place) for place in ((-38.5, 175.8), (-41.8, 171.0), (-89.9, 0), (66.5, -179.8), (90, 0))] == [
        True, False, True, True, False,
    ]  # fmt: skip

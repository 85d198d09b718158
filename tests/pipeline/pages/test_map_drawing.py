"""The map shows where observations were made: over the right coast, in one piece, dark enough to be seen."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from pipeline.pages.map_drawing import _RAMP, COAST, LAND, draw_map, frame_of
from tests.ml.test_palette import contrast
from tests.pictures import blemishes

Place = tuple[float, float, int]

NEW_ZEALAND: list[Place] = [(174.76, -36.85, 900), (172.64, -43.53, 12), (168.3, -46.9, 1), (-176.5, -43.95, 2)]
PLACES: dict[str, list[Place]] = {
    "New Zealand with the Chatham Islands": NEW_ZEALAND,
    "one place": [(9.99, 53.55, 1)],
    "a pole": [(0.0, 90.0, 3)],
    "the world": [(longitude, latitude, 10**6) for longitude in range(-180, 181, 9) for latitude in range(-81, 82, 9)],
    "the 180th meridian": [(179.9, -16.5, 1), (-179.9, -16.9, 123_456_789)],
    "a strip of latitude": [(-120.0, 40.0, 5), (60.0, 41.0, 5)],
    "nowhere": [],
}


def rows(places: list[Place]) -> list[dict[str, float]]:
    return [{"longitude": east, "latitude": north, "observations": number} for east, north, number in places]


def on_land(axes_patch: PathPatch, longitude: float, latitude: float) -> bool:
    """Whether a place is within the land that is drawn; a lake is a hole in it."""
    rings = axes_patch.get_path().to_polygons(closed_only=False)
    return sum(bool(Path(ring).contains_point((longitude, latitude))) for ring in rings) % 2 == 1


@pytest.mark.parametrize("name", PLACES)
def test_maps_can_be_read(name: str) -> None:
    assert blemishes(draw_map(rows(PLACES[name]))) == []


def test_new_zealand_lies_beneath_its_observations_in_one_piece() -> None:
    axes = draw_map(rows(NEW_ZEALAND)).axes[0]
    left, right = axes.get_xlim()
    assert 160 < left < 168
    assert 183.5 < right < 186
    (land,) = (patch for patch in axes.patches if isinstance(patch, PathPatch))
    for longitude, latitude in ((175.6, -37.8), (172.0, -43.5), (183.5, -43.95)):
        assert on_land(land, longitude, latitude)
    for longitude, latitude in ((170.0, -38.0), (180.0, -45.0)):
        assert not on_land(land, longitude, latitude)
    labels = [text.get_text() for text in axes.get_xticklabels()]
    assert any("180" in label and not label.endswith(("E", "W")) for label in labels)


def test_every_cell_has_contrast_on_land_and_sea() -> None:
    contrasts = [contrast(colour, LAND) for colour in _RAMP]
    assert contrasts[0] >= 3
    assert contrasts == sorted(contrasts)
    assert contrast(_RAMP[0]) >= 3
    assert contrast(COAST, LAND) >= 3
    cells = draw_map(rows(NEW_ZEALAND)).axes[0].collections[-1]
    cells.update_scalarmappable()
    assert min(contrast(to_hex(colour), LAND) for colour in np.asarray(cells.get_facecolor(), float).tolist()) >= 3


def test_the_frame_follows_the_places_and_ends_at_the_poles() -> None:
    frame = frame_of(np.array([10.0, 20.0]), np.array([-4.0, 4.0]))
    assert (frame.left, frame.right, frame.bottom, frame.top) == pytest.approx((8.5, 21.5, -5.5, 5.5), abs=0.01)
    assert frame_of(np.array([10.0, 20.0]), np.array([88.0, 90.0])).top == 90
    world = frame_of(np.array([-180.0, 180.0]), np.array([-60.0, 80.0]))
    assert (world.left, world.right) == (-180, 180)

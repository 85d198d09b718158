"""The map of a list: the circle around the place and the records, in kilometres from the place.

The projection is the azimuthal equidistant one around the place: distances from it are true, its circles are circles,
and poles and the 180th meridian are places like any other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from ml.coastline import Line, coastline
from ml.palette import BLUE, GRID, INK, MUTED, POINTS, VERMILION
from pipeline.pages.figures import chart_of, legend_outside, short_number
from pipeline.pages.map_drawing import COAST, LAND, draw_map, open_pieces
from pipeline.pages.place_circle import EARTH_KM, Circle, kilometres

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]

FARTHEST_MAP_KM: Final = 6_000.0
"""A list that reaches farther is drawn on the map of the world: this projection tears the far side apart."""
_MARGIN: Final = 1.06
"""Half a side of the map, as a multiple of how far the list reaches."""
_OUTLINES: Final = 2.0
"""How far outlines keep their course, as a multiple of half a side of the map."""
_STEP: Final = 1.0
"""Degrees between the points of an outline, at most: a straight line in degrees is a curve on the map."""
_SEAM: Final = 0.005
"""Degrees within which an outline runs along the seam of the world: half a step of the coastline's file."""
_SERIES: Final[tuple[tuple[str, bool, bool, dict[str, Any]], ...]] = (
    ("near by", False, False, {"marker": "o", "s": 9, "facecolor": MUTED, "linewidths": 0}),
    ("near by, obscured", True, False, {"marker": "s", "s": 14, "facecolor": "none", "edgecolor": MUTED}),
    ("recorded here", False, True, {"marker": "o", "s": 16, "facecolor": BLUE, "linewidths": 0}),
    ("here, obscured", True, True, {"marker": "s", "s": 22, "facecolor": "none", "edgecolor": VERMILION}),
)
"""The marks of records: what they are called, whether obscured, whether here, and their look."""


def draw_place_map(
    latitude: float, longitude: float, radius_km: float, near_km: float, found: Sequence[dict[str, Any]]
) -> "Figure":
    """Draw the records of a list around its place.

    Args:
        latitude: Of the place, in degrees.
        longitude: Of the place, in degrees.
        radius_km: The radius of the list.
        near_km: How far from the place it reaches.
        found: Where the records are (`PlaceList.points`).
    """
    if near_km > FARTHEST_MAP_KM:
        return draw_map([{**point, "observations": point["records"]} for point in found])
    circle = Circle(latitude=latitude, longitude=longitude, radius_km=radius_km)
    half = _MARGIN * near_km
    figure = chart_of(height=5.2)
    axes = figure.add_subplot()
    axes.set(xlim=(-half, half), ylim=(-half, half))
    axes.set_aspect("equal")
    _draw_outlines(axes, replace(circle, radius_km=_OUTLINES * half))
    turn = np.linspace(0, 2 * np.pi, 361)
    for radius, dashes in ((radius_km, "-"), (near_km, "--")):
        label = f"within {kilometres(radius)}"
        axes.plot(radius * np.sin(turn), radius * np.cos(turn), dashes, color=INK, linewidth=1, zorder=3, label=label)
    for label, obscured, here, look in _SERIES:
        points = [point for point in found if (point["obscured"], point["here"]) == (obscured, here)]
        if points:
            east, north = projected(circle, *_columns(points))
            axes.scatter(east, north, label=label, zorder=4, **look)
    axes.plot([0], [0], "+", color=INK, markersize=12, markeredgewidth=1.6, zorder=5, label="the place")
    legend_outside(figure, axes, place="outside lower left")
    axes.grid(color=GRID, linewidth=0.6, zorder=1.5)
    axes.set_axisbelow(False)
    for axis, text in ((axes.xaxis, "km west and east of the place"), (axes.yaxis, "km south and north of it")):
        axis.set_major_formatter(lambda value, _: short_number(abs(value)))
        axis.set_label_text(text, fontsize=POINTS, color=INK)
    axes.locator_params(nbins=5)
    axes.tick_params(labelsize=POINTS, colors=INK)
    axes.spines[:].set_color(MUTED)
    return figure


def projected(circle: Circle, latitude: Floats, longitude: Floats) -> tuple[Floats, Floats]:
    """Kilometres east and north of the middle of a circle, in the azimuthal equidistant projection.

    Args:
        circle: The projection is around its middle.
        latitude: Degrees. Shape N.
        longitude: Degrees. Shape N.
    """
    here, there = np.radians(circle.latitude), np.radians(latitude)
    turn = np.radians(longitude - circle.longitude)
    east = np.cos(there) * np.sin(turn)
    north = np.cos(here) * np.sin(there) - np.sin(here) * np.cos(there) * np.cos(turn)
    ahead = np.sin(here) * np.sin(there) + np.cos(here) * np.cos(there) * np.cos(turn)
    sine = np.hypot(east, north)
    # Next to the place both are next to zero, and the scale is one.
    scale = EARTH_KM * np.where(sine > 1e-12, np.arctan2(sine, ahead) / np.maximum(sine, 1e-12), 1.0)
    return scale * east, scale * north


def _columns(points: Sequence[dict[str, Any]]) -> tuple[Floats, Floats]:
    latitude, longitude = (
        np.array([point[name] for point in points], np.float64) for name in ("latitude", "longitude")
    )
    return latitude, longitude


def _draw_outlines(axes: "Axes", around: Circle) -> None:
    from matplotlib.collections import LineCollection  # noqa: PLC0415 (as in `figure_of`)
    from matplotlib.patches import PathPatch  # noqa: PLC0415
    from matplotlib.path import Path  # noqa: PLC0415

    world = coastline()
    land: list[Path] = []
    coasts: list[Line] = []
    borders: list[Line] = []
    for shift in (-360.0, 0.0, 360.0):
        for ring in _near(around, world.land, shift):
            land.append(Path(_drawn(around, ring), closed=True))
            pieces = open_pieces(ring, step=_SEAM, seams=(shift - 180, shift + 180))
            coasts.extend(_drawn(around, piece) for piece in pieces)
        borders.extend(_drawn(around, line) for line in _near(around, world.borders, shift))
    if land:
        axes.add_patch(PathPatch(Path.make_compound_path(*land), facecolor=LAND, edgecolor="none", zorder=1))
    axes.add_collection(LineCollection(borders, colors=COAST, linewidths=0.5, linestyles=(0, (3, 2)), zorder=2))
    axes.add_collection(LineCollection(coasts, colors=COAST, linewidths=0.7, zorder=2))


def _near(around: Circle, lines: Sequence[Line], shift: float) -> Iterator[Line]:
    """The outlines that touch the box of a circle, and of these what is far outside drawn in to its edge."""
    south, north, half = around.reach()
    low, high = np.array([around.longitude - half, south]), np.array([around.longitude + half, north])
    for line in lines:
        moved = line + np.array([shift, 0.0])
        if not ((moved.max(axis=0) < low).any() or (moved.min(axis=0) > high).any()):
            yield np.clip(moved, low, high)


def _drawn(around: Circle, line: Line) -> Line:
    """An outline on the map, with points enough to be a curve where it is one."""
    steps = np.abs(np.diff(line, axis=0)).max(axis=1)
    at = np.concatenate([[0.0], np.cumsum(np.maximum(np.ceil(steps / _STEP), 1.0))])
    every = np.arange(at[-1] + 1)
    longitude, latitude = (np.interp(every, at, line[:, column]) for column in (0, 1))
    return np.stack(projected(around, latitude, longitude), axis=1)

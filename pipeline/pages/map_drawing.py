"""The map of the observations: cells over coasts and borders, in the frame that the observations need."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from ml.coastline import Coastline, Line, coastline
from ml.palette import DPI, GRID, INK, MUTED, POINTS, SMALL, WIDTH
from pipeline.pages.figures import chart_of, figure_saying, log_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]

LAND: Final = "#eceee8"
COAST: Final = "#75807a"
_RAMP: Final = ("#d2601a", "#a8324a", "#6a1d5e", "#2a0f3f")
"""Few observations to many: darker in each step, and the lightest with 3:1 contrast on the land."""
_CELLS: Final = 80
"""Cells across a map that is as wide as high."""
_MARGIN: Final = 0.12
"""Share of the longer side that is shown around the places: a coast can be recognised."""
_LEAST: Final = 3.0
"""Degrees of a side of the map at least."""
_LONGEST: Final = 2.5
"""Times that one side of the map is as long as the other, at most."""
_BEYOND: Final = 5.0
"""Degrees around the frame in which outlines keep their course."""
_WORTH: Final = 30.0
"""Degrees that a map must save to be centred on the 180th meridian."""
_KILOMETRES: Final = 111.32
"""Of one degree of a meridian."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What a map shows, in degrees. Longitudes go on beyond 180."""

    left: float
    right: float
    bottom: float
    top: float

    @property
    def squeeze(self) -> float:
        """Length of a degree of longitude in the middle of the map, as a share of one of latitude."""
        return max(0.2, float(np.cos(np.radians((self.bottom + self.top) / 2))))

    @property
    def ratio(self) -> float:
        """Width of the map as a multiple of its height."""
        return (self.right - self.left) * self.squeeze / (self.top - self.bottom)


def draw_map(found: list[dict[str, Any]]) -> "Figure":
    """Draw where observations were made.

    A dataset on both sides of the 180th meridian, such as New Zealand with the Chatham Islands, is drawn in one piece.

    Args:
        found: Rows with `longitude` and `latitude` in degrees and the number of `observations` there.
    """
    if not found:
        return figure_saying("no observation has coordinates")
    east, north, number = (
        np.array([row[name] for row in found], np.float64) for name in ("longitude", "latitude", "observations")
    )
    if np.ptp(east % 360) < np.ptp(east) - _WORTH:
        east = east % 360
    frame = frame_of(east, north)
    flat = frame.ratio > 1.2
    figure = chart_of(height=(1.2 if flat else 0.6) + min(4.6, (4.2 if flat else 3.4) / frame.ratio))
    axes = figure.add_subplot()
    axes.set(xlim=(frame.left, frame.right), ylim=(frame.bottom, frame.top))
    axes.set_aspect(1 / frame.squeeze)
    _draw_outlines(axes, frame, coastline())
    _draw_scale(figure, axes, frame)
    cells = _draw_cells(axes, frame, east, north, number)
    bar = figure.colorbar(cells, ax=axes, shrink=0.7, aspect=28, location="bottom" if flat else "right")
    bar.set_label("observations in a cell", fontsize=POINTS, color=INK)
    log_ticks(bar.ax.xaxis if flat else bar.ax.yaxis, *cells.get_clim())
    bar.ax.tick_params(labelsize=POINTS, colors=INK)
    axes.grid(color=GRID, linewidth=0.6, zorder=1.5)
    axes.set_axisbelow(False)
    axes.xaxis.set_major_formatter(lambda value, _: _degrees((value + 180) % 360 - 180, "E", "W"))
    axes.yaxis.set_major_formatter(lambda value, _: _degrees(value, "N", "S"))
    axes.locator_params(axis="x", nbins=min(6, max(2, round(5 * frame.ratio))))
    axes.tick_params(labelsize=POINTS, colors=INK)
    axes.spines[:].set_color(MUTED)
    return figure


def frame_of(east: Floats, north: Floats) -> Frame:
    """The frame around places: the same margin on each side, and at least some degrees wide and high."""
    places = Frame(left=float(east.min()), right=float(east.max()), bottom=float(north.min()), top=float(north.max()))
    width, height = places.right - places.left, places.top - places.bottom
    margin = max(_MARGIN * max(width * places.squeeze, height), _LEAST / 2)
    aside = min(margin / places.squeeze, (360 - width) / 2)
    frame = Frame(
        left=places.left - aside,
        right=places.right + aside,
        bottom=max(places.bottom - margin, -90.0),
        top=min(places.top + margin, 90.0),
    )
    if frame.ratio > _LONGEST:
        missing = (frame.right - frame.left) * frame.squeeze / _LONGEST - (frame.top - frame.bottom)
        return replace(frame, bottom=max(frame.bottom - missing / 2, -90.0), top=min(frame.top + missing / 2, 90.0))
    if frame.ratio < 1 / _LONGEST:
        missing = (frame.top - frame.bottom) / _LONGEST / frame.squeeze - (frame.right - frame.left)
        return replace(frame, left=frame.left - missing / 2, right=frame.right + missing / 2)
    return frame


def _draw_outlines(axes: "Axes", frame: Frame, world: Coastline) -> None:
    """Land, coasts and borders, as often beside each other as the frame shows the world."""
    from matplotlib.collections import LineCollection  # noqa: PLC0415 (as in `figure_of`)
    from matplotlib.patches import PathPatch  # noqa: PLC0415
    from matplotlib.path import Path  # noqa: PLC0415

    land, coasts, borders = [], [], []
    for shift in (-360.0, 0.0, 360.0):
        for ring in _within(frame, world.land, shift):
            land.append(ring)
            coasts.extend(open_pieces(ring, step=_step(frame), seams=(shift - 180, shift + 180)))
        for line in _within(frame, world.borders, shift):
            borders.extend(open_pieces(line, step=_step(frame)))
    if land:
        path = Path.make_compound_path(*(Path(ring, closed=True) for ring in land))
        axes.add_patch(PathPatch(path, facecolor=LAND, edgecolor="none", zorder=1))
    axes.add_collection(LineCollection(borders, colors=COAST, linewidths=0.5, linestyles=(0, (3, 2)), zorder=2))
    axes.add_collection(LineCollection(coasts, colors=COAST, linewidths=0.7, zorder=2))


def _within(frame: Frame, lines: tuple[Line, ...], shift: float) -> list[Line]:
    """The lines that touch the frame, with points no nearer to each other than can be seen, and none far outside."""
    low = np.array([frame.left, frame.bottom])
    high = np.array([frame.right, frame.top])
    step = _step(frame)
    seen = []
    for line in lines:
        moved = line + np.array([shift, 0.0])
        if (moved.max(axis=0) < low).any() or (moved.min(axis=0) > high).any():
            continue
        kept = np.rint(np.clip(moved, low - _BEYOND, high + _BEYOND) / step) * step
        kept = kept[np.append(True, np.diff(kept, axis=0).any(axis=1))]
        if len(kept) > 2 or (len(kept) == 2 and len(line) == 2):
            seen.append(kept)
    return seen


def _step(frame: Frame) -> float:
    """Degrees of two pixels."""
    return 2 * max((frame.right - frame.left) * frame.squeeze, frame.top - frame.bottom) / (WIDTH * DPI)


def open_pieces(line: Line, *, step: float, seams: tuple[float, ...] = ()) -> list[Line]:
    """The pieces of an outline that are a coast: without its way along the seam of the world and along a pole.

    Args:
        line: Longitudes and latitudes in degrees.
        step: How many degrees can be told apart.
        seams: Longitudes of the seam.
    """
    apart = line[:, 1] <= -90 + step
    for seam in seams:
        apart |= np.abs(line[:, 0] - seam) <= step
    cuts = np.flatnonzero(apart[:-1] & apart[1:]) + 1
    return [piece for piece in np.split(line, cuts) if len(piece) > 1]


def _draw_scale(figure: "Figure", axes: "Axes", frame: Frame) -> None:
    """A bar of a round number of kilometres above the map, true in the middle of it."""
    from matplotlib.transforms import ScaledTranslation, blended_transform_factory  # noqa: PLC0415 (as in `figure_of`)

    degree = _KILOMETRES * frame.squeeze
    most = 0.3 * (frame.right - frame.left) * degree
    power = 10 ** np.floor(np.log10(most))
    length = float(power * max(step for step in (1, 2, 5) if step * power <= most))
    above = ScaledTranslation(0, 8 / 72, figure.dpi_scale_trans)
    place = blended_transform_factory(axes.transData, axes.transAxes) + above
    begin = frame.right - length / degree
    axes.plot([begin, frame.right], [1, 1], color=INK, linewidth=2, transform=place, clip_on=False)
    axes.text(begin, 1, f"{length:,.0f} km ", transform=place, ha="right", va="center", fontsize=SMALL, color=INK)


def _draw_cells(axes: "Axes", frame: Frame, east: Floats, north: Floats, number: Floats) -> "PolyCollection":
    """The cells that hold observations, as wide as high on the ground, darker for more."""
    from matplotlib.collections import PolyCollection  # noqa: PLC0415 (as in `figure_of`)
    from matplotlib.colors import LogNorm  # noqa: PLC0415

    across = max(8, round(_CELLS * min(1.0, frame.ratio)))
    shape = (across, max(8, round(across / frame.ratio)))
    area = ((frame.left, frame.right), (frame.bottom, frame.top))
    counts, x, y = np.histogram2d(east, north, bins=shape, range=area, weights=number)
    column, row = np.nonzero(counts)
    corners = np.stack(
        [np.stack([x[column + a], y[row + b]], axis=1) for a, b in ((0, 0), (1, 0), (1, 1), (0, 1))], axis=1
    )
    values = counts[column, row]
    norm = LogNorm(vmin=1, vmax=max(10, float(values.max())))
    cells = PolyCollection(list(corners), array=values, cmap=_ramp(), norm=norm, linewidths=0, zorder=3)
    axes.add_collection(cells, autolim=False)
    return cells


def _ramp() -> "Colormap":
    from matplotlib.colors import LinearSegmentedColormap  # noqa: PLC0415 (as in `figure_of`)

    return LinearSegmentedColormap.from_list("observations", _RAMP)


def _degrees(value: float, positive: str, negative: str) -> str:
    # The 180th meridian is neither east nor west.
    letter = "" if abs(value) in {0, 180} else positive if value > 0 else negative
    return f"{abs(value):g}\N{DEGREE SIGN}{letter}"

"""Pictures of what place and season are worth: with neighbours left out, and by class, region and observer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ml.evaluation.drawing import figure_of, legend_outside, save_figure, tidy
from ml.palette import INK, MARKERS, MUTED, POINTS, SERIES, WIDTH
from ml.spec import CASE_TITLES, PLACE_GROUPS, PLACE_LEFT_OUT
from ml.specificity.place_accuracy import Grouping, PlaceAccuracy

LEAST_SHOWN: Final = 30
"""Photographs that a group needs to be drawn: with fewer the interval of its gain is some 30 points wide."""
MOST_SHOWN: Final = 12
"""Groups of one kind that are drawn, those with the most photographs."""
LONGEST: Final = 22
"""Characters of a group's name that there is room for."""
_SERIES: Final = tuple((case, title) for case, title in CASE_TITLES.items() if case != "neither")
_KINDS: Final[tuple[tuple[Grouping, str], ...]] = (
    ("class", "Taxonomic class"),
    ("region", "Country"),
    ("observer", "Observer"),
)


def draw_place_figures(table: Sequence[PlaceAccuracy], *, folder: Path) -> dict[str, Path]:
    """Draw all pictures into `folder`; none of an empty table.

    Returns:
        PNG files by title; each has an SVG twin of the same name beside it.
    """
    if not table:
        return {}
    figures = {PLACE_LEFT_OUT: save_figure(left_out_figure(table), folder / "place_gain_left_out.png")}
    groups = groups_figure(table)
    if groups is not None:
        figures[PLACE_GROUPS] = save_figure(groups, folder / "place_gain_by_group.png")
    return figures


def left_out_figure(table: Sequence[PlaceAccuracy]) -> Figure:
    """The gain in top-1, with its interval, against the kilometres within which neighbours are left out."""
    rows = [one for one in table if one.grouping == "left_out"]
    distances = sorted({one.left_out_km for one in rows})
    figure = figure_of(WIDTH, 3.6, title="What place and season add when nearby records are left out")
    axes = figure.subplots()
    axes.axhline(0, color=MUTED, linewidth=1, linestyle=":")
    for number, (case, label) in enumerate(_SERIES):
        own = [one for one in rows if one.case == case]
        if own:
            # Distances are categories: beside each other the intervals of both series can be read.
            x = np.array([distances.index(one.left_out_km) for one in own]) + 0.08 * _side(number, rows)
            gain, spread = _points(own)
            axes.errorbar(
                x, gain, yerr=spread, color=SERIES[number], marker=MARKERS[number], markersize=6, capsize=3,
                linewidth=1.6, linestyle=("-", "--")[number], elinewidth=1.2, label=label,
            )  # fmt: skip
    tidy(axes, x="records left out within", y="gain in top-1 (points)")
    axes.set_xticks(range(len(distances)), ["none" if not km else f"{km:g} km" for km in distances])
    axes.set_xlim(-0.35, len(distances) - 0.65)
    legend_outside(figure, axes)
    return figure


def groups_figure(table: Sequence[PlaceAccuracy]) -> Figure | None:
    """The gain in top-1, with its interval, of each group with enough photographs; None where no group has."""
    shown = [(title, rows) for kind, title in _KINDS if (rows := _shown(table, kind))]
    if not shown:
        return None
    heights = [len({one.group for one in rows}) + 1.1 for _, rows in shown]
    figure = figure_of(WIDTH, 1.3 + 0.36 * sum(heights), title="What place and season add, group by group")
    panels = np.atleast_1d(figure.subplots(len(shown), 1, sharex=True, height_ratios=heights))
    for axes, (title, rows) in zip(panels, shown, strict=True):
        _draw_groups(axes, rows, title=title)
    panels[-1].set_xlabel("gain in top-1 (points)", fontsize=POINTS, color=INK)
    legend_outside(figure, panels[0])
    return figure


def _shown(table: Sequence[PlaceAccuracy], kind: Grouping) -> list[PlaceAccuracy]:
    """The rows of the groups that are drawn; the table has those with the most photographs first."""
    rows = [one for one in table if one.grouping == kind and one.case != "neither" and one.photos >= LEAST_SHOWN]
    groups = list(dict.fromkeys(one.group for one in rows))[:MOST_SHOWN]
    return [one for one in rows if one.group in groups]


def _draw_groups(axes: Axes, rows: Sequence[PlaceAccuracy], *, title: str) -> None:
    photos = {one.group: one.photos for one in rows}
    groups = list(photos)
    axes.axvline(0, color=MUTED, linewidth=1, linestyle=":")
    for number, (case, label) in enumerate(_SERIES):
        own = [one for one in rows if one.case == case]
        if own:
            gain, spread = _points(own)
            y = np.array([groups.index(one.group) for one in own]) + 0.14 * _side(number, rows)
            axes.errorbar(
                gain, y, xerr=spread, color=SERIES[number], marker=MARKERS[number], markersize=5.5, capsize=2.5,
                linestyle="none", elinewidth=1.2, label=label,
            )  # fmt: skip
    tidy(axes, title=title)
    axes.set_yticks(range(len(groups)), [f"{_short(group)} ({photos[group]:,})" for group in groups])
    axes.set_ylim(len(groups) - 0.4, -0.6)


def _side(number: int, rows: Sequence[PlaceAccuracy]) -> int:
    """Where a series stands beside the other: -1 or 1; 0 where it is the only one."""
    return 2 * number - 1 if {case for case, _ in _SERIES} <= {one.case for one in rows} else 0


def _points(rows: Sequence[PlaceAccuracy]) -> tuple[np.ndarray, np.ndarray]:
    """Gains in percentage points, and how far their intervals reach below and above. Shapes M and 2 x M."""
    numbers = 100 * np.array([[one.gain_low, one.gain, one.gain_high] for one in rows], dtype=np.float64).T
    return numbers[1], np.maximum([numbers[1] - numbers[0], numbers[2] - numbers[1]], 0)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"

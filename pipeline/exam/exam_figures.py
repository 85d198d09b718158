"""The changes of a challenger with their intervals, one row a metric, as a forest plot."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from ml.palette import BLUE, GRID, INK, MUTED, SMALL, VERMILION
from pipeline.pages.figures import chart_of, legend_outside, shortened, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = dict[str, Any]
"""label, change, low, high, margin (the least change, or None), passed."""
LABEL: Final = 26
"""Characters of a label; a group's may be cut."""


def forest(shares: Sequence[Row], depths: Sequence[Row], against: str) -> "Figure":
    """Changes with 95 % intervals, shares in percentage points above, depths in ranks below.

    Args:
        shares: Rows of shares; at least one.
        depths: Rows of depths.
        against: The other version, for the names of the axes.
    """
    parts = [part for part in (shares, depths) if part]
    heights = [len(part) + 1.3 for part in parts]
    figure = chart_of(height=1.1 + 0.27 * sum(heights))
    every = figure.subplots(len(parts), 1, height_ratios=heights, squeeze=False)[:, 0]
    for axes, part in zip(every, parts, strict=True):
        share = part is shares
        _draw(axes, part, scale=100 if share else 1)
        style(axes, x=f"{'percentage points' if share else 'ranks'} more than {against}", y="")
        axes.tick_params(axis="y", length=0)
    top: Axes = every[0]
    top.plot([], [], "o", color=BLUE, markersize=5, label="passed")
    top.plot([], [], "X", color=VERMILION, markersize=6, label="failed")
    top.plot([], [], "|", color=MUTED, markersize=11, markeredgewidth=1.6, label="may be lost")
    legend_outside(figure, top)
    return figure


def _draw(axes: "Axes", rows: Sequence[Row], *, scale: int) -> None:
    axes.axvline(0, color=INK, linewidth=1, zorder=1)
    for place, row in enumerate(rows):
        colour, marker, size = (BLUE, "o", 5) if row["passed"] else (VERMILION, "X", 6)
        value = scale * row["change"]
        axes.hlines(place, scale * row["low"], scale * row["high"], color=colour, linewidth=1.6, zorder=2)
        axes.plot(value, place, marker, color=colour, markersize=size, zorder=3)
        if row["margin"] is not None:
            axes.plot(scale * row["margin"], place, "|", color=MUTED, markersize=11, markeredgewidth=1.6, zorder=1)
    axes.set_yticks(range(len(rows)), [shortened(row["label"], LABEL) for row in rows], fontsize=SMALL)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    # One row of equal numbers needs some room to be read.
    low, high = axes.get_xlim()
    least = 2.0 if scale > 1 else 0.2
    if high - low < least:
        axes.set_xlim(-least / 2, least / 2)

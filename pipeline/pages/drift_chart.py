"""The chart of drift: how far the photographs of a snapshot are from those of the one before, and how far they were."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ml.palette import BLUE, INK, SERIES, VERMILION
from pipeline.history.drift import KINDS, MOST_DRIFT
from pipeline.pages.figures import Mark, chart_of, draw_bars, draw_once, legend_outside, style
from pipeline.paths import Paths

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DASHES: Final = (0, (4, 3))
_MARKERS: Final = "os^vDP*"


def drift_chart(paths: Paths, distances: list[dict[str, Any]]) -> Path:
    """The last distances as bars and, where there are several, all of them as lines.

    Args:
        paths: The files of the scope.
        distances: What `pipeline.history.drift.distances` returned; at least one.
    """
    return draw_once(paths.reports / "dataset" / "drift.png", _draw, distances, MOST_DRIFT)


def _draw(found: list[dict[str, Any]], limit: float) -> "Figure":
    snapshots = sorted({row["snapshot"] for row in found})
    last = {row["kind"]: row["distance"] for row in found if row["snapshot"] == snapshots[-1]}
    several = len(snapshots) > 1
    figure = chart_of(height=2.6 if not several else 5.0)
    panels = figure.subplots(2 if several else 1, 1, squeeze=False)[:, 0]
    bars = [
        Mark(place=place, value=100 * distance, text=f"{distance:.1%}", colour=VERMILION if distance > limit else BLUE)
        for place, distance in enumerate(last.values())
    ]
    draw_bars(panels[0], [KINDS[kind] for kind in last], bars, x=f"distance of snapshot {snapshots[-1]} (%)")
    panels[0].set_xlim(0, 1.15 * max(100 * limit, *(bar.value for bar in bars)))
    panels[0].axvline(100 * limit, color=INK, linewidth=1, linestyle=_DASHES)
    if several:
        _draw_history(panels[1], found, snapshots=snapshots, limit=limit)
        legend_outside(figure, panels[1], place="outside lower left")
    return figure


def _draw_history(axes: "Axes", found: list[dict[str, Any]], *, snapshots: list[int], limit: float) -> None:
    for place, kind in enumerate(KINDS):
        own = [(row["snapshot"], 100 * row["distance"]) for row in found if row["kind"] == kind]
        axes.plot(
            [snapshot for snapshot, _ in own], [distance for _, distance in own], label=KINDS[kind], linewidth=1.2,
            color=SERIES[place % len(SERIES)], marker=_MARKERS[place % len(_MARKERS)], markersize=4,
        )  # fmt: skip
    axes.axhline(100 * limit, color=INK, linewidth=1, linestyle=_DASHES)
    axes.set_xticks(snapshots if len(snapshots) <= 26 else snapshots[:: len(snapshots) // 13])
    axes.set_ylim(bottom=0)
    style(axes, x="snapshot", y="distance (%)")

"""The section on drift: how far the photographs of a snapshot are from those of the one before, and what moved."""

import calendar
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ml.palette import BLUE, INK, SERIES, VERMILION
from pipeline.history.drift import CELL, KINDS, MOST_DRIFT, distances, last_distances, moves
from pipeline.pages.charts import MINUS
from pipeline.pages.figures import Mark, chart_of, draw_bars, draw_once, legend_outside, style
from pipeline.paths import Paths

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DASHES: Final = (0, (4, 3))
_MARKERS: Final = "os^vDP*"
_MONTHS: Final = [f"{month:02d}" for month in range(1, 13)]
_MOVES: Final = 3
"""Values of each kind whose share changed most."""


def drift_section(paths: Paths) -> dict[str, object]:
    """What the page shows of drift: chart, snapshots, limit, large, moves.

    Empty where there is no snapshot before whose shares are known.

    Raises:
        TableError: the record of a snapshot is damaged.
    """
    if not paths.table("drift").exists() or not (last := last_distances(paths)):
        return {}
    found = distances(paths)
    return {
        "chart": drift_chart(paths, found),
        "snapshots": len({row["snapshot"] for row in found}),
        "limit": f"{MOST_DRIFT:.0%}",
        "large": [KINDS[kind] for kind, distance in last.items() if distance > MOST_DRIFT],
        "moves": [
            [
                KINDS[row["kind"]],
                in_words(row["kind"], row["value"]),
                *(f"{row[name]:.1%}" for name in ("share_before", "share")),
                f"{100 * row['difference']:+.1f}".replace("-", MINUS),
            ]
            for row in moves(paths, most=_MOVES)
        ],
    }


def in_words(kind: str, value: str) -> str:
    """A value of `drift` as people read it: months by name, cells by their borders."""
    if value == "unknown":
        return "not said"
    if kind == "month":
        return calendar.month_name[int(value)] if value in _MONTHS else value
    if kind == "cell":
        south, west = map(int, value.split(", "))
        return f"{_borders(south, 'S', 'N')}, {_borders(west, 'W', 'E')}"
    return value


def _borders(least: int, below: str, above: str) -> str:
    """The two borders of a cell in degrees, the one nearer to the equator or to Greenwich first."""
    low, high, side = (-least - CELL, -least, below) if least < 0 else (least, least + CELL, above)
    return f"{low}\N{EN DASH}{high}° {side}"


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

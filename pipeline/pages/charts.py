"""The charts of the dataset's tables, each a PNG file below `reports/`, drawn when what it shows has changed."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.palette import BLUE, GOLD, GREEN, INK, MUTED, PURPLE, SERIES
from pipeline.history.changes import Comparison, changed_species
from pipeline.pages.figures import Bar, draw_bars, draw_once, figure_of, figure_saying, style
from pipeline.paths import Paths
from pipeline.query import rows
from pipeline.rejections import counts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = dict[str, Any]

_CLASSES = 24
"""Classes with their own bar; the rest share one."""
_SPECIES = 10
"""Species that gained, and as many that lost; more would not be read."""


def species_per_class(paths: Paths) -> Path:
    """Kept species of each class (the rank), coloured by kingdom.

    Raises:
        TableError: `taxonomy.parquet` is missing.
    """
    found = rows("species_per_class", inputs={"taxonomy": paths.table("taxonomy")})
    return draw_once(_file(paths, "species-per-class"), _draw_classes, found)


def licences(paths: Paths) -> Path:
    """Photographs under each licence.

    Raises:
        TableError: `attribution.parquet` is missing.
    """
    found = rows("licence_counts", inputs={"attribution": paths.table("attribution")})
    return draw_once(_file(paths, "licences"), _draw_licences, found)


def rejections_chart(paths: Paths) -> Path:
    """What each rule of each stage removed so far, on a logarithmic scale.

    Raises:
        TableError: `rejections.parquet` is missing.
    """
    return draw_once(_file(paths, "rejections"), _draw_rejections, counts(paths))


def long_tail(paths: Paths) -> Path:
    """How many species have how many usable photographs, kept and removed, with the line between them.

    The line is drawn at the smallest species that is kept, which has `split.min_images` photographs or more.

    Raises:
        TableError: `species.parquet`, `rejections.parquet` or one of the tables that they count is missing.
    """
    names = ("photos", "clean_occurrences", "species")
    inputs = {name: paths.table(name) for name in names} | {"removed": paths.rejections_of("species")}
    return draw_once(_file(paths, "long-tail"), _draw_long_tail, rows("long_tail", inputs=inputs))


def observation_map(paths: Paths) -> Path:
    """Density of the observations over longitude and latitude, on a logarithmic scale.

    A dataset on both sides of the 180th meridian, such as New Zealand with the Chatham Islands, is drawn in one piece.

    Raises:
        TableError: `split.parquet` or `clean_occurrences.parquet` is missing.
    """
    inputs = {name: paths.table(name) for name in ("split", "clean_occurrences")}
    return draw_once(_file(paths, "map"), _draw_map, rows("observation_places", inputs=inputs))


def changes_chart(paths: Paths, comparison: Comparison) -> Path:
    """Photographs by kind of change, and below them the species that gained and lost most.

    Args:
        paths: The files of the scope.
        comparison: What `build_changes` returned.

    Raises:
        TableError: `changes.parquet` is missing.
    """
    before = comparison.previous.photographs if comparison.previous else None
    start = "" if before is None else f"{before:,} \N{RIGHTWARDS ARROW} "
    title = f"Snapshot {comparison.snapshot.number}: {start}{comparison.snapshot.photographs:,} photographs"
    species = changed_species(paths, most=_SPECIES)
    return draw_once(paths.reports / "changes.png", _draw_changes, title, before, comparison.counts, species)


def _draw_classes(found: list[Row]) -> "Figure":
    kingdoms = list(dict.fromkeys(row["kingdom"] for row in found))
    palette = dict(zip(kingdoms, [*SERIES, *[MUTED] * len(kingdoms)], strict=False))
    named = [(row["name"], row["kingdom"], row["species"]) for row in found[:_CLASSES]]
    if len(found) > _CLASSES:
        rest = sum(row["species"] for row in found[_CLASSES:])
        named.append((f"{len(found) - _CLASSES} other classes", None, rest))
    bars = [
        Bar(place=place, value=species, text=f"{species:,}", colour=palette.get(kingdom, MUTED), series=kingdom)
        for place, (_, kingdom, species) in enumerate(named)
    ]
    return _bar_figure([name for name, _, _ in named], bars, x="species")


def _draw_licences(found: list[Row]) -> "Figure":
    total = sum(row["photos"] for row in found)
    bars = [
        Bar(place=place, value=photos, text=f"{photos:,} ({photos / total:.1%})", colour=GREEN)
        for place, photos in enumerate(row["photos"] for row in found)
    ]
    return _bar_figure([row["licence"] for row in found], bars, x="photographs")


def _draw_rejections(found: dict[str, dict[str, int]]) -> "Figure":
    removed = [(stage, rule, number) for stage, rules in found.items() for rule, number in rules.items()]
    palette = dict(zip(found, SERIES, strict=False))
    bars = [
        Bar(place=place, value=number, text=f"{number:,}", colour=palette[stage], series=stage.replace("_", " "))
        for place, (stage, _, number) in enumerate(removed)
    ]
    return _bar_figure([rule.replace("_", " ") for _, rule, _ in removed], bars, x="rows removed", logarithmic=True)


def _draw_long_tail(found: list[Row]) -> "Figure":
    kept, removed = ([row["photos"] for row in found if row["kept"] is side] for side in (True, False))
    edges = _log_edges(max([1, *kept, *removed]))
    figure = figure_of(height=2.9)
    axes = figure.add_subplot()
    axes.hist(
        [removed, kept], bins=edges, stacked=True, color=[GOLD, GREEN], edgecolor="white", linewidth=0.6,
        label=[f"removed: {len(removed):,} species", f"kept: {len(kept):,} species"],
    )  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlim(edges[0], edges[-1])
    axes.margins(y=0.15)
    if kept:
        axes.axvline(min(kept) - 0.5, color=INK, linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate(
            f"fewest kept: {min(kept):,}", xy=(min(kept) - 0.5, 0.98), xycoords=("data", "axes fraction"),
            xytext=(5, 0), textcoords="offset points", va="top", fontsize=8, color=INK,
        )  # fmt: skip
    axes.xaxis.set_major_formatter("{x:,.0f}")
    style(axes, x="usable photographs of a species", y="species")
    axes.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderpad=0.2)
    figure.tight_layout()
    return figure


def _draw_changes(title: str, before: int | None, kinds: dict[str, int], species: list[Row]) -> "Figure":
    above, below = 1.9, 0.9 + 0.24 * max(2, len(species))
    figure = figure_of(width=7.2, height=above + below)
    upper, lower = figure.subplots(2, 1, height_ratios=(above, below))
    bars = []
    for place, (number, colour) in enumerate(zip(kinds.values(), (GREEN, GOLD, BLUE, PURPLE), strict=True)):
        share = f"  ({number / before:.1%} of the snapshot before)" if before and number else ""
        bars.append(Bar(place=place, value=number, colour=colour, text=f"{number:,}{share}"))
    draw_bars(upper, list(kinds), bars, x="photographs", logarithmic=True)
    upper.set_title(title, fontsize=10, color=INK, loc="left")
    _draw_species(lower, species)
    figure.tight_layout(h_pad=1.6)
    return figure


def _draw_species(axes: "Axes", found: list[Row]) -> None:
    """What each species gained to the right of the line, what it lost to the left."""
    if not found:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "no species has more or fewer photographs", ha="center", va="center", color=MUTED)
        return
    series = (
        ("gained", 1, GREEN, "gained: new, or identified as it"),
        ("lost", -1, GOLD, "lost: gone, or identified otherwise"),
    )
    bars = [
        Bar(place=place, value=sign * row[name], colour=colour, series=title,
            text=f"{sign * row[name]:+,}".replace("-", "\N{MINUS SIGN}") if row[name] else "")
        for name, sign, colour, title in series
        for place, row in enumerate(found)
    ]  # fmt: skip
    draw_bars(axes, [row["species"] for row in found], bars, x="photographs of the species that gained and lost most")
    axes.axvline(0, color=INK, linewidth=0.8)
    for label in axes.get_yticklabels():
        label.set_fontstyle("italic")


def _file(paths: Paths, name: str) -> Path:
    return paths.reports / "dataset" / f"{name}.png"


def _bar_figure(labels: list[str], bars: list[Bar], *, x: str, logarithmic: bool = False) -> "Figure":
    if not bars:
        return figure_saying(f"no {x}")
    figure = figure_of(height=0.9 + 0.22 * len(labels))
    draw_bars(figure.add_subplot(), labels, bars, x=x, logarithmic=logarithmic)
    figure.tight_layout()
    return figure


def _draw_map(found: list[Row]) -> "Figure":
    if not found:
        return figure_saying("no observation has coordinates")
    from matplotlib.colors import LogNorm  # noqa: PLC0415 (as in `figure_of`)
    from matplotlib.ticker import LogFormatter  # noqa: PLC0415

    east, north, number = (np.array([row[name] for row in found]) for name in ("longitude", "latitude", "observations"))
    if np.ptp(east % 360) < np.ptp(east):
        east = east % 360
    left, right = _frame(east)
    bottom, top = _frame(north)
    bottom, top = max(bottom, -90.0), min(top, 90.0)
    # A cell is as wide as it is high on the ground, in the middle of the map.
    squeeze = max(0.2, float(np.cos(np.radians((bottom + top) / 2))))
    ratio = (right - left) * squeeze / (top - bottom)
    across = max(8, round(110 * min(1.0, ratio)))
    figure = figure_of(height=min(4.4, 1.0 + 3.8 / ratio))
    axes = figure.add_subplot()
    drawn = axes.hist2d(
        east, north, bins=(across, max(8, round(across / ratio))), range=((left, right), (bottom, top)),
        weights=number, cmin=1, cmap="YlGn", norm=LogNorm(),
    )  # fmt: skip
    axes.set_facecolor("#f4f5f2")
    axes.grid(color="white", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_aspect(1 / squeeze)
    axes.xaxis.set_major_formatter(lambda value, _: _degrees((value + 180) % 360 - 180, "E", "W"))
    axes.yaxis.set_major_formatter(lambda value, _: _degrees(value, "N", "S"))
    axes.tick_params(labelsize=8, colors=INK)
    axes.spines[:].set_color(MUTED)
    bar = figure.colorbar(drawn[3], ax=axes, shrink=0.7)
    bar.set_label("observations in a cell", fontsize=8, color=INK)
    bar.ax.yaxis.set_major_formatter("{x:,.0f}")
    # Between two powers of ten nothing is named unless there is room for it.
    bar.ax.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1, 0.5)))
    bar.ax.tick_params(which="both", labelsize=8, colors=INK)
    figure.tight_layout()
    return figure


def _log_edges(most: float) -> list[float]:
    """One bin per count up to ten, then bins of equal width on a logarithmic scale; none splits a count."""
    edges = [value - 0.5 for value in range(1, 12)]
    while edges[-1] < most:
        edges.append(np.ceil(edges[-1] * 1.25) + 0.5)
    return edges


def _frame(values: np.ndarray) -> tuple[float, float]:
    """The range of the values with a margin of a twentieth, at least half a degree."""
    margin = max(0.5, float(np.ptp(values)) / 20)
    return float(values.min()) - margin, float(values.max()) + margin


def _degrees(value: float, positive: str, negative: str) -> str:
    letter = "" if value == 0 else positive if value > 0 else negative
    return f"{abs(value):g}\N{DEGREE SIGN}{letter}"

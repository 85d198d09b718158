"""The charts of the dataset's tables, PNG and SVG files below `reports/`, drawn when what they show has changed."""

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ml.palette import BLUE, GOLD, GREEN, INK, MUTED, POINTS, SERIES, VERMILION
from pipeline.dataset.attribution import licence_counts
from pipeline.history.changes import Comparison, changed_species
from pipeline.pages.figures import (
    Mark,
    chart_of,
    draw_bars,
    draw_dots,
    draw_once,
    figure_saying,
    legend_outside,
    log_ticks,
    short_number,
    shortened,
    style,
)
from pipeline.pages.map_drawing import draw_map
from pipeline.paths import Paths
from pipeline.query import rows
from pipeline.rejections import counts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = dict[str, Any]

MINUS: Final = "\N{MINUS SIGN}"
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
    return draw_once(_file(paths, "licences"), _draw_licences, licence_counts(paths.table("attribution")))


def rejections_chart(paths: Paths) -> Path:
    """What each rule of each stage removed so far, records and photographs apart.

    Raises:
        TableError: `rejections.parquet` is missing.
    """
    return draw_once(_file(paths, "rejections"), _draw_rejections, counts(paths))


def long_tail(paths: Paths) -> Path:
    """The rank-abundance curve of the species: usable photographs of each, and the line between kept and removed.

    The line is drawn below the smallest species that is kept, which has `split.min_images` photographs or more.

    Raises:
        TableError: `species.parquet`, `rejections.parquet` or one of the tables that they count is missing.
    """
    names = ("photos", "clean_occurrences", "species")
    inputs = {name: paths.table(name) for name in names} | {"removed": paths.rejections_of("species")}
    return draw_once(_file(paths, "long-tail"), _draw_long_tail, rows("long_tail", inputs=inputs))


def observation_map(paths: Paths) -> Path:
    """Density of the observations over coasts and borders, on a logarithmic scale.

    A dataset on both sides of the 180th meridian, such as New Zealand with the Chatham Islands, is drawn in one piece.

    Raises:
        TableError: `split.parquet` or `clean_occurrences.parquet` is missing.
    """
    inputs = {name: paths.table(name) for name in ("split", "clean_occurrences")}
    return draw_once(_file(paths, "map"), draw_map, rows("observation_places", inputs=inputs))


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
    named = [(shortened(row["name"]), row["kingdom"], row["species"]) for row in found[:_CLASSES]]
    if len(found) > _CLASSES:
        rest = sum(row["species"] for row in found[_CLASSES:])
        named.append((f"{len(found) - _CLASSES} other classes", "all kingdoms", rest))
    bars = [
        Mark(place=place, value=species, text=f"{species:,}", colour=palette.get(kingdom, MUTED), series=kingdom)
        for place, (_, kingdom, species) in enumerate(named)
    ]
    return _bar_figure([name for name, _, _ in named], bars, x="species")


def _draw_licences(found: dict[str, int]) -> "Figure":
    total = sum(found.values())
    bars = [
        Mark(place=place, value=photos, text=f"{photos:,} ({photos / total:.1%})", colour=GREEN)
        for place, photos in enumerate(found.values())
    ]
    return _bar_figure([shortened(licence) for licence in found], bars, x="photographs")


def _bar_figure(labels: list[str], bars: list[Mark], *, x: str) -> "Figure":
    if not bars:
        return figure_saying(f"no {x}")
    figure = chart_of(height=0.9 + 0.22 * len(labels))
    axes = figure.add_subplot()
    draw_bars(axes, labels, bars, x=x)
    if any(bar.series for bar in bars):
        legend_outside(figure, axes)
    return figure


def _draw_rejections(found: dict[str, dict[str, int]]) -> "Figure":
    removed: dict[str, dict[str, int]] = {}
    for stage, rules in found.items():
        for rule, number in rules.items():
            removed.setdefault(_unit(stage, rule), {})[rule.replace("_", " ")] = number
    if not removed:
        return figure_saying("no rule removed anything")
    heights = [0.62 + 0.2 * len(lines) for lines in removed.values()]
    figure = chart_of(height=sum(heights) + 0.3)
    panels = figure.subplots(len(removed), 1, height_ratios=heights, squeeze=False)[:, 0]
    for axes, (unit, lines) in zip(panels, removed.items(), strict=True):
        dots = [
            Mark(place=place, value=number, text=f"{number:,}", colour=BLUE)
            for place, number in enumerate(lines.values())
        ]
        draw_dots(axes, list(lines), dots, x=f"{unit} left out")
    return figure


def _unit(stage: str, rule: str) -> str:
    """What a rule counts: the stages remove lines of files, then records, then photographs."""
    if stage == "occurrences":
        return "lines of the archive"
    return "records" if stage == "clean_occurrences" or rule == "no_photo" else "photographs"


def _draw_long_tail(found: list[Row]) -> "Figure":
    """The rank-abundance curve: photographs of each species, the species in the order of their photographs."""
    if not found:
        return figure_saying("no species has a usable photograph")
    ranked = sorted(found, key=lambda row: (-row["photos"], not row["kept"]))
    figure = chart_of(height=3.1)
    axes = figure.add_subplot()
    for kept, colour, marker, title in ((True, BLUE, "o", "kept"), (False, VERMILION, "s", "too few, left out")):
        own = [(rank, row["photos"]) for rank, row in enumerate(ranked, 1) if row["kept"] is kept]
        if own:
            steps = _corners(own)
            axes.plot(
                [rank for rank, _ in steps], [photos for _, photos in steps], color=colour, linewidth=1.2,
                marker=marker, markersize=3.5 if len(own) < 200 else 5, markerfacecolor=colour if kept else "white",
                markevery=max(1, len(steps) // 60), label=f"{title}: {len(own):,} species",
            )  # fmt: skip
    fewest = min((row["photos"] for row in found if row["kept"]), default=None)
    if fewest is not None:
        axes.axhline(
            fewest - 0.5, color=INK, linewidth=1, linestyle=(0, (4, 3)), label=f"fewest of a kept species: {fewest:,}"
        )
    axes.set_yscale("log")
    axes.set_ylim(0.45 if fewest == 1 else 0.7, 1.6 * max(10, ranked[0]["photos"]))
    axes.set_xlim(1 - 0.02 * len(found) - 0.5, len(found) * 1.02 + 0.5)
    log_ticks(axes.yaxis, *axes.get_ylim())
    axes.locator_params(axis="x", integer=True)
    axes.xaxis.set_major_formatter(short_number)
    style(axes, x="species, the one with most photographs first", y="usable photographs")
    legend_outside(figure, axes)
    return figure


def _corners(points: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The points without those between two of the same height: 20,000 species have few different numbers."""
    return [
        point
        for place, point in enumerate(points)
        if len(points) < 200 or place in {0, len(points) - 1}
        or not points[place - 1][1] == point[1] == points[place + 1][1]
    ]  # fmt: skip


def _draw_changes(title: str, before: int | None, kinds: dict[str, int], species: list[Row]) -> "Figure":
    above, below = 1.6, 0.9 + 0.2 * max(2, len(species))
    figure = chart_of(height=above + below + 0.5)
    upper, lower = figure.subplots(2, 1, height_ratios=(above, below))
    dots = []
    for place, number in enumerate(kinds.values()):
        share = f" ({number / before:.1%})" if before and number else ""
        dots.append(Mark(place=place, value=number, colour=BLUE, text=f"{number:,}{share}"))
    draw_dots(upper, list(kinds), dots, x="photographs" + ("\n(share of the snapshot before)" if before else ""))
    figure.suptitle("\n".join(textwrap.wrap(title, 46)), fontsize=POINTS + 1, color=INK, x=0.01, ha="left")
    _draw_species(figure, lower, species)
    return figure


def _draw_species(figure: "Figure", axes: "Axes", found: list[Row]) -> None:
    """What each species gained to the right of the line, what it lost to the left."""
    if not found:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "no species has more or fewer photographs", ha="center", va="center", color=MUTED,
                  fontsize=POINTS)  # fmt: skip
        return
    series = (
        ("gained", 1, GREEN, "gained: new, or identified as it"),
        ("lost", -1, GOLD, "lost: gone, or identified otherwise"),
    )
    bars = [
        Mark(place=place, value=sign * row[name], colour=colour, series=title,
             text=f"{'+' if sign > 0 else MINUS}{short_number(row[name])}" if row[name] else "")
        for name, sign, colour, title in series
        for place, row in enumerate(found)
    ]  # fmt: skip
    names = [shortened(row["species"], 26) for row in found]
    draw_bars(axes, names, bars, x="photographs of the species\nthat changed most")
    axes.margins(x=0.45)
    axes.axvline(0, color=INK, linewidth=0.8)
    for label in axes.get_yticklabels():
        label.set_fontstyle("italic")
    legend_outside(figure, axes, place="outside lower left")


def _file(paths: Paths, name: str) -> Path:
    return paths.reports / "dataset" / f"{name}.png"

"""The picture of what a snapshot changed, as PNG bytes. Nothing is compared here."""

from typing import TYPE_CHECKING

from pipeline.history.changes import KINDS, Comparison, changed_species
from pipeline.pages.figures import GREEN, INK, MUTED, SAND, figure_of, png_of, style
from pipeline.paths import Paths

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = dict(zip(KINDS, (GREEN, SAND, "#4a7fa5", "#7d5a8c"), strict=True))
_SPECIES = 10
"""Species on either side; more would not be read."""


def changes_picture(paths: Paths, comparison: Comparison) -> bytes:
    """Photographs by kind of change, and below them the species that gained and lost most.

    Args:
        paths: Where the files of the scope lie.
        comparison: What `build_changes` returned.

    Raises:
        TableError: `changes.parquet` is missing.
    """
    found = changed_species(paths, most=_SPECIES)
    above, below = 1.9, 0.9 + 0.24 * max(2, len(found))
    figure = figure_of(width=7.2, height=above + below)
    upper, lower = figure.subplots(2, 1, height_ratios=(above, below))
    _draw_kinds(upper, comparison)
    _draw_species(lower, found)
    figure.tight_layout(h_pad=1.6)
    return png_of(figure)


def _draw_kinds(axes: "Axes", comparison: Comparison) -> None:
    """One bar per kind, on a logarithmic scale: a few re-identifications stay visible beside a million arrivals."""
    before = comparison.previous.photographs if comparison.previous else 0
    for position, kind in enumerate(KINDS):
        number = comparison.counts[kind]
        axes.barh(position, number, color=_COLOURS[kind], height=0.7)
        share = f"  ({number / before:.1%} of the snapshot before)" if before and number else ""
        axes.annotate(
            f"{number:,}{share}",
            xy=(max(number, 0.7), position),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=INK,
        )
    axes.set_yticks(range(len(KINDS)), list(KINDS))
    axes.invert_yaxis()
    # Room for the words behind the longest bar; the limits come first, as a scale without a bar has none.
    axes.set_xlim(0.7, max(10, *comparison.counts.values()) ** 1.6)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    style(axes, x="photographs", y="")
    start = f"{before:,} \N{RIGHTWARDS ARROW} " if comparison.previous else ""
    title = f"Snapshot {comparison.snapshot.number}: {start}{comparison.snapshot.photographs:,} photographs"
    axes.set_title(title, fontsize=10, color=INK, loc="left")


def _draw_species(axes: "Axes", found: list[dict[str, object]]) -> None:
    """What each species gained to the right of the line, what it lost to the left."""
    if not found:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "no species has more or fewer photographs", ha="center", va="center", color=MUTED)
        return
    places = range(len(found))
    gained = [int(str(row["gained"])) for row in found]
    lost = [int(str(row["lost"])) for row in found]
    axes.barh(places, gained, color=GREEN, height=0.7, label="gained: new, or identified as it")
    axes.barh(places, [-number for number in lost], color=SAND, height=0.7, label="lost: gone, or identified otherwise")
    axes.axvline(0, color=INK, linewidth=0.8)
    for place, more, fewer in zip(places, gained, lost, strict=True):
        for number, side in ((more, 1), (-fewer, -1)):
            if number:
                axes.annotate(
                    f"{number:+,}".replace("-", "\N{MINUS SIGN}"),
                    xy=(number, place),
                    xytext=(3 * side, 0),
                    textcoords="offset points",
                    va="center",
                    ha="left" if side > 0 else "right",
                    fontsize=7,
                    color=INK,
                )
    axes.set_yticks(places, [str(row["species"]) for row in found], style="italic")
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    style(axes, x="photographs of the species that gained and lost most", y="")
    axes.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderpad=0.2)

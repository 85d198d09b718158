"""Pictures that the assets show: contact sheet, long tail, what the rules removed. PNG bytes; writes nothing."""

import numpy as np

from pipeline.pages.figures import GREEN, INK, MUTED, SAND, Tile, figure_of, png_of, style, tiles
from pipeline.paths import Paths
from pipeline.query import rows
from pipeline.rejections import counts


def contact_sheet(paths: Paths, *, photos: int = 24, seed: int = 0) -> bytes:
    """A sheet of photographs of as many species as fit, each with its species and order below it.

    Args:
        paths: Where the files of the scope lie.
        photos: How many photographs at most.
        seed: Chooses the photographs; the same seed and data give the same sheet.

    Raises:
        TableError: `split.parquet` or `taxonomy.parquet` is missing.
    """
    chosen = rows(
        "contact_sheet",
        inputs={"split": paths.table("split"), "taxonomy": paths.table("taxonomy")},
        photos=photos,
        seed=str(seed),
    )
    return tiles(
        [Tile(path=paths.data_root / row["path"], title=row["species"], note=row["group_name"]) for row in chosen]
    )


def long_tail(paths: Paths) -> bytes:
    """How many species have how many usable photographs, kept and removed, with the line between them.

    The line stands at the least kept species, which is `split.min_images` or above it.

    Raises:
        TableError: `species.parquet`, `rejections.parquet` or one of the tables that they count is missing.
    """
    names = ("photos", "clean_occurrences", "species")
    found = rows(
        "long_tail",
        inputs={name: paths.table(name) for name in names} | {"removed": paths.rejections_of("species")},
    )
    kept = np.array([row["photos"] for row in found if row["kept"]], dtype=np.float64)
    removed = np.array([row["photos"] for row in found if not row["kept"]], dtype=np.float64)
    most = max([1.0, *kept.tolist(), *removed.tolist()])
    edges = _log_edges(most)
    figure = figure_of(width=7.2, height=3.6)
    axes = figure.add_subplot()
    axes.hist(
        [removed, kept],
        bins=edges,
        stacked=True,
        color=[SAND, GREEN],
        label=[f"removed: {len(removed):,} species", f"kept: {len(kept):,} species"],
        edgecolor="white",
        linewidth=0.6,
    )
    axes.set_xscale("log")
    axes.set_xlim(edges[0], edges[-1])
    axes.margins(y=0.15)
    if len(kept):
        fewest = kept.min()
        axes.axvline(fewest - 0.5, color=INK, linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate(
            f"fewest kept: {fewest:.0f}",
            xy=(fewest - 0.5, 0.98),
            xycoords=("data", "axes fraction"),
            xytext=(5, 0),
            textcoords="offset points",
            va="top",
            fontsize=8,
            color=INK,
        )
    axes.xaxis.set_major_formatter("{x:,.0f}")
    style(axes, x="usable photographs of a species", y="species")
    axes.legend(frameon=False, fontsize=8, loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderpad=0.2)
    figure.tight_layout()
    return png_of(figure)


def rejections_chart(paths: Paths) -> bytes:
    """What each rule of each stage removed, as horizontal bars on a logarithmic scale.

    Raises:
        TableError: `rejections.parquet` is missing.
    """
    found = [(stage, rule, number) for stage, rules in counts(paths).items() for rule, number in rules.items()]
    figure = figure_of(width=7.2, height=1.2 + 0.3 * max(1, len(found)))
    axes = figure.add_subplot()
    if not found:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "no rule removed a row", ha="center", va="center", color=MUTED)
        return png_of(figure)
    stages = list(dict.fromkeys(stage for stage, _, _ in found))
    palette = dict(zip(stages, (GREEN, SAND, "#4a7fa5", "#a5574a", "#7d5a8c"), strict=False))
    for position, (stage, _, number) in enumerate(found):
        first = position == 0 or found[position - 1][0] != stage
        axes.barh(position, number, color=palette[stage], height=0.7, label=stage.replace("_", " ") if first else None)
        axes.annotate(
            f"{number:,}",
            xy=(number, position),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=INK,
        )
    axes.set_yticks(range(len(found)), [rule.replace("_", " ") for _, rule, _ in found], fontsize=8)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlim(0.7, max(number for _, _, number in found) * 3)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    style(axes, x="rows removed", y="")
    axes.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(stages), borderpad=0.2)
    figure.tight_layout()
    return png_of(figure)


def _log_edges(most: float) -> list[float]:
    """One bin per count up to ten, then bins of equal width on a logarithmic scale; none splits a count."""
    edges = [value - 0.5 for value in range(1, 12)]
    while edges[-1] < most:
        edges.append(np.ceil(edges[-1] * 1.25) + 0.5)
    return edges

"""Pictures of the dataset page: classes, places, licences, taxa, pairs across the sides. PNG bytes; writes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.errors import TableError
from pipeline.pages.figures import BLUE, GREEN, INK, MUTED, RED, SAND, VIOLET, Tile, figure_of, png_of, style, tiles
from pipeline.paths import Paths
from pipeline.query import rows

_BARS = 24
"""Classes with a bar of their own; the rest share one."""


def species_per_class(paths: Paths) -> bytes:
    """Kept species of each class (the rank), coloured by kingdom.

    Raises:
        TableError: `taxonomy.parquet` is missing.
    """
    found = rows("species_per_class", inputs={"taxonomy": paths.table("taxonomy")})
    kingdoms = list(dict.fromkeys(row["kingdom"] for row in found))
    palette = dict(zip(kingdoms, [GREEN, SAND, BLUE, RED, VIOLET] + [MUTED] * len(kingdoms), strict=False))
    bars = [(row["name"], row["kingdom"], row["species"]) for row in found[:_BARS]]
    if len(found) > _BARS:
        bars.append((f"{len(found) - _BARS} other classes", "", sum(row["species"] for row in found[_BARS:])))
    figure = figure_of(width=7.2, height=1.0 + 0.24 * len(bars))
    axes = figure.add_subplot()
    shown: set[str] = set()
    for place, (_, kingdom, species) in enumerate(bars):
        label = kingdom if kingdom and kingdom not in shown else None
        shown.add(kingdom)
        axes.barh(place, species, color=palette.get(kingdom, MUTED), height=0.75, label=label)
        axes.annotate(
            f"{species:,}", (species, place), (4, 0), textcoords="offset points", va="center", fontsize=8, color=INK
        )
    axes.set_yticks(range(len(bars)), [name for name, _, _ in bars], fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.1, y=0.01)
    style(axes, x="species", y="")
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    figure.tight_layout()
    return png_of(figure)


def observation_map(paths: Paths) -> bytes:
    """Density of the observations over longitude and latitude, on a logarithmic scale.

    A dataset that lies across the 180th meridian, as New Zealand with the Chatham Islands does, is drawn in one piece.

    Raises:
        TableError: `split.parquet` or `clean_occurrences.parquet` is missing.
    """
    from matplotlib.colors import LogNorm  # noqa: PLC0415 (as in `figure_of`)
    from matplotlib.ticker import LogFormatter  # noqa: PLC0415

    inputs = {name: paths.table(name) for name in ("split", "clean_occurrences")}
    found = rows("observation_places", inputs=inputs)
    if not found:
        figure = figure_of(width=7.2, height=1)
        figure.text(0.5, 0.5, "no observation has coordinates", ha="center", va="center", color=MUTED)
        return png_of(figure)
    east = np.array([row["longitude"] for row in found])
    north = np.array([row["latitude"] for row in found])
    number = np.array([row["observations"] for row in found])
    if np.ptp(east % 360) < np.ptp(east):
        east = east % 360
    left, right = _frame(east)
    bottom, top = _frame(north)
    bottom, top = max(bottom, -90.0), min(top, 90.0)
    # A cell is as wide as it is high on the ground, in the middle of the map.
    squeeze = max(0.2, float(np.cos(np.radians((bottom + top) / 2))))
    ratio = (right - left) * squeeze / (top - bottom)
    across = max(8, round(110 * min(1.0, ratio)))
    figure = figure_of(width=min(7.2, max(3.6, 4.2 * ratio + 1.6)), height=4.6)
    axes = figure.add_subplot()
    drawn = axes.hist2d(
        east,
        north,
        bins=(across, max(8, round(across / ratio))),
        range=((left, right), (bottom, top)),
        weights=number,
        cmin=1,
        cmap="YlGn",
        norm=LogNorm(),
    )
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
    return png_of(figure)


def licences(paths: Paths) -> bytes:
    """Photographs under each licence.

    Raises:
        TableError: `attribution.parquet` is missing.
    """
    found = rows("licence_counts", inputs={"attribution": paths.table("attribution")})
    total = sum(row["photos"] for row in found)
    figure = figure_of(width=7.2, height=0.9 + 0.3 * max(1, len(found)))
    axes = figure.add_subplot()
    for place, row in enumerate(found):
        axes.barh(place, row["photos"], color=GREEN, height=0.7)
        text = f"{row['photos']:,} ({row['photos'] / total:.1%})"
        axes.annotate(
            text, (row["photos"], place), (4, 0), textcoords="offset points", va="center", fontsize=8, color=INK
        )
    axes.set_yticks(range(len(found)), [row["licence"] for row in found], fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.2)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    style(axes, x="photographs", y="")
    figure.tight_layout()
    return png_of(figure)


def leaked_pairs(paths: Paths, *, pairs: int = 9) -> bytes:
    """Near-identical photographs side by side: validation left, training right; contradicting labels first.

    Raises:
        TableError: `leakage`, `split` or `taxonomy` is missing.
    """
    inputs = {name: paths.table(name) for name in ("leakage", "split", "taxonomy")}
    found = rows("leakage_examples", inputs=inputs, pairs=pairs)
    if not found:
        figure = figure_of(width=7.2, height=1)
        figure.text(0.5, 0.5, "no near-identical photographs across the sides", ha="center", va="center", color=MUTED)
        return png_of(figure)
    sheet = []
    for row in found:
        bits = f"validation, {row['distance']} bits apart"
        sheet.append(Tile(path=paths.data_root / row["validation_path"], title=row["validation_species"], note=bits))
        sheet.append(Tile(path=paths.data_root / row["train_path"], title=row["train_species"], note="training"))
    return tiles(sheet)


@dataclass(frozen=True, kw_only=True)
class TaxonSheet:
    """The contact sheet of one taxon."""

    node_id: int
    title: str
    picture: bytes


def taxon_sheets(
    paths: Paths, *, taxa: Sequence[str] = (), most: int = 4, photos: int = 18, seed: int = 0
) -> list[TaxonSheet]:
    """A contact sheet for each taxon that was asked for, else for the families with the most photographs.

    Args:
        paths: Where the files of the scope lie.
        taxa: Names or taxon keys; a name that several taxa bear shows all of them.
        most: How many families where none was asked for.
        photos: How many photographs on a sheet at most.
        seed: Chooses the photographs.

    Raises:
        TableError: a table is missing, or the tree has no taxon of that name or key.
    """
    inputs = {name: paths.table(name) for name in ("split", "taxonomy")}
    found = rows("chosen_taxa", inputs={"taxonomy": inputs["taxonomy"]}, taxa=list(taxa), most=most)
    unknown = [taxon for taxon in taxa if not any(taxon in (row["name"], row["taxon_key"]) for row in found)]
    if unknown:
        raise TableError(f"the taxonomy has no taxon {', '.join(unknown)}; give names or keys of {inputs['taxonomy']}")
    sheets = []
    for row in found:
        leaves = {"leaf_begin": row["leaf_begin"], "leaf_end": row["leaf_end"]}
        shown = rows("taxon_sheet", inputs=inputs, **leaves, photos=photos, seed=str(seed))
        species = row["leaf_end"] - row["leaf_begin"]
        title = f"{row['name']} ({row['rank']} of {row['parent']}): {species:,} species, {row['photos']:,} photographs"
        sheet = [Tile(path=paths.data_root / one["path"], title=one["species"], note=one["split"]) for one in shown]
        sheets.append(TaxonSheet(node_id=row["node_id"], title=title, picture=tiles(sheet)))
    return sheets


def _frame(values: np.ndarray) -> tuple[float, float]:
    """The range of the values with a margin of a twentieth, at least half a degree."""
    margin = max(0.5, float(np.ptp(values)) / 20)
    return float(values.min()) - margin, float(values.max()) + margin


def _degrees(value: float, positive: str, negative: str) -> str:
    letter = "" if value == 0 else positive if value > 0 else negative
    return f"{abs(value):g}\N{DEGREE SIGN}{letter}"

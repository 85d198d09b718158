"""Sheets of photographs: of the dataset, of one taxon, of near-identical pairs. PNG files below `reports/dataset/`."""

import logging
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageOps

from ml.images.jpeg import Jpeg, PhotoError
from ml.palette import INK, MUTED
from pipeline.errors import TableError
from pipeline.pages.figures import draw_once, figure_of, figure_saying
from pipeline.paths import Paths
from pipeline.query import rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TILE = 220
"""Pixels of one photograph of a sheet."""
_EMPTY = "#eef1ee"
"""Colour of the place of a photograph that cannot be read."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One photograph of a sheet with what is written below it."""

    path: Path
    title: str
    note: str


@dataclass(frozen=True, kw_only=True)
class TaxonSheet:
    """The contact sheet of one taxon."""

    title: str
    picture: Path


def contact_sheet(paths: Paths, *, photos: int = 24, seed: int = 0) -> Path:
    """A sheet of photographs of as many species as fit, each with its species and order below it.

    Args:
        paths: The files of the scope.
        photos: How many photographs at most.
        seed: Chooses the photographs; the same seed and data give the same sheet.

    Raises:
        TableError: `split.parquet` or `taxonomy.parquet` is missing.
    """
    inputs = {name: paths.table(name) for name in ("split", "taxonomy")}
    chosen = rows("contact_sheet", inputs=inputs, photos=photos, seed=str(seed))
    sheet = [Tile(path=paths.data_root / row["path"], title=row["species"], note=row["group_name"]) for row in chosen]
    return draw_sheet(paths.reports / "dataset" / "contact-sheet.png", sheet)


def taxon_sheets(
    paths: Paths, *, taxa: Sequence[str] = (), most: int = 4, photos: int = 18, seed: int = 0
) -> list[TaxonSheet]:
    """A contact sheet for each taxon asked for, or else for the families with the most photographs.

    Args:
        paths: The files of the scope.
        taxa: Names or taxon keys; a name that several taxa have shows all of them.
        most: How many families, where no taxon is given.
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
        picture = draw_sheet(paths.reports / "dataset" / f"taxon-{row['node_id']}.png", sheet)
        sheets.append(TaxonSheet(title=title, picture=picture))
    return sheets


def leaked_pairs(paths: Paths, *, pairs: int = 9) -> Path:
    """Near-identical photographs side by side: validation left, training right; contradicting labels first.

    Raises:
        TableError: `leakage`, `split` or `taxonomy` is missing.
    """
    inputs = {name: paths.table(name) for name in ("leakage", "split", "taxonomy")}
    sheet = []
    for row in rows("leakage_examples", inputs=inputs, pairs=pairs):
        bits = f"validation, {row['distance']} bits apart"
        sheet.append(Tile(path=paths.data_root / row["validation_path"], title=row["validation_species"], note=bits))
        sheet.append(Tile(path=paths.data_root / row["train_path"], title=row["train_species"], note="training"))
    nothing = "no near-identical photographs on both sides"
    return draw_sheet(paths.reports / "dataset" / "leakage.png", sheet, nothing=nothing)


def draw_sheet(path: Path, sheet: Sequence[Tile], *, nothing: str = "no photographs") -> Path:
    """A sheet of photographs, row by row, each cut to a square with its title and note below.

    A photograph that is missing or damaged leaves its place empty, with a word in it and a warning in the log: a
    picture is no reason to end a run.

    Args:
        path: The PNG file.
        sheet: The photographs.
        nothing: What is written where there are none.
    """
    # Names, not paths: a data root that was moved shows the same. Sizes: a file that was lost or replaced does not.
    shown = [(tile.path.name, tile.title, tile.note, _size(tile.path)) for tile in sheet]
    return draw_once(path, lambda *_: _draw_tiles(sheet, nothing), shown, nothing, vector=False)


def _draw_tiles(sheet: Sequence[Tile], nothing: str) -> "Figure":
    if not sheet:
        return figure_saying(nothing)
    columns = min(6, len(sheet))
    lines = -(-len(sheet) // columns)
    figure = figure_of(width=1.32 * columns, height=1.7 * lines)
    for position, tile in enumerate(sheet):
        axes = figure.add_subplot(lines, columns, position + 1)
        square = _square(tile.path)
        if square is None:
            square = Image.new("RGB", (_TILE, _TILE), _EMPTY)
            axes.text(_TILE / 2, _TILE / 2, "cannot be read", ha="center", va="center", fontsize=7, color=MUTED)
        axes.imshow(square)
        axes.set_axis_off()
        name = "\n".join(textwrap.wrap(tile.title, 24)[:2])
        axes.set_title(name, fontsize=6, style="italic", color=INK, y=-0.03, va="top", pad=0)
        below = -0.24 if "\n" in name else -0.14
        axes.text(0.5, below, tile.note, transform=axes.transAxes, ha="center", va="top", fontsize=5.5, color=MUTED)
    figure.subplots_adjust(left=0.01, right=0.99, top=0.99, bottom=0.28 / lines, wspace=0.05, hspace=0.3)
    return figure


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _square(path: Path) -> Image.Image | None:
    """The middle of a photograph; None where it is missing or damaged."""
    try:
        upright = Jpeg.read(path.read_bytes()).upright(least_width=2 * _TILE, least_height=2 * _TILE)
    except (OSError, PhotoError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        _log.warning("%s is left out of a sheet: %s", path, reason)
        return None
    return ImageOps.fit(Image.fromarray(upright), (_TILE, _TILE), Image.Resampling.LANCZOS)

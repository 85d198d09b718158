"""Sheets of photographs as one picture each: of the dataset, and of near-identical pairs. PNG files for Dagster.

Each photograph stands above its species, its holder and its licence. The pages show photographs as HTML
(`pipeline.pages.photo_grids`).
"""

import logging
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ml.images.jpeg import Jpeg, PhotoError
from ml.palette import INK, MUTED
from pipeline.config.settings import Settings
from pipeline.pages.figures import draw_once, figure_of, figure_saying
from pipeline.paths import Paths
from pipeline.query import rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TILE = 220
"""Pixels of one photograph of a sheet, on its longer side."""
_COLUMNS = 4
"""Photographs beside each other: what is written below them can be read where the sheet is 480 pixels wide."""
_EMPTY = "#eef1ee"
"""Colour of the place of a photograph that cannot be read."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One photograph of a sheet with what is written below it."""

    path: Path
    title: str
    note: str
    credit: str
    """Holder and licence: whoever shows a photograph under a Creative Commons licence names both."""


def any_licence(settings: Settings) -> bool:
    """Whether photographs without an open licence are shown, too: one's own, and those given to the replica."""
    source = settings.source
    return source.mode == "folder" or (source.mode == "replica" and source.replica.photos is not None)


def contact_sheet(paths: Paths, settings: Settings, *, photos: int = 24, seed: int = 0) -> Path:
    """A sheet of photographs of as many species as fit, each with its species, order, holder and licence below it.

    Args:
        paths: The files of the scope.
        settings: Says whose photographs these are (`any_licence`).
        photos: How many photographs at most.
        seed: Chooses the photographs; the same seed and data give the same sheet.

    Raises:
        TableError: `split.parquet`, `photos.parquet` or `taxonomy.parquet` is missing.
    """
    inputs = {name: paths.table(name) for name in ("split", "photos", "taxonomy")}
    chosen = rows("contact_sheet", inputs=inputs, photos=photos, seed=str(seed), any_licence=any_licence(settings))
    sheet = [
        Tile(path=paths.data_root / row["path"], title=row["species"], note=row["group_name"], credit=credit(row))
        for row in chosen
    ]
    return draw_sheet(paths.reports / "dataset" / "contact-sheet.png", sheet)


def leaked_pairs(paths: Paths, settings: Settings, *, pairs: int = 8) -> Path:
    """Near-identical photographs side by side: validation left, training right; contradicting labels first.

    Raises:
        TableError: `leakage`, `split`, `photos` or `taxonomy` is missing.
    """
    inputs = {name: paths.table(name) for name in ("leakage", "split", "photos", "taxonomy")}
    sheet = []
    for row in rows("leakage_examples", inputs=inputs, pairs=pairs, any_licence=any_licence(settings)):
        notes = {"validation": f"validation, {row['distance']} bits apart", "train": "training"}
        for side, note in notes.items():
            shown = {name: row[f"{side}_{name}"] for name in ("species", "path", "credit", "licence")}
            path = paths.data_root / shown["path"]
            sheet.append(Tile(path=path, title=shown["species"], note=note, credit=credit(shown)))
    nothing = "no near-identical photographs on both sides"
    return draw_sheet(paths.reports / "dataset" / "leakage.png", sheet, nothing=nothing)


def credit(photo: Mapping[str, str]) -> str:
    """Holder and licence as they are written below a photograph: `A. Ngata, CC BY-NC`."""
    licence = photo["licence"]
    return f"{photo['credit']}, {licence.replace('CC-', 'CC ', 1) if licence.startswith('CC-') else licence}"


def draw_sheet(path: Path, sheet: Sequence[Tile], *, nothing: str = "no photographs") -> Path:
    """A sheet of photographs, row by row, each whole, with its title, note and credit below.

    A photograph that is missing or damaged leaves its place empty, with a word in it and a warning in the log: a
    picture is no reason to end a run.

    Args:
        path: The PNG file.
        sheet: The photographs.
        nothing: What is written where there are none.
    """
    # Names, not paths: a data root that was moved shows the same. Sizes: a file that was lost or replaced does not.
    shown = [(tile.path.name, tile.title, tile.note, tile.credit, _size(tile.path)) for tile in sheet]
    return draw_once(path, lambda *_: _draw_tiles(sheet, nothing), shown, nothing, vector=False)


def _draw_tiles(sheet: Sequence[Tile], nothing: str) -> "Figure":
    if not sheet:
        return figure_saying(nothing)
    columns = min(_COLUMNS, len(sheet))
    lines = -(-len(sheet) // columns)
    figure = figure_of(width=1.4 * columns, height=1.85 * lines)
    for position, tile in enumerate(sheet):
        axes = figure.add_subplot(lines, columns, position + 1)
        axes.imshow(_framed(tile.path, axes))
        axes.set_axis_off()
        name = textwrap.shorten(tile.title, 30, placeholder="\N{HORIZONTAL ELLIPSIS}")
        owner = textwrap.wrap(tile.credit, 32)[:2]
        for text, place, size in ((name, -0.02, 6.5), (tile.note, -0.13, 6), ("\n".join(owner), -0.235, 5.5)):
            written = axes.text(0.5, place, text, transform=axes.transAxes, ha="center", va="top", fontsize=size)
            written.set_color(INK if text is name else MUTED)
            written.set_fontstyle("italic" if text is name else "normal")
    figure.subplots_adjust(left=0.01, right=0.99, top=0.995, bottom=0.45 / lines / 1.4, wspace=0.05, hspace=0.42)
    return figure


def _framed(path: Path, axes: "Axes") -> Image.Image:
    """A photograph in the middle of a square; an empty square with a word where it is missing or damaged.

    The whole photograph, not its middle: some licences allow no adaptation.
    """
    frame = Image.new("RGB", (_TILE, _TILE), _EMPTY)
    picture = small_photograph(path, side=_TILE)
    if picture is None:
        axes.text(_TILE / 2, _TILE / 2, "cannot be read", ha="center", va="center", fontsize=7, color=MUTED)
    else:
        frame.paste(picture, ((_TILE - picture.width) // 2, (_TILE - picture.height) // 2))
    return frame


def small_photograph(path: Path, *, side: int) -> Image.Image | None:
    """A whole photograph, upright, at most `side` pixels wide and high; None where it is missing or damaged."""
    try:
        upright = Jpeg.read(path.read_bytes()).upright(least_width=2 * side, least_height=2 * side)
    except (OSError, PhotoError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        _log.warning("%s is left out of a sheet: %s", path, reason)
        return None
    picture = Image.fromarray(np.asarray(upright))
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return picture


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None

"""How every picture of the pipeline looks: colours, axes, sheets of photographs. Knows nothing of tables."""

import io
import logging
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageOps

from ml.images.jpeg import Jpeg, PhotoError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GREEN, SAND, INK, MUTED = "#2f6b4f", "#d9a441", "#22302a", "#7a867f"
BLUE, RED, VIOLET = "#4a7fa5", "#a5574a", "#7d5a8c"
_TILE = 220
"""Pixels of one photograph of a sheet."""
_EMPTY = "#eef1ee"
"""In the place of a photograph that cannot be read."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One photograph of a sheet with what is written below it."""

    path: Path
    title: str
    note: str


def tiles(chosen: Sequence[Tile], *, columns: int = 6) -> bytes:
    """A sheet of photographs, row by row, each cut to a square with its title and note below.

    A photograph that is gone or not whole any more leaves its place empty, with a word in it and one in the log: a
    picture is no reason to end a run.
    """
    columns = min(columns, max(1, len(chosen)))
    lines = max(1, -(-len(chosen) // columns))
    figure = figure_of(width=1.75 * columns, height=2.25 * lines)
    for position, tile in enumerate(chosen):
        axes = figure.add_subplot(lines, columns, position + 1)
        square = _square(tile.path)
        if square is None:
            square = Image.new("RGB", (_TILE, _TILE), _EMPTY)
            axes.text(_TILE / 2, _TILE / 2, "cannot be read", ha="center", va="center", fontsize=8, color=MUTED)
        axes.imshow(square)
        axes.set_axis_off()
        name = "\n".join(textwrap.wrap(tile.title, 24)[:2])
        axes.set_title(name, fontsize=8, style="italic", color=INK, y=-0.03, va="top", pad=0)
        below = -0.24 if "\n" in name else -0.14
        axes.text(0.5, below, tile.note, transform=axes.transAxes, ha="center", va="top", fontsize=7, color=MUTED)
    figure.subplots_adjust(left=0.01, right=0.99, top=0.99, bottom=0.28 / lines, wspace=0.05, hspace=0.3)
    return _in_few_colours(png_of(figure))


def figure_of(*, width: float, height: float) -> "Figure":
    """A figure of its own canvas, in inches: pyplot's global state does not suit several threads."""
    # Every step of a run imports this module, and few of them draw: matplotlib costs a second.
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(width, height), dpi=120, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def style(axes: "Axes", *, x: str, y: str) -> None:
    """Name the axes, whole numbers upwards, no frame."""
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415 (as in `figure_of`)

    axes.set_xlabel(x, fontsize=9, color=INK)
    axes.set_ylabel(y, fontsize=9, color=INK)
    axes.tick_params(labelsize=8, colors=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    if y:
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))


def png_of(figure: "Figure") -> bytes:
    """The figure as a PNG."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()


def _in_few_colours(png: bytes) -> bytes:
    """Photographs in 256 colours: a third of the bytes, and the sheets are kept with every run."""
    stream = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(256).save(stream, format="png")
    return stream.getvalue()


def _square(path: Path) -> Image.Image | None:
    """The middle of a photograph; None where it is gone or not whole any more."""
    try:
        upright = Jpeg.read(path.read_bytes()).upright(least_width=2 * _TILE, least_height=2 * _TILE)
    except OSError as error:
        _log.warning("%s is left out of a sheet: %s", path, error.strerror)
        return None
    except PhotoError as error:
        _log.warning("%s is left out of a sheet: %s", path, error)
        return None
    return ImageOps.fit(Image.fromarray(upright), (_TILE, _TILE), Image.Resampling.LANCZOS)

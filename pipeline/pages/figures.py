"""How every picture looks and is written: once for what it shows, as PNG and SVG. Knows nothing of tables."""

import contextlib
import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVarTuple

from PIL import Image, PngImagePlugin

from ml.palette import INK, MUTED
from pipeline.files import digest_of, write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Shown = TypeVarTuple("Shown")

WIDTH = 5.4
"""Inches of a chart: two of them beside each other fill the dataset page."""
LOOK = 3
"""Raised when a picture is drawn in another way, so that old files are drawn again."""
PREVIEW = 480
"""Pixels of the width of a preview: what Dagster and a phone show without shrinking it."""
_SHOWS = "naturewatch.shows"
"""The text chunk of a PNG that says what it shows, as a hash."""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One bar of a chart."""

    place: int
    """Which of the chart's labels it belongs to."""
    value: float
    colour: str
    text: str = ""
    """What is written at its end."""
    series: str | None = None
    """Its entry in the legend."""
    interval: tuple[float, float] | None = None
    """Low and high end of its error bar; all bars of a series have one, or none has."""


def draw_once(path: Path, draw: "Callable[[*Shown], Figure]", *shown: *Shown, vector: bool = True) -> Path:
    """Write a picture and its SVG twin unless the files show the same already, and return the PNG's path.

    Args:
        path: The PNG file. The SVG file has the same name, with its own ending.
        draw: Makes the figure of `shown`, from nothing else.
        *shown: All that decides what is drawn, JSON-serialisable.
        vector: Whether there is an SVG twin; a sheet of photographs has nothing to gain from one.
    """
    version = digest_of(LOOK, path.name, shown)
    twin = path.with_suffix(".svg")
    if _shows(path) == version and (not vector or version in _head(twin)):
        return path
    figure = draw(*shown)
    if vector:
        write_bytes(twin, _svg(figure, version))
    return write_bytes(path, _png(figure, version))


def preview(png: Path) -> Path:
    """A copy of a picture of at most `PREVIEW` pixels in width, `NAME-480.png` beside it, made once.

    Args:
        png: The PNG file.

    Raises:
        OSError: `png` is missing, or not a picture.
    """
    path = png.with_name(f"{png.stem}-{PREVIEW}.png")
    version = digest_of(LOOK, path.name, hashlib.sha256(png.read_bytes()).hexdigest())
    if _shows(path) == version:
        return path
    with Image.open(png) as picture:
        small = picture.convert("RGB")
    small.thumbnail((PREVIEW, small.height), Image.Resampling.LANCZOS)
    return write_bytes(path, _packed(small, version))


def figure_of(*, width: float = WIDTH, height: float) -> "Figure":
    """A figure with its own canvas, in inches: pyplot's global state does not suit several threads."""
    # Every step of a run imports this module, and few of them draw: matplotlib costs a second.
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(width, height), dpi=160, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def figure_saying(text: str) -> "Figure":
    """A figure of one sentence, for what there is nothing to show of."""
    figure = figure_of(height=0.8)
    figure.text(0.5, 0.5, text, ha="center", va="center", fontsize=9, color=MUTED)
    return figure


def style(axes: "Axes", *, x: str, y: str) -> None:
    """Name the axes, whole numbers upwards, no frame."""
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415 (as in `figure_of`)

    axes.set_xlabel(x, fontsize=8, color=INK)
    axes.set_ylabel(y, fontsize=8, color=INK)
    axes.tick_params(labelsize=8, colors=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    if y:
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))


def draw_bars(axes: "Axes", labels: Sequence[str], bars: Sequence[Bar], *, x: str, logarithmic: bool = False) -> None:
    """Horizontal bars, the first label on top, with a legend above them where they have series.

    Args:
        axes: Where to draw.
        labels: What each place is called.
        bars: At least one; several at one place are drawn over each other.
        x: Names the axis of the values.
        logarithmic: Few and many stay visible beside each other. Values are then counts; 0 has no bar.
    """
    for series in dict.fromkeys(bar.series for bar in bars):
        add_series(axes, [bar for bar in bars if bar.series == series])
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.margins(x=0.12, y=0.01)
    if logarithmic:
        axes.set_xlim(0.7, 1.5 * max(10, *(bar.value for bar in bars)))
        axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    style(axes, x=x, y="")
    if any(bar.series for bar in bars):
        axes.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderpad=0.2)


def add_series(
    axes: "Axes", bars: Sequence[Bar], *, thickness: float = 0.75, shift: float = 0.0, upright: bool = False
) -> None:
    """The bars of one series, each with its text and its error bar.

    Args:
        axes: Where to draw.
        bars: The bars.
        thickness: Share of its place that a bar takes.
        shift: How far the bars are from the middle of their places.
        upright: Whether they grow upwards and not to the right.
    """
    intervals = [(bar.value - bar.interval[0], bar.interval[1] - bar.value) for bar in bars if bar.interval]
    errors: dict[str, Any] = {}
    if intervals:
        errors["yerr" if upright else "xerr"] = list(zip(*intervals, strict=True))
        errors["error_kw"] = {"ecolor": INK, "elinewidth": 0.8, "capsize": 2}
    drawn = (axes.bar if upright else axes.barh)(
        [bar.place + shift for bar in bars],
        [bar.value for bar in bars],
        thickness,
        color=[bar.colour for bar in bars],
        label=bars[0].series,
        **errors,
    )
    axes.bar_label(drawn, [bar.text for bar in bars], padding=3, fontsize=8, color=INK)


def _shows(path: Path) -> str | None:
    """What a PNG says that it shows; None where there is no such file, or it does not say."""
    with contextlib.suppress(OSError), Image.open(path) as present:
        return present.info.get(_SHOWS)
    return None


def _head(path: Path) -> str:
    """The first characters of a file, where an SVG has its metadata; empty where there is no such file."""
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(2000)
    except OSError:
        return ""


def _png(figure: "Figure", version: str) -> bytes:
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    with Image.open(drawn) as picture:
        return _packed(picture.convert("RGB"), version)


def _packed(picture: Image.Image, version: str) -> bytes:
    """A PNG in 256 colours: a third of the bytes, and pictures are kept with every run."""
    facts, packed = PngImagePlugin.PngInfo(), io.BytesIO()
    facts.add_text(_SHOWS, version)
    picture.quantize(256).save(packed, format="png", pnginfo=facts)
    return packed.getvalue()


def _svg(figure: "Figure", version: str) -> bytes:
    """The figure as SVG, the same bytes each time; its text stays text, which can be searched and edited."""
    import matplotlib as mpl  # noqa: PLC0415 (as in `figure_of`)

    mpl.rcParams.update({"svg.hashsalt": "naturewatch", "svg.fonttype": "none"})
    drawn = io.BytesIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None, "Identifier": version})
    return drawn.getvalue()

"""How every picture looks and is written: once for what it shows, as PNG and SVG. Knows nothing of tables."""

import contextlib
import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVarTuple

from PIL import Image, PngImagePlugin

from ml.palette import DPI, GRID, HATCHES, INK, MARKERS, MUTED, POINTS, SMALL, WIDTH
from pipeline.files import digest_of, write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

Shown = TypeVarTuple("Shown")
Place = Literal["outside upper left", "outside lower left", "outside lower center"]

LOOK = 4
"""Raised when a picture is drawn in another way, so that old files are drawn again."""
PREVIEW = 480
"""Pixels of the width of a preview: what Dagster and a phone show without shrinking it."""
_SHOWS = "naturewatch.shows"
"""The text chunk of a PNG that says what it shows, as a hash."""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One bar or dot of a chart."""

    place: int
    """Which of the chart's labels it belongs to."""
    value: float
    colour: str
    text: str = ""
    """What is written at its end."""
    series: str | None = None
    """Its entry in the legend."""


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


def figure_of(*, width: float = WIDTH, height: float, dpi: int = 160) -> "Figure":
    """A figure with its own canvas, in inches: pyplot's global state does not suit several threads."""
    # Every step of a run imports this module, and few of them draw: matplotlib costs a second.
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(width, height), dpi=dpi, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def chart_of(*, height: float) -> "Figure":
    """A figure that finds room for all that is written around its axes."""
    figure = figure_of(height=height, dpi=DPI)
    figure.set_layout_engine("constrained")
    return figure


def figure_saying(text: str) -> "Figure":
    """A figure of one sentence, for what there is nothing to show of."""
    figure = figure_of(height=0.8)
    figure.text(0.5, 0.5, text, ha="center", va="center", fontsize=POINTS, color=MUTED)
    return figure


def style(axes: "Axes", *, x: str, y: str) -> None:
    """Name the axes, whole numbers upwards, no frame."""
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415 (as in `figure_of`)

    axes.set_xlabel(x, fontsize=POINTS, color=INK)
    axes.set_ylabel(y, fontsize=POINTS, color=INK)
    axes.tick_params(labelsize=POINTS, colors=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    if y and axes.get_yscale() == "linear":
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))


def legend_outside(figure: "Figure", axes: "Axes", *, place: Place = "outside upper left") -> None:
    """Explain the series of `axes` outside it, where nothing is drawn, in as many columns as there is room for."""
    lines, names = axes.get_legend_handles_labels()
    columns = max(1, min(len(names), int(59 / (8 + max(map(len, names))))))
    figure.legend(lines, names, loc=place, ncols=columns, frameon=False, fontsize=SMALL, handlelength=2.6)


def shortened(name: str, most: int = 32) -> str:
    """A name that leaves room for what is drawn beside it."""
    return name if len(name) <= most else f"{name[: most - 1].rstrip()}\N{HORIZONTAL ELLIPSIS}"


def draw_bars(axes: "Axes", labels: Sequence[str], bars: Sequence[Mark], *, x: str) -> None:
    """Horizontal bars from zero, the first label on top; series differ in colour and hatch.

    Args:
        axes: Where to draw.
        labels: What each place is called.
        bars: At least one; several at one place are drawn over each other.
        x: Names the axis of the values, which is linear: the length of a bar is its number.
    """
    for number, series in enumerate(dict.fromkeys(bar.series for bar in bars)):
        own = [bar for bar in bars if bar.series == series]
        drawn = axes.barh(
            [bar.place for bar in own], [bar.value for bar in own], 0.75, color=[bar.colour for bar in own],
            edgecolor="white", linewidth=0, hatch=HATCHES[number % len(HATCHES)], label=series,
        )  # fmt: skip
        axes.bar_label(drawn, [bar.text for bar in own], padding=3, fontsize=SMALL, color=INK)
    axes.xaxis.set_major_formatter(short_number)
    _name_places(axes, labels, x=x)


def draw_dots(axes: "Axes", labels: Sequence[str], dots: Sequence[Mark], *, x: str) -> None:
    """A dot for each number on a logarithmic axis, the first label on top; series differ in colour and marker.

    A dot says where a number lies. A bar would say how long it is, which means nothing on such an axis.

    Args:
        axes: Where to draw.
        labels: What each place is called.
        dots: At least one. Values are counts; 0 has its text and no dot.
        x: Names the axis of the values.
    """
    for number, series in enumerate(dict.fromkeys(dot.series for dot in dots)):
        own = [dot for dot in dots if dot.series == series and dot.value]
        axes.plot(
            [dot.value for dot in own], [dot.place for dot in own], MARKERS[number % len(MARKERS)],
            color=next(dot.colour for dot in dots if dot.series == series), markersize=6, label=series,
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlim(0.7, 2 * max(10, *(dot.value for dot in dots)))
    low, high = axes.get_xlim()
    for dot in dots:
        # Beside the dot, on the side with more room.
        right = dot.value**2 < low * high
        axes.annotate(
            dot.text, (max(dot.value, low), dot.place), xytext=(7 if right else -7, 0), textcoords="offset points",
            ha="left" if right else "right", va="center", fontsize=SMALL, color=INK,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
        )  # fmt: skip
    axes.hlines(range(len(labels)), low, high, color=GRID, linewidth=0.8, zorder=0)
    log_ticks(axes.xaxis, low, high)
    _name_places(axes, labels, x=x)


def _name_places(axes: "Axes", labels: Sequence[str], *, x: str) -> None:
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    style(axes, x=x, y="")
    axes.tick_params(axis="y", length=0)


def log_ticks(axis: "Axis", low: float, high: float) -> None:
    """Name the powers of ten of a logarithmic axis from `low` to `high`, and where these are few, twos and fives."""
    from matplotlib.ticker import LogLocator, NullLocator  # noqa: PLC0415 (as in `figure_of`)

    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 300 * low else (1,)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(short_number)


def short_number(value: float, _: object = None) -> str:
    """A count on an axis in three digits: `850`, `12.5k`, `1.5M`."""
    for least, unit, name in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if abs(value) >= least:
            return f"{value / unit:.3g}{name}"
    return f"{value:g}"


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

"""What all pictures about networks share: axes without clutter, legends beside the data, PNG and SVG files."""

import textwrap
from pathlib import Path
from typing import Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ml.files import replacing
from ml.palette import DPI, GRID, INK, POINTS, SMALL

Place = Literal["outside upper left", "outside lower left"]


def figure_of(width: float, height: float, *, title: str = "") -> Figure:
    """An empty figure, in inches, with a heading above all its axes; it belongs to no window."""
    figure = Figure(figsize=(width, height), layout="constrained")
    if title:
        heading = "\n".join(textwrap.wrap(title, int(9.5 * width)))
        figure.suptitle(heading, color=INK, fontweight="bold", fontsize=POINTS + 1, x=0.01, ha="left")
    return figure


def tidy(axes: Axes, *, title: str = "", x: str = "", y: str = "", grid: bool = True) -> None:
    """Take away the frame, draw a pale grid behind the data, and name the axes; `title` heads them."""
    axes.set_title(title, color=INK, fontweight="bold", loc="left", fontsize=POINTS)
    axes.set_xlabel(x, color=INK, fontsize=POINTS)
    axes.set_ylabel(y, color=INK, fontsize=POINTS)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK, labelsize=POINTS)
    if grid:
        axes.grid(color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)


def legend_outside(figure: Figure, axes: Axes, *, place: Place = "outside lower left") -> None:
    """Explain the series of `axes` outside it, where nothing is drawn, in as many columns as there is room for."""
    lines, names = axes.get_legend_handles_labels()
    columns = max(1, min(len(names), int(12.4 * figure.get_figwidth() / (8 + max(map(len, names))))))
    figure.legend(lines, names, loc=place, ncols=columns, frameon=False, fontsize=SMALL, handlelength=2.6)


def percent_axis(axes: Axes, values: list[float]) -> None:
    """Let the y axis of percentages begin below the least value, not at 0, where all are high."""
    step = 20 if min(values, default=0) < 60 else 10 if min(values) < 85 else 5
    bottom = step * int(max(0.0, min(values, default=0) - step / 4) // step)
    axes.set_ylim(bottom - (100 - bottom) / 40, 100 + (100 - bottom) / 40)
    axes.set_yticks(range(bottom, 101, step))


def short_number(number: float) -> str:
    """A count in three digits: `850`, `12.5k`, `1.5M`."""
    for least, unit, name in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if number >= least:
            return f"{number / unit:.3g}{name}"
    return f"{number:g}"


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a PNG atomically, an SVG of the same name beside it, and return `path`; the same bytes each time."""
    mpl.rcParams.update({"svg.hashsalt": "naturewatch", "svg.fonttype": "none"})
    canvas = FigureCanvasAgg(figure)
    with replacing(path.with_suffix(".svg")) as partial:
        canvas.print_figure(partial, format="svg", facecolor="white", metadata={"Date": None})
    with replacing(path) as partial:
        canvas.print_figure(partial, format="png", dpi=DPI, facecolor="white")
    return path

"""What all pictures about networks share: colours, axes without clutter, and PNG files."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ml.files import replacing
from ml.palette import GRID, INK


def figure_of(width: float, height: float) -> Figure:
    """An empty figure, in inches; it belongs to no window."""
    return Figure(figsize=(width, height), layout="constrained")


def tidy(axes: Axes, *, title: str = "", grid: bool = True) -> None:
    """Take away the frame, draw a pale grid behind the data, and head the axes with `title`."""
    axes.set_title(title, color=INK, fontweight="bold", loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK)
    if grid:
        axes.grid(color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)


def save(figure: Figure, path: Path) -> Path:
    """Write a PNG atomically and return `path`."""
    with replacing(path) as partial:
        FigureCanvasAgg(figure).print_figure(partial, format="png", dpi=150, facecolor="white")
    return path

"""How every picture of the pipeline looks: colours, axes, PNG bytes. What is drawn is decided by those who draw."""

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GREEN, SAND, INK, MUTED = "#2f6b4f", "#d9a441", "#22302a", "#7a867f"


def blank(*, width: float, height: float) -> "Figure":
    """A figure of its own canvas, in inches: pyplot's global state does not suit several threads."""
    # Every step of a run imports this module, and few of them draw: matplotlib costs a second.
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(width, height), dpi=120, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def style(axes: "Axes", *, x: str, y: str) -> None:
    """Label the axes, with whole numbers on the vertical one, and leave away what says nothing."""
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415 (as in `blank`)

    axes.set_xlabel(x, fontsize=9, color=INK)
    axes.set_ylabel(y, fontsize=9, color=INK)
    axes.tick_params(labelsize=8, colors=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    if y:
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))


def png(figure: "Figure") -> bytes:
    """The figure as a PNG."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()

"""What can be wrong with a picture that no eye has seen: text that is cut, or lies on text, lines, bars or axes."""

import itertools
from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.transforms import Bbox, BboxBase

from ml.palette import DPI


def blemishes(figure: Figure) -> list[str]:
    """Draw the figure and list its faults in words; empty where all can be read.

    Each text must be inside the figure and apart from each other text. What is written inside axes must not lie on
    their frame, lines or bars. Legends must be outside of all axes.
    """
    figure.set_dpi(DPI)
    FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    texts = [(text, extent(text)) for text in written(figure)]
    found = [f"cut: {text.get_text()!r}" for text, box in texts if not inside(box, figure.bbox)]
    for (one, box), (other, other_box) in itertools.combinations(texts, 2):
        if overlap(box, other_box):
            found.append(f"overlap: {one.get_text()!r} and {other.get_text()!r}")
    for axes in figure.axes:
        for text in axes.texts:
            if text.get_text().strip():
                found += [f"{text.get_text()!r} lies on a {what}" for what in under(axes, extent(text))]
        found += [
            "a legend lies on axes" for legend in legends(figure) if overlap(legend.get_window_extent(), axes.bbox)
        ]
    return found


def written(figure: Figure) -> list[Text]:
    """All texts that are drawn: not those of ticks beyond the ends of their axis."""
    hidden: set[Text] = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            reach = 1e-9 * (high - low)
            for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
                if not axes.axison or not low - reach <= tick.get_loc() <= high + reach:
                    hidden |= {tick.label1, tick.label2}
    found = [text for text in figure.findobj(Text) if isinstance(text, Text) and text not in hidden]
    return [text for text in found if text.get_visible() and text.get_text().strip()]


def legends(figure: Figure) -> list[Legend]:
    """Those of the figure, and of its axes."""
    return [*figure.legends, *(legend for axes in figure.axes if (legend := axes.get_legend()))]


def extent(text: Text) -> Bbox:
    """The box of a text itself in pixels, without the arrow or the point of an annotation."""
    return Text.get_window_extent(text)


def under(axes: Axes, box: Bbox) -> Iterator[str]:
    """What of the data and the frame of the axes a box lies on."""
    inner = Bbox.from_extents(box.x0 + 1, box.y0 + 1, box.x1 - 1, box.y1 - 1)
    for line in axes.lines:
        path = line.get_transform().transform_path(line.get_path())
        if line.get_linestyle() != "None" and path.intersects_bbox(inner, filled=False):
            yield "line"
        if line.get_marker() not in {"None", None} and inner.count_contains(np.asarray(path.vertices)):
            yield "marker"
    for bar in axes.patches:
        if isinstance(bar, Rectangle) and overlap(bar.get_window_extent(), inner):
            yield "bar"
    for spine in axes.spines.values():
        if spine.get_visible() and axes.axison and overlap(spine.get_window_extent(), inner, least=-1):
            yield "frame"


def inside(box: Bbox, other: BboxBase) -> bool:
    """Whether a box is within another, but for a pixel."""
    low = box.x0 >= other.x0 - 1 and box.y0 >= other.y0 - 1
    return bool(low and box.x1 <= other.x1 + 1 and box.y1 <= other.y1 + 1)


def overlap(one: BboxBase, other: BboxBase, *, least: float = 1) -> bool:
    """Whether two boxes share more than `least` pixels in both directions."""
    across = min(one.x1, other.x1) - max(one.x0, other.x0)
    upwards = min(one.y1, other.y1) - max(one.y0, other.y0)
    return bool(across > least and upwards > least)

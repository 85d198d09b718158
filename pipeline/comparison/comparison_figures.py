"""The paper's Figures 3 and 4 for this dataset, one line or row of marks per network. Numbers come from `measures`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ml.palette import DASHES, GRID, INK, MARKERS, MUTED, SMALL
from ml.spec import RANKS, NetworkName, size_title
from pipeline.comparison.networks import NETWORKS
from pipeline.pages.figures import chart_of, legend_outside, short_number, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = dict[str, Any]

LOOKS: Final = dict(zip(NETWORKS, zip(MARKERS, DASHES, strict=False), strict=False))
"""Marker and line style of each network, beside its colour."""


def depth_against_target(rows: Sequence[Row], target: float) -> "Figure":
    """Figure 3: the mean depth of the answers for each target accuracy, beside the paper's own results.

    Args:
        rows: Of `measures.BY_TARGET`; with intervals where there are several seeds.
        target: The configured target, which is marked.
    """
    figure = chart_of(height=4.3)
    axes = figure.add_subplot()
    for number, (name, network) in enumerate(NETWORKS.items()):
        own = sorted((row for row in rows if row["network"] == name), key=lambda row: row["target"])
        targets, depths = [100 * row["target"] for row in own], [row["depth"] for row in own]
        marker, dash = LOOKS[name]
        # The markers of lines that lie on each other stand beside each other.
        step = max(1, len(own) // 6)
        axes.plot(
            targets, depths, color=network.colour, linewidth=1.8, linestyle=dash, marker=marker, markersize=5,
            markevery=(number * step // len(NETWORKS) % step, step), label=network.title,
        )  # fmt: skip
        spread = [row for row in own if row["low"] is not None]
        if spread:
            axes.fill_between(
                [100 * row["target"] for row in spread], [row["low"] for row in spread],
                [row["high"] for row in spread], color=network.colour, alpha=0.15, linewidth=0,
            )  # fmt: skip
        _draw_paper(axes, name)
    axes.axvline(
        100 * target, color=INK, linewidth=1, linestyle=":", zorder=1, label=f"the target here: {100 * target:g}%"
    )
    axes.plot([], [], "o", color=MUTED, markerfacecolor="white", markersize=6, label="hollow: the paper's result")
    shaded = "; shaded: 95 % over seeds" if any(row["low"] is not None for row in rows) else ""
    style(axes, x=f"target accuracy, %{shaded}", y="mean depth of the answers")
    shown = [row["depth"] for row in rows] + [row["low"] for row in rows if row["low"] is not None]
    shown += [network.paper["specificity_depth"] for network in NETWORKS.values() if network.paper]
    lowest = max(0, int(np.floor(min(shown) - 0.1)))
    names = ["no answer", *RANKS]
    axes.set_yticks(range(lowest, len(names)), [f"{names[depth]}  {depth}" for depth in range(lowest, len(names))])
    axes.set_ylim(lowest - 0.05, len(RANKS) + 0.2)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    legend_outside(figure, axes, place="outside lower center")
    return figure


def networks_by_class_size(rows: Sequence[Row]) -> "Figure":
    """Figure 4: species accuracy of each network by the number of training photographs of a species, validation side.

    Args:
        rows: Of `measures.BY_CLASS_SIZE`, with intervals.
    """
    found = {(row["network"], row["size"]): row for row in rows if row["side"] == "validation"}
    sizes = sorted({size for _, size in found}, key=lambda size: int(size.split("_")[0]))
    figure = chart_of(height=3.9)
    axes = figure.add_subplot()
    for number, (name, network) in enumerate(NETWORKS.items()):
        shift = (number - (len(NETWORKS) - 1) / 2) * 0.19
        own = [(place, row) for place, size in enumerate(sizes) if (row := found.get((name, size)))]
        values = np.array([[row["value"], row["low"], row["high"]] for _, row in own], float).reshape(-1, 3) * 100
        spread = np.maximum([values[:, 0] - values[:, 1], values[:, 2] - values[:, 0]], 0)
        axes.errorbar(
            [place + shift for place, _ in own], values[:, 0], yerr=spread, color=network.colour, linestyle="none",
            marker=LOOKS[name][0], markersize=5, capsize=2, elinewidth=1.2, label=network.title,
        )  # fmt: skip
    photos = [next(row["photos"] for (_, known), row in found.items() if known == size) for size in sizes]
    names = [f"{size_title(size)}\n{short_number(number)}" for size, number in zip(sizes, photos, strict=True)]
    axes.set_xticks(range(len(sizes)), names, fontsize=SMALL)
    axes.set_xlim(-0.5, max(len(sizes), 1) - 0.5)
    style(axes, x="training photographs of a species\nbelow: validation photographs of such species", y="% right")
    low = min((100 * row["low"] for row in found.values()), default=0.0)
    bottom = 20 * int(max(0.0, low - 5) // 20)
    axes.set_ylim(bottom - 2, 102)
    axes.set_yticks(range(bottom, 101, 20 if bottom < 60 else 10))
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    legend_outside(figure, axes)
    return figure


def _draw_paper(axes: "Axes", name: NetworkName) -> None:
    """The paper's accuracy and depth of a network, hollow."""
    network = NETWORKS[name]
    if network.paper:
        axes.plot(
            100 * network.paper["specificity_accuracy"], network.paper["specificity_depth"], LOOKS[name][0],
            color=network.colour, markerfacecolor="white", markeredgewidth=1.5, markersize=7, zorder=3,
        )  # fmt: skip

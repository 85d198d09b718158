"""The paper's Figures 3 and 4 for this dataset, one line or bar per network. Numbers come from `measures`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ml.palette import INK
from ml.spec import RANKS, size_title
from pipeline.comparison.networks import NETWORKS
from pipeline.pages.figures import Bar, add_series, figure_of, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = dict[str, Any]


def depth_against_target(rows: Sequence[Row], target: float) -> "Figure":
    """Figure 3: the mean depth of the answers for each target accuracy.

    Args:
        rows: Of `measures.BY_TARGET`; with intervals where there are several seeds.
        target: The configured target, which is marked.
    """
    figure = figure_of(width=6.2, height=3.9)
    axes = figure.add_subplot()
    for name, network in NETWORKS.items():
        own = sorted((row for row in rows if row["network"] == name), key=lambda row: row["target"])
        targets = [100 * row["target"] for row in own]
        axes.plot(targets, [row["depth"] for row in own], color=network.colour, linewidth=2, label=network.title)
        spread = [row for row in own if row["low"] is not None]
        if spread:
            axes.fill_between(
                [100 * row["target"] for row in spread], [row["low"] for row in spread],
                [row["high"] for row in spread], color=network.colour, alpha=0.15, linewidth=0,
            )  # fmt: skip
    axes.axvline(100 * target, color=INK, linewidth=1, linestyle=":")
    axes.text(100 * target, 0.06, f" target {target:.0%}", color=INK, fontsize=8, va="bottom", ha="right", rotation=90)
    shaded = "; shaded: 95 % over seeds" if any(row["low"] is not None for row in rows) else ""
    style(axes, x=f"target accuracy, %{shaded}", y="mean depth of the answers")
    names = ["no answer", *RANKS]
    axes.set_yticks(range(len(names)), [f"{name}  {depth}" for depth, name in enumerate(names)])
    axes.set_ylim(0, len(names) - 0.85)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, fontsize=8, loc="lower left")
    figure.tight_layout()
    return figure


def accuracy_by_class_size(rows: Sequence[Row]) -> "Figure":
    """Figure 4: species accuracy by the number of training photographs of a species, on the validation side.

    Args:
        rows: Of `measures.BY_CLASS_SIZE`, with intervals.
    """
    found = {(row["network"], row["size"]): row for row in rows if row["side"] == "validation"}
    sizes = sorted({size for _, size in found}, key=lambda size: int(size.split("_")[0]))

    figure = figure_of(width=6.2, height=3.7)
    axes = figure.add_subplot()
    width = 0.84 / len(NETWORKS)
    for number, (name, network) in enumerate(NETWORKS.items()):
        bars = [
            Bar(
                place=place, value=100 * row["value"], colour=network.colour, series=network.title,
                interval=(100 * row["low"], 100 * row["high"]),
            )
            for place, size in enumerate(sizes)
            if (row := found.get((name, size)))
        ]  # fmt: skip
        shift = (number - (len(NETWORKS) - 1) / 2) * width
        add_series(axes, bars, thickness=0.94 * width, shift=shift, upright=True)
    photos = [next(row["photos"] for (_, known), row in found.items() if known == size) for size in sizes]
    names = [f"{size_title(size)}\n{number:,}" for size, number in zip(sizes, photos, strict=True)]
    axes.set_xticks(range(len(sizes)), names)
    style(axes, x="training photographs of a species; below: validation photographs of such species", y="% right")
    axes.set_ylim(0, 120)
    axes.set_yticks(range(0, 101, 20))
    axes.legend(frameon=False, fontsize=8, loc="upper left", ncols=2)
    figure.tight_layout()
    return figure

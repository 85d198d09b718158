"""The paper's Figures 3 and 4 for this dataset, one line or bar per network. Numbers come from `measures`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.spec import RANKS, size_title
from pipeline.comparison.networks import NETWORKS
from pipeline.pages.figures import BLUE, GREEN, INK, MUTED, SAND, Bar, add_series, draw_once, figure_of, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = dict[str, Any]

COLOURS = dict(zip(NETWORKS, (MUTED, SAND, BLUE, GREEN), strict=True))


def depth_against_target(rows: Sequence[Row], path: Path, *, target: float) -> Path:
    """Figure 3: the mean depth of the answers for each target accuracy.

    Args:
        rows: Of `measures.BY_TARGET`; with intervals where there are several seeds.
        path: The PNG file.
        target: The configured target, which is marked.
    """

    def draw() -> "Figure":
        figure = figure_of(width=6.2, height=3.9)
        axes = figure.add_subplot()
        for network, title in NETWORKS.items():
            own = sorted((row for row in rows if row["network"] == network), key=lambda row: row["target"])
            targets, colour = [100 * row["target"] for row in own], COLOURS[network]
            axes.plot(targets, [row["depth"] for row in own], color=colour, linewidth=2, label=title)
            spread = [row for row in own if row["low"] is not None]
            if spread:
                axes.fill_between(
                    [100 * row["target"] for row in spread], [row["low"] for row in spread],
                    [row["high"] for row in spread], color=colour, alpha=0.15, linewidth=0,
                )  # fmt: skip
        axes.axvline(100 * target, color=INK, linewidth=1, linestyle=":")
        axes.text(
            100 * target, 0.06, f" target {target:.0%}", color=INK, fontsize=8, va="bottom", ha="right", rotation=90
        )
        shaded = "; shaded: 95 % over seeds" if any(row["low"] is not None for row in rows) else ""
        style(axes, x=f"target accuracy, %{shaded}", y="mean depth of the answers")
        names = ["no answer", *RANKS]
        axes.set_yticks(range(len(names)), [f"{name}  {depth}" for depth, name in enumerate(names)])
        axes.set_ylim(0, len(names) - 0.85)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False, fontsize=8, loc="lower left")
        figure.tight_layout()
        return figure

    return draw_once(path, [target, *rows], draw)


def accuracy_by_class_size(rows: Sequence[Row], path: Path) -> Path:
    """Figure 4: species accuracy by the number of training photographs of a species, on the validation side.

    Args:
        rows: Of `measures.BY_SIZE`, with intervals.
        path: The PNG file.
    """
    found = {(row["network"], row["size"]): row for row in rows if row["side"] == "validation"}
    sizes = sorted({size for _, size in found}, key=lambda size: int(size.split("_")[0]))

    def draw() -> "Figure":
        figure = figure_of(width=6.2, height=3.7)
        axes = figure.add_subplot()
        width = 0.84 / len(NETWORKS)
        for number, (network, title) in enumerate(NETWORKS.items()):
            bars = [
                Bar(
                    place=place, value=100 * row["value"], colour=COLOURS[network], series=title,
                    interval=(100 * row["low"], 100 * row["high"]),
                )
                for place, size in enumerate(sizes)
                if (row := found.get((network, size)))
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

    return draw_once(path, list(found.values()), draw)

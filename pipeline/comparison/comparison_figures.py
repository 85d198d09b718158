"""The paper's Figures 3 and 4 for this dataset, one line or bar per network. Numbers come from `tables`."""

from collections.abc import Sequence
from typing import Any

from ml.spec import RANKS, size_title
from pipeline.comparison.networks import NETWORKS
from pipeline.pages.figures import BLUE, GREEN, INK, MUTED, SAND, figure_of, png_of, style

Row = dict[str, Any]

COLOURS = dict(zip(NETWORKS, (MUTED, SAND, BLUE, GREEN), strict=True))


def depth_against_target(rows: Sequence[Row], *, target: float) -> bytes:
    """Figure 3: the mean depth of the answers for each target accuracy, as a PNG.

    Args:
        rows: Of `tables.BY_TARGET`; with intervals where there are several seeds.
        target: The configured target, marked.
    """
    figure = figure_of(width=7.6, height=4.6)
    axes = figure.add_subplot()
    for network, title in NETWORKS.items():
        own = sorted((row for row in rows if row["network"] == network), key=lambda row: row["target"])
        targets = [100 * row["target"] for row in own]
        axes.plot(targets, [row["depth"] for row in own], color=COLOURS[network], linewidth=2, label=title)
        spread = [row for row in own if row["low"] is not None]
        if spread:
            axes.fill_between(
                [100 * row["target"] for row in spread], [row["low"] for row in spread],
                [row["high"] for row in spread], color=COLOURS[network], alpha=0.15, linewidth=0,
            )  # fmt: skip
    axes.axvline(100 * target, color=INK, linewidth=1, linestyle=":")
    axes.text(100 * target, 0.06, f" target {target:.0%}", color=INK, fontsize=8, va="bottom", ha="right", rotation=90)
    shaded = any(row["low"] is not None for row in rows)
    style(axes, x=f"target accuracy, %{'; shaded: 95 % over seeds' if shaded else ''}", y="mean depth of the answers")
    names = ["no answer", *RANKS]
    axes.set_yticks(range(len(names)), [f"{name}  {depth}" for depth, name in enumerate(names)])
    axes.set_ylim(0, len(names) - 0.85)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, fontsize=8, loc="lower left")
    figure.tight_layout()
    return png_of(figure)


def accuracy_by_class_size(rows: Sequence[Row]) -> bytes:
    """Figure 4: species accuracy by the number of training photographs of a species, validation side, as a PNG.

    Args:
        rows: Of `tables.BY_SIZE`, with intervals.
    """
    own = {(row["network"], row["size"]): row for row in rows if row["side"] == "validation"}
    sizes = sorted({size for _, size in own}, key=lambda size: int(size.split("_")[0]))
    figure = figure_of(width=7.6, height=4.4)
    axes = figure.add_subplot()
    width = 0.84 / len(NETWORKS)
    for place, (network, title) in enumerate(NETWORKS.items()):
        present = [(column, own[network, size]) for column, size in enumerate(sizes) if (network, size) in own]
        values = [100 * row["value"] for _, row in present]
        low, high = ([100 * abs(row[end] - row["value"]) for _, row in present] for end in ("low", "high"))
        axes.bar(
            [column + (place - (len(NETWORKS) - 1) / 2) * width for column, _ in present], values, width=0.94 * width,
            color=COLOURS[network], label=title, yerr=[low, high],
            error_kw={"ecolor": INK, "elinewidth": 0.8, "capsize": 2},
        )  # fmt: skip
    photos = [next(row["photos"] for (_, known), row in own.items() if known == size) for size in sizes]
    names = [size_title(size) for size in sizes]
    axes.set_xticks(range(len(sizes)), [f"{name}\n{number:,}" for name, number in zip(names, photos, strict=True)])
    style(axes, x="training photographs of a species; below: validation photographs of such species", y="% right")
    axes.set_ylim(0, 120)
    axes.set_yticks(range(0, 101, 20))
    axes.legend(frameon=False, fontsize=8, loc="upper left", ncols=2)
    figure.tight_layout()
    return png_of(figure)

"""Draws the pictures of docs/specificity.md: `.venv/bin/python -m docs.pictures.draw_specificity`.

The probabilities of the small example are made up; what is answered from them is computed by the product.
"""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import PercentFormatter

from bench.guarantee import population
from ml.classifiers.classes import taxonomy_of_classes
from ml.evaluation.drawing import figure_of, legend_outside, tidy
from ml.palette import BLUE, DPI, INK, MUTED, POINTS, SMALL, VERMILION, WIDTH
from ml.spec import RANKS
from ml.specificity import answer, node_probabilities, restrict
from ml.specificity.guarantee import guaranteed_threshold
from ml.taxonomy import Floats, Taxonomy

FOLDER = Path(__file__).resolve().parent
SHARES = {
    "Animalia, Chordata, Mammalia, Carnivora, Mustelidae, Mustela, Mustela erminea (stoat)": 0.58,
    "Animalia, Chordata, Mammalia, Carnivora, Mustelidae, Mustela, Mustela nivalis (weasel)": 0.34,
    "Animalia, Chordata, Mammalia, Carnivora, Mustelidae, Martes, Martes martes (marten)": 0.03,
    "Animalia, Chordata, Mammalia, Rodentia, Muridae, Rattus, Rattus rattus (ship rat)": 0.03,
    "Animalia, Chordata, Aves, Apterygiformes, Apterygidae, Apteryx, Apteryx mantelli (kiwi)": 0.015,
    "Plantae, Tracheophyta, Liliopsida, Poales, Poaceae, Poa, Poa annua (meadow grass)": 0.005,
}
"""What a network says of one photograph: six species, the others left out."""


def example() -> tuple[Taxonomy, Floats]:
    """The tree of the example and its one row of probabilities."""
    rows = [
        {"class_id": number, **dict(zip(RANKS, lineage.split(", "), strict=True))}
        for number, lineage in enumerate(SHARES)
    ]
    classes = taxonomy_of_classes(rows, ranks=RANKS)
    return classes.taxonomy, np.array([list(SHARES.values())])[:, classes.own_numbers()]


def draw_tree() -> Path:
    """One photograph at two thresholds: the sums, and the answer."""
    tree, row = example()
    nodes = node_probabilities(row, tree)[0]
    height = (tree.leaf_begin + tree.leaf_end - 1) / 2
    figure = figure_of(8, 6.4)
    for axes, threshold in zip(figure.subplots(2, 1), (0.9, 0.5), strict=True):
        chosen = int(answer(row, tree, threshold).node_ids[0])
        path = tree.lineage(chosen)
        for node in range(1, tree.node_count):
            parent, on_path = tree.parent[node], node in path
            axes.plot(
                [tree.depth[parent], tree.depth[node]], [-height[parent], -height[node]],
                color=VERMILION if on_path else MUTED, linewidth=0.6 + 5 * nodes[node], alpha=1 if on_path else 0.5,
                solid_capstyle="round", zorder=1,
            )  # fmt: skip
        for node in range(1, tree.node_count):
            enough = nodes[node] >= threshold
            axes.plot(tree.depth[node], -height[node], "o", markersize=7, zorder=2,
                      color=VERMILION if node == chosen else BLUE if enough else "white",
                      markeredgecolor=BLUE if node != chosen else VERMILION)  # fmt: skip
            _label(axes, tree, node, nodes[node], chosen=node == chosen)
        axes.set_title(
            f"Threshold {threshold:.0%}: the answer is {tree.rank[chosen]} {tree.name[chosen]}, {nodes[chosen]:.0%}",
            loc="left", color=VERMILION, fontsize=POINTS + 1, fontweight="bold",
        )  # fmt: skip
        axes.set_xlim(0, 9.2)
        axes.set_ylim(-tree.class_count + 0.3, 0.7)
        axes.set_yticks([])
        axes.set_xticks(range(1, 8), RANKS)
        axes.tick_params(length=0, colors=MUTED, labelsize=POINTS)
        axes.spines[:].set_visible(False)
    return _saved(figure, FOLDER / "specificity-tree.png")


def draw_promise() -> Path:
    """Depth against target accuracy for a simulated network: best guess, and what 500 photographs can promise."""
    everyone, tree = population()
    truth = everyone.curve(tree)
    curve = everyone.rows(np.random.default_rng(1).integers(len(everyone.labels), size=500)).curve(tree)
    targets = np.linspace(0.6, 0.985, 78)
    guess = [float(curve.threshold[curve.choose(target)]) for target in targets]
    promised = [guaranteed_threshold(curve, target=float(target), delta=0.05) for target in targets]
    kept = [threshold for threshold in promised if threshold is not None]
    figure = figure_of(WIDTH, 6.4)
    above, below = figure.subplots(2, 1, sharex=True)
    tidy(above, title="What it costs", y="mean depth of the answers\n(species is 7)")
    tidy(below, title="What it yields", x="target accuracy", y="accuracy for everyone")
    for thresholds, colour, dash, name in (
        (guess, VERMILION, "--", "best guess"),
        (kept, BLUE, "-", "promised, delta 5 %"),
    ):
        entries = truth.entries(np.array(thresholds))
        for axes, values in ((above, truth.depth), (below, truth.accuracy)):
            shown = targets[: len(entries)]
            axes.plot(shown, values[entries], color=colour, linewidth=1.8, linestyle=dash, label=name)
    below.plot([0.6, 1], [0.6, 1], color=INK, linewidth=1, linestyle=":", label="what was asked for")
    for axis in (below.xaxis, below.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    legend_outside(figure, below)
    return _saved(figure, FOLDER / "specificity-promise.png")


def draw_watch() -> Path:
    """A filter hides an organism from the answer, not from the watch-list."""
    tree, row = example()
    plants = tree.find("Plantae")
    filtered = restrict(row, tree, [plants])
    watched = tree.find("Mustela")
    mass = float(node_probabilities(row, tree)[0, watched])
    figure = figure_of(WIDTH, 4.6)
    panels = figure.subplots(2, 1, sharex=True)
    names = [tree.name[leaf] for leaf in tree.leaves]
    inside = tree.contains(watched, np.arange(tree.class_count))
    alarm = f"watched genus Mustela: {mass:.0%}: alarm, whatever the filter or the answer says"
    for axes, shares, title in zip(
        panels, (row[0], filtered[0]), ("What the network sees", 'Filtered: "it was a plant"'), strict=True
    ):
        for chosen, colour, hatch, label in ((inside, VERMILION, "///", alarm), (~inside, BLUE, "", "other species")):
            places = np.flatnonzero(chosen)
            bars = axes.barh(places, shares[places], color=colour, edgecolor="white", linewidth=0, hatch=hatch,
                             label=label)  # fmt: skip
            percents = [f"{100 * share:.3g} %" for share in shares[places]]
            axes.bar_label(bars, labels=percents, padding=3, color=INK, fontsize=SMALL)
        tidy(axes, title=title, grid=False)
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set(xlim=(0, 1.15), xticks=[])
        axes.spines["bottom"].set_visible(False)
        axes.tick_params(left=False)
    legend_outside(figure, panels[0])
    return _saved(figure, FOLDER / "specificity-watch.png")


def _saved(figure: Figure, path: Path) -> Path:
    """Write a PNG alone: an SVG with photographs in it would be several times as large."""
    figure.savefig(path, dpi=DPI, facecolor="white")
    return path


def _label(axes: Axes, tree: Taxonomy, node: int, probability: float, *, chosen: bool) -> None:
    leaf = tree.class_id[node] >= 0
    place = {"xytext": (9, -3), "ha": "left"} if leaf else {"xytext": (0, 13), "ha": "center"}
    # A chain of single taxa says the same number again and again: only its ends are named.
    alone = any(tree.parent[node] == tree.parent[other] for other in range(tree.node_count) if other != node)
    only = not alone and not chosen and not leaf and tree.depth[node] > 1
    percent = f"{100 * probability:.3g}%"
    text = percent if only else f"{tree.name[node]} {percent}"
    axes.annotate(
        text, (tree.depth[node], -(tree.leaf_begin[node] + tree.leaf_end[node] - 1) / 2), textcoords="offset points",
        fontsize=7.5, color=VERMILION if chosen else INK, fontweight="bold" if chosen else "normal",
        path_effects=[withStroke(linewidth=2.5, foreground="white")], **place,
    )  # fmt: skip


if __name__ == "__main__":
    for draw in (draw_tree, draw_promise, draw_watch):
        print(draw())

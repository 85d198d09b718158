"""Pictures of a calibration: the paper's Figure 3, what each threshold does, and how honest the network is."""

from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from ml.evaluation.drawing import figure_of, legend_outside, save_figure, short_number, tidy
from ml.evaluation.reliability import BINS, Reliability
from ml.palette import BLUE, INK, MUTED, POINTS, SMALL, VERMILION, WIDTH
from ml.spec import RANKS, Rule
from ml.specificity.calibration import Outcome
from ml.specificity.rules import parameter_name
from ml.taxonomy import Taxonomy

FEW = 30
"""Answers of a bin below which its share is drawn hollow: its interval is 35 points wide, or wider."""
_RULES: Final[dict[Rule, str]] = {"threshold": "threshold", "reward": "reward rule", "distance": "distance rule"}


def draw_figures(outcome: Outcome, *, taxonomy: Taxonomy, folder: Path) -> dict[str, Path]:
    """Draw all pictures into `folder`.

    Args:
        outcome: Of a calibration.
        taxonomy: Its tree.
        folder: Where the PNG files go.

    Returns:
        PNG files by title; each has an SVG twin of the same name beside it.
    """
    depths = taxonomy.max_depth
    parameter = parameter_name(outcome.table.rule, outcome.table.reward, taxonomy)
    return {
        "Depth at each target accuracy": save_figure(
            _depth_against_target(outcome, depths=depths), folder / "depth_against_target.png"
        ),
        "Accuracy and depth at each threshold": save_figure(
            _against_threshold(outcome, parameter=parameter, depths=depths), folder / "accuracy_and_depth.png"
        ),
        "Reliability of the stated probabilities": save_figure(
            _reliability(outcome.reliability, temperature=outcome.temperature), folder / "reliability.png"
        ),
    }


def _depth_against_target(outcome: Outcome, *, depths: int) -> Figure:
    figure = figure_of(WIDTH, 4.4, title="Classification depth against target accuracy (evaluation half)")
    axes, judged = figure.subplots(), outcome.judged
    chooses, curve = outcome.calibration_curve, outcome.evaluation_curve
    # Below the accuracy of species for all nothing changes: that is where the curve begins, or left of the target.
    lowest = max(0.0, float(np.floor(min(judged.target - 0.1, chooses.accuracy.min() - 0.02, 0.85) * 20) / 20))
    targets = np.linspace(lowest, 0.999, 400)
    thresholds = chooses.threshold[[chooses.choose(target) for target in targets.tolist()]]
    line = curve.depth[curve.entries(thresholds)]
    axes.plot(
        targets, line, color=BLUE, linewidth=1.8, label=f"{_RULES[outcome.table.rule]}, one for all, no guarantee"
    )
    offered = [point for point in outcome.points if lowest <= point.target and point.reachable]
    axes.plot(
        [point.target for point in offered], [point.depth for point in offered], "s", color=MUTED, markersize=5,
        label="operating points of this model",
    )  # fmt: skip
    axes.plot(
        judged.target, judged.depth, "D", color=VERMILION, markersize=8, zorder=3,
        label=f"target {100 * judged.target:g}%: depth {judged.depth:.2f}, threshold {judged.threshold:.3f}, "
        f"reached {judged.accuracy:.1%}",
    )  # fmt: skip
    tidy(axes, x="target accuracy")
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_xlim(lowest - 0.005, 1.005)
    _depth_axis(axes, depths, least=min(float(line.min()), judged.depth, *(point.depth for point in offered)))
    legend_outside(figure, axes)
    return figure


def _against_threshold(outcome: Outcome, *, parameter: str, depths: int) -> Figure:
    figure = figure_of(WIDTH, 6.0, title="What each threshold does")
    above, below = figure.subplots(2, 1, sharex=True)
    grid, target, threshold = np.linspace(0, 1, 501), outcome.judged.target, outcome.judged.threshold
    for name, curve, colour, dash, marker in (
        ("calibration half", outcome.calibration_curve, MUTED, "--", "s"),
        ("evaluation half", outcome.evaluation_curve, BLUE, "-", "o"),
    ):
        entries = curve.entries(grid)
        for axes, values in ((above, curve.accuracy), (below, curve.depth)):
            axes.plot(
                grid, values[entries], color=colour, linestyle=dash, marker=marker, markersize=4,
                markevery=(25 if dash == "-" else 0, 50), label=name,
            )  # fmt: skip
    above.axhline(target, color=VERMILION, linewidth=1.2, linestyle=":", label=f"target {100 * target:g}%")
    for axes in (above, below):
        axes.axvline(threshold, color=VERMILION, linewidth=1.2, linestyle="-.", label=f"chosen: {threshold:.3f}")
    tidy(above, title="Accuracy of the answers")
    tidy(below, title="Mean depth of the answers", x=parameter)
    lowest = min(target, outcome.calibration_curve.accuracy.min(), outcome.evaluation_curve.accuracy.min())
    bottom = float(np.floor(max(0.0, lowest - 0.02) * 10) / 10)
    above.set_ylim(bottom, 1 + (1 - bottom) / 30)
    above.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    below.set_xlim(0, 1)
    _depth_axis(below, depths, least=0)
    below.set_ylabel("")
    legend_outside(figure, above)
    return figure


def _reliability(bins: Reliability, *, temperature: float) -> Figure:
    error = f"off by {100 * bins.error:.1f} points on average"
    figure = figure_of(WIDTH, 5.2, title=f"Reliability (temperature {temperature:.2f}): {error}")
    axes, counts = figure.subplots(2, 1, height_ratios=(1, 0.1), sharex=True)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=":", label="an honest network")
    spread = np.maximum([bins.accuracy - bins.low, bins.high - bins.accuracy], 0)
    for chosen, fill, label in (
        (bins.photos >= FEW, BLUE, "this network, with 95 % intervals"),
        (bins.photos < FEW, "white", f"fewer than {FEW} answers"),
    ):
        if chosen.any():
            axes.errorbar(
                bins.stated[chosen], bins.accuracy[chosen], yerr=spread[:, chosen], color=BLUE, marker="o",
                markerfacecolor=fill, markersize=6, linestyle="none", capsize=3, elinewidth=1.2, label=label,
            )  # fmt: skip
    tidy(axes, y="how often it is right")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set(xlim=(-0.01, 1.02), ylim=(-0.01, 1.03))
    axes.tick_params(axis="x", labelbottom=False)
    # Each bin's number stands in the middle of the bin: means can lie close to each other.
    bounds = np.linspace(0, 1, BINS + 1)
    for place, photos in zip(np.minimum((bins.stated * BINS).astype(int), BINS - 1), bins.photos, strict=True):
        middle = float(bounds[place : place + 2].mean())
        counts.text(middle, 0.5, short_number(int(photos)), ha="center", va="center", fontsize=SMALL, color=INK)
    tidy(counts, x="stated probability of a taxon", grid=False)
    counts.set_xticks(np.linspace(0, 1, 6))
    counts.set_yticks([0.5], ["answers"], fontsize=POINTS)
    counts.tick_params(axis="y", length=0)
    counts.spines[["left"]].set_visible(False)
    counts.set_ylim(0, 1)
    legend_outside(figure, axes)
    return figure


def _depth_axis(axes: Axes, depths: int, *, least: float) -> None:
    """Depths by their names where the tree has the seven ranks, from the one below the least that is shown."""
    names = ["no answer", *RANKS] if depths == len(RANKS) else [str(depth) for depth in range(depths + 1)]
    lowest = min(max(0, int(np.floor(least - 0.1))), max(0, depths - 2))
    shown = range(lowest, depths + 1)
    axes.set_yticks(shown, [names[depth] if names[depth].isdigit() else f"{names[depth]}  {depth}" for depth in shown])
    axes.set_ylim(lowest - 0.1, depths + 0.15)
    axes.set_ylabel("mean depth of the answers", fontsize=POINTS, color=INK)

"""Pictures of a calibration: the paper's Figure 3, what each threshold does, and how honest the network is."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from ml.evaluation.drawing import figure_of, save, tidy
from ml.evaluation.reliability import Reliability
from ml.palette import BLUE, MUTED, VERMILION
from ml.spec import RANKS, Rule
from ml.specificity.calibration import Outcome
from ml.specificity.rules import parameter_name
from ml.taxonomy import Taxonomy

_RULES: dict[Rule, str] = {"threshold": "threshold", "reward": "reward rule", "distance": "distance rule"}


def draw_figures(outcome: Outcome, *, taxonomy: Taxonomy, folder: Path) -> dict[str, Path]:
    """Draw all pictures into `folder`.

    Args:
        outcome: Of a calibration.
        taxonomy: Its tree.
        folder: Where the PNG files go.

    Returns:
        PNG files by title.
    """
    depths = taxonomy.max_depth
    parameter = parameter_name(outcome.table.rule, outcome.table.reward, taxonomy)
    return {
        "Depth at each target accuracy": save(
            _depth_against_target(outcome, depths=depths), folder / "depth_against_target.png"
        ),
        "Accuracy and depth at each threshold": save(
            _against_threshold(outcome, parameter=parameter, depths=depths), folder / "accuracy_and_depth.png"
        ),
        "Reliability of the stated probabilities": save(
            _reliability(outcome.reliability, temperature=outcome.temperature), folder / "reliability.png"
        ),
    }


def _depth_against_target(outcome: Outcome, *, depths: int) -> Figure:
    figure = figure_of(7.2, 4.6)
    axes, judged = figure.subplots(), outcome.judged
    chooses, curve = outcome.calibration_curve, outcome.evaluation_curve
    lowest = float(np.floor(min(judged.target, curve.accuracy[-1], 0.9) * 20) / 20)
    targets = np.linspace(max(lowest, 0.05), 0.999, 300)
    thresholds = chooses.threshold[[chooses.choose(target) for target in targets.tolist()]]
    axes.plot(
        targets, curve.depth[curve.entries(thresholds)], color=BLUE, linewidth=2,
        label=f"{_RULES[outcome.table.rule]}, one for all, no guarantee",
    )  # fmt: skip
    offered = [point for point in outcome.points if lowest <= point.target and point.reachable]
    axes.plot(
        [point.target for point in offered], [point.depth for point in offered], "s", color=MUTED, markersize=5,
        label="operating points of this model",
    )  # fmt: skip
    axes.plot(judged.target, judged.depth, "o", color=VERMILION, markersize=9, zorder=3)
    axes.annotate(
        f"target {judged.target:.0%}: depth {judged.depth:.2f}\n"
        f"threshold {judged.threshold:.3f}, reached {judged.accuracy:.1%}",
        (judged.target, judged.depth),
        xytext=(-14, -14),
        textcoords="offset points",
        ha="right",
        va="top",
        color=VERMILION,
    )
    tidy(axes, title="Classification depth against target accuracy (evaluation half)")
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_xlabel("target accuracy")
    axes.legend(frameon=False, loc="lower left", fontsize=8)
    _depth_axis(axes, depths)
    return figure


def _against_threshold(outcome: Outcome, *, parameter: str, depths: int) -> Figure:
    figure = figure_of(7.2, 6.4)
    above, below = figure.subplots(2, 1, sharex=True)
    tidy(above, title="What each threshold does")
    tidy(below)
    grid, target, threshold = np.linspace(0, 1, 501), outcome.judged.target, outcome.judged.threshold
    for name, curve, colour, style in (
        ("calibration half", outcome.calibration_curve, MUTED, "--"),
        ("evaluation half", outcome.evaluation_curve, BLUE, "-"),
    ):
        entries = curve.entries(grid)
        above.plot(grid, curve.accuracy[entries], color=colour, linestyle=style, label=name)
        below.plot(grid, curve.depth[entries], color=colour, linestyle=style, label=name)
    above.axhline(target, color=VERMILION, linewidth=1, linestyle=":", label=f"target {target:.0%}")
    for axes in (above, below):
        axes.axvline(threshold, color=VERMILION, linewidth=1.2, label=f"chosen threshold {threshold:.3f}")
    above.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    above.set_ylabel("accuracy of the answers")
    above.legend(frameon=False, loc="upper left")
    below.set(xlabel=parameter, xlim=(0, 1))
    _depth_axis(below, depths)
    return figure


def _reliability(bins: Reliability, *, temperature: float) -> Figure:
    figure = figure_of(5.2, 5.0)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=":", label="an honest network")
    spread = np.stack([bins.accuracy - bins.low, bins.high - bins.accuracy])
    axes.errorbar(
        bins.stated, bins.accuracy, yerr=np.maximum(spread, 0), color=BLUE, marker="o", capsize=3,
        label="this network, with 95 % intervals",
    )  # fmt: skip
    tidy(axes, title=f"Reliability (temperature {temperature:.2f}):\noff by {100 * bins.error:.1f} points on average")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set(xlabel="stated probability of a taxon", ylabel="how often it is right", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(frameon=False, loc="upper left", fontsize=8)
    return figure


def _depth_axis(axes: Axes, depths: int) -> None:
    """Depths by their names where the tree has the seven ranks."""
    names = ["no answer", *RANKS] if depths == len(RANKS) else [str(depth) for depth in range(depths + 1)]
    axes.set_yticks(range(depths + 1), [f"{name}  {depth}" for depth, name in enumerate(names)])
    axes.set_ylim(-0.15, depths + 0.15)
    axes.set_ylabel("mean depth of the answers")

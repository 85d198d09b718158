"""Pictures of a calibration: the paper's Figure 3, what each threshold does, and how honest the network is."""

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from ml.evaluation.reliability import Reliability
from ml.files import replacing
from ml.spec import RANKS
from ml.specificity.calibration import Outcome
from ml.specificity.operating_points import Floats, OperatingCurve

BLUE, ORANGE, GREY = "#1f5f8b", "#d9772b", "#8a8f94"


def draw_figures(outcome: Outcome, *, target: float, depths: int, folder: Path) -> dict[str, Path]:
    """Draw all pictures into `folder`.

    Args:
        outcome: Of a calibration.
        target: The accuracy it was asked for.
        depths: Depth of a species.
        folder: Where the PNG files go.

    Returns:
        PNG files by title.
    """
    return {
        "Depth at each target accuracy": _save(
            _depth_against_target(outcome, target=target, depths=depths), folder / "depth_against_target.png"
        ),
        "Accuracy and depth at each threshold": _save(
            _against_threshold(outcome, target=target, depths=depths), folder / "accuracy_and_depth.png"
        ),
        "Reliability of the stated probabilities": _save(
            _reliability(outcome.reliability, temperature=outcome.temperature), folder / "reliability.png"
        ),
    }


def depth_at_targets(
    targets: Floats, *, calibration: OperatingCurve, evaluation: OperatingCurve
) -> tuple[Floats, Floats]:
    """Depth and accuracy on the evaluation half at the thresholds that the calibration half chooses for `targets`."""
    entries = [evaluation.at(float(calibration.threshold[calibration.choose(float(target))])) for target in targets]
    return evaluation.depth[entries], evaluation.accuracy[entries]


def _depth_against_target(outcome: Outcome, *, target: float, depths: int) -> Figure:
    figure, axes = plt.subplots(figsize=(7.2, 4.6), layout="constrained")
    judged, threshold = outcome.judged, outcome.threshold
    curve = outcome.evaluation_curve
    lowest = float(np.floor(min(target, curve.accuracy[-1], 0.9) * 20) / 20)
    targets = np.linspace(max(lowest, 0.05), 0.999, 300)
    depth, _ = depth_at_targets(targets, calibration=outcome.calibration_curve, evaluation=curve)
    axes.plot(targets, depth, color=BLUE, linewidth=2, label="one threshold for all, no guarantee")
    offered = [point for point in outcome.points if lowest <= point.target and point.reachable]
    axes.plot(
        [point.target for point in offered], [point.depth for point in offered], "s", color=GREY, markersize=5,
        label="operating points of this model",
    )  # fmt: skip
    axes.plot(target, judged.depth, "o", color=ORANGE, markersize=9, zorder=3)
    axes.annotate(
        f"target {target:.0%}: depth {judged.depth:.2f}\nthreshold {threshold:.3f}, reached {judged.accuracy:.1%}",
        (target, judged.depth),
        xytext=(-14, -14),
        textcoords="offset points",
        ha="right",
        va="top",
        color=ORANGE,
    )
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set(xlabel="target accuracy", title="Classification depth against target accuracy (evaluation half)")
    axes.legend(frameon=False, loc="lower left", fontsize=8)
    _depth_axis(axes, depths)
    return figure


def _against_threshold(outcome: Outcome, *, target: float, depths: int) -> Figure:
    figure, (above, below) = plt.subplots(2, 1, figsize=(7.2, 6.4), sharex=True, layout="constrained")
    grid, threshold = np.linspace(0, 1, 501), outcome.threshold
    for name, curve, colour, style in (
        ("calibration half", outcome.calibration_curve, GREY, "--"),
        ("evaluation half", outcome.evaluation_curve, BLUE, "-"),
    ):
        entries = curve.entries(grid)
        above.plot(grid, curve.accuracy[entries], color=colour, linestyle=style, label=name)
        below.plot(grid, curve.depth[entries], color=colour, linestyle=style, label=name)
    above.axhline(target, color=ORANGE, linewidth=1, linestyle=":", label=f"target {target:.0%}")
    for axes in (above, below):
        axes.axvline(threshold, color=ORANGE, linewidth=1.2, label=f"chosen threshold {threshold:.3f}")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    above.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    above.set(ylabel="accuracy of the answers", title="What each confidence threshold does")
    above.legend(frameon=False, loc="upper left")
    below.set(xlabel="confidence threshold", xlim=(0, 1))
    _depth_axis(below, depths)
    return figure


def _reliability(bins: Reliability, *, temperature: float) -> Figure:
    figure, axes = plt.subplots(figsize=(5.2, 5.0), layout="constrained")
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":", label="an honest network")
    spread = np.stack([bins.accuracy - bins.low, bins.high - bins.accuracy])
    axes.errorbar(
        bins.stated, bins.accuracy, yerr=np.maximum(spread, 0), color=BLUE, marker="o", capsize=3,
        label="this network, with 95 % intervals",
    )  # fmt: skip
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set(
        xlabel="stated probability of a taxon",
        ylabel="how often it is right",
        xlim=(0, 1),
        ylim=(0, 1.02),
        title=f"Reliability (temperature {temperature:.2f}): off by {100 * bins.error:.1f} points on average",
    )
    axes.title.set_fontsize(10)
    axes.legend(frameon=False, loc="upper left", fontsize=8)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _depth_axis(axes: Axes, depths: int) -> None:
    """Depths by their names where the tree has the seven ranks."""
    names = ["no answer", *RANKS] if depths == len(RANKS) else [str(depth) for depth in range(depths + 1)]
    axes.set_yticks(range(depths + 1), [f"{name}  {depth}" for depth, name in enumerate(names)])
    axes.set_ylim(-0.15, depths + 0.15)
    axes.set_ylabel("mean depth of the answers")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _save(figure: Figure, path: Path) -> Path:
    with replacing(path) as partial:
        figure.savefig(partial, format="png", dpi=140)
    plt.close(figure)
    return path

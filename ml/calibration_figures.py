"""Pictures of a calibration: the paper's Figure 3, and what each threshold does. Drawing only."""

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from ml.operating import Floats, OperatingCurve
from ml.spec import RANKS

BLUE, ORANGE, GREY = "#1f5f8b", "#d9772b", "#8a8f94"


def draw_figures(
    *,
    calibration: OperatingCurve,
    evaluation: OperatingCurve,
    threshold: float,
    target: float,
    depths: int,
    folder: Path,
) -> dict[str, Path]:
    """Draw both pictures into `folder`.

    Args:
        calibration: The curve of the half that chose the threshold.
        evaluation: The curve of the other half.
        threshold: The chosen one.
        target: The accuracy it was chosen for.
        depths: Depth of a species.
        folder: Where the PNG files go.

    Returns:
        PNG files by title.
    """
    return {
        "Depth at each target accuracy": _save(
            _depth_against_target(
                calibration=calibration, evaluation=evaluation, threshold=threshold, target=target, depths=depths
            ),
            folder / "depth_against_target.png",
        ),
        "Accuracy and depth at each threshold": _save(
            _against_threshold(
                calibration=calibration, evaluation=evaluation, threshold=threshold, target=target, depths=depths
            ),
            folder / "accuracy_and_depth.png",
        ),
    }


def depth_at_targets(
    targets: Floats, *, calibration: OperatingCurve, evaluation: OperatingCurve
) -> tuple[Floats, Floats]:
    """Depth and accuracy on the evaluation half at the thresholds that the calibration half chooses for `targets`."""
    entries = [evaluation.at(float(calibration.threshold[calibration.choose(float(target))])) for target in targets]
    return evaluation.depth[entries], evaluation.accuracy[entries]


def _depth_against_target(
    *, calibration: OperatingCurve, evaluation: OperatingCurve, threshold: float, target: float, depths: int
) -> Figure:
    figure, axes = plt.subplots(figsize=(7.2, 4.6), layout="constrained")
    lowest = float(np.floor(min(target, evaluation.accuracy[-1], 0.9) * 20) / 20)
    targets = np.linspace(max(lowest, 0.05), 0.999, 300)
    depth, _ = depth_at_targets(targets, calibration=calibration, evaluation=evaluation)
    axes.plot(targets, depth, color=BLUE, linewidth=2)
    chosen = evaluation.at(threshold)
    axes.plot(target, evaluation.depth[chosen], "o", color=ORANGE, markersize=9, zorder=3)
    axes.annotate(
        f"target {target:.0%}: depth {evaluation.depth[chosen]:.2f}\nthreshold {threshold:.3f}, "
        f"reached {evaluation.accuracy[chosen]:.1%}",
        (target, evaluation.depth[chosen]),
        xytext=(-14, -14),
        textcoords="offset points",
        ha="right",
        va="top",
        color=ORANGE,
    )
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set(xlabel="target accuracy", title="Classification depth against target accuracy (evaluation half)")
    _depth_axis(axes, depths)
    return figure


def _against_threshold(
    *, calibration: OperatingCurve, evaluation: OperatingCurve, threshold: float, target: float, depths: int
) -> Figure:
    figure, (above, below) = plt.subplots(2, 1, figsize=(7.2, 6.4), sharex=True, layout="constrained")
    grid = np.linspace(0, 1, 501)
    for name, curve, colour, style in (
        ("calibration half", calibration, GREY, "--"),
        ("evaluation half", evaluation, BLUE, "-"),
    ):
        entries = [curve.at(float(value)) for value in grid]
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


def _depth_axis(axes: Axes, depths: int) -> None:
    """Depths by their names where the tree has the seven ranks."""
    names = ["no answer", *RANKS] if depths == len(RANKS) else [str(depth) for depth in range(depths + 1)]
    axes.set_yticks(range(depths + 1), [f"{name}  {depth}" for depth, name in enumerate(names)])
    axes.set_ylim(-0.15, depths + 0.15)
    axes.set_ylabel("mean depth of the answers")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _save(figure: Figure, path: Path) -> Path:
    partial = path.with_name(f".{path.name}.partial")
    figure.savefig(partial, format="png", dpi=140)
    plt.close(figure)
    partial.replace(path)
    return path

"""The specificity guarantee in simulation: 1,000 calibrations on resampled photographs, judged on everyone.

A population of photographs stands for everything that a network may meet, so the accuracy of any threshold is known.
Nothing is timed: the part reports how often the promise "at least the target" is broken.
"""

from pathlib import Path

import numpy as np

from bench.harness import Goal, Report
from bench.specificity import drawn_taxonomy
from ml.evaluation.reliability import clopper_pearson
from ml.specificity.answers import candidates
from ml.specificity.guarantee import guaranteed_threshold
from ml.specificity.operating_points import OperatingCurve
from ml.specificity.thresholds import Half
from ml.taxonomy import Taxonomy

POPULATION, CALIBRATION, RESAMPLINGS = 50_000, 500, 1_000
RANK_SIZES = (3, 6, 12, 30, 60, 120, 200)
TARGETS, DELTAS = (0.8, 0.9, 0.95), (0.05, 0.2)


def run(*, folder: Path, runs: int) -> Report:
    """Simulate; the seed is fixed, so repeating it would change nothing."""
    del folder, runs
    everyone, tree = population()
    truth = everyone.curve(tree)
    rows: list[dict[str, object]] = []
    goals = []
    for target in TARGETS:
        generator = np.random.default_rng(2017)
        drawn = [
            everyone.rows(generator.integers(POPULATION, size=CALIBRATION)).curve(tree) for _ in range(RESAMPLINGS)
        ]
        best = [float(curve.threshold[curve.choose(target)]) for curve in drawn]
        rows.append(_row(truth, best, target=target, method="best guess (exact)", delta=None))
        for delta in DELTAS:
            chosen = [_promised(curve, target=target, delta=delta) for curve in drawn]
            rows.append(_row(truth, chosen, target=target, method=f"guaranteed, delta {delta:g}", delta=delta))
            low, _ = clopper_pearson(_broken(truth, chosen, target=target), RESAMPLINGS)
            name = f"target {target:.0%}, delta {delta:g}: share broken, lower end of its 95 % interval"
            goals.append(Goal(name=name, value=low, bound=delta, kind="at most"))
    return Report(
        part="guarantee",
        title=f"{RESAMPLINGS:,} calibrations on {CALIBRATION} of {POPULATION:,} photographs, {RANK_SIZES[-1]} species.",
        rows=rows,
        goals=goals,
        notes=["Depth is that of the population at the chosen thresholds: what the promise costs is the difference."],
    )


def population() -> tuple[Half, Taxonomy]:
    """Photographs of a network that is sure of some and not of others."""
    generator = np.random.default_rng(7)
    tree = drawn_taxonomy(generator, RANK_SIZES)
    labels = generator.integers(tree.class_count, size=POPULATION).astype(np.int32)
    logits = generator.normal(size=(POPULATION, tree.class_count)) * 1.3
    known = generator.uniform(0, 1.6, size=(POPULATION, 1))
    for depth in range(1, tree.max_depth + 1):
        # Whatever shares the true species' ancestor at this depth looks a little more like it.
        akin = tree.ancestors[:, depth][None, :] == tree.ancestors[labels, depth][:, None]
        logits += akin * known * 0.6
    exponential = np.exp(logits)
    rows = exponential / exponential.sum(axis=1, keepdims=True)
    return Half(found=candidates(rows, tree), labels=labels), tree


def _promised(curve: OperatingCurve, *, target: float, delta: float) -> float:
    promised = guaranteed_threshold(curve, target=target, delta=delta)
    if promised is None:
        raise RuntimeError(f"{CALIBRATION} photographs cannot promise {target:.0%}")
    return promised


def _broken(truth: OperatingCurve, thresholds: list[float], *, target: float) -> int:
    return sum(bool(truth.accuracy[truth.at(threshold)] < target) for threshold in thresholds)


def _row(
    truth: OperatingCurve, thresholds: list[float], *, target: float, method: str, delta: float | None
) -> dict[str, object]:
    broken = _broken(truth, thresholds, target=target)
    low, high = clopper_pearson(broken, RESAMPLINGS)
    entries = truth.entries(np.array(thresholds))
    return {
        "target": f"{target:.0%}",
        "method": method,
        "allowed": "" if delta is None else f"{delta:.0%}",
        "below target (95 % interval)": f"{broken / RESAMPLINGS:.1%} ({low:.1%} to {high:.1%})",
        "mean accuracy": f"{truth.accuracy[entries].mean():.2%}",
        "mean depth": f"{truth.depth[entries].mean():.3f}",
    }
